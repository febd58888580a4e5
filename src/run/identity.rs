//! Names for runs, plans and invocations.

use jiff::Timestamp;

/// A name for this invocation, as the holder of a lease.
#[must_use]
pub fn new_holder() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// A name for a run or a plan that begins now.
#[must_use]
pub fn new_id(now: Timestamp) -> String {
    format!(
        "{}-{:08x}",
        now.strftime("%Y%m%dT%H%M%SZ"),
        fastrand::u32(..)
    )
}
