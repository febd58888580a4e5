//! The lease: which invocation works on a run, and until when.
//!
//! A lease is in commercetools' time, which all invocations share. An invocation that wants to take over compares it
//! with the `Date` of the response that contained the lease. The holder measures it with its own monotonic clock, from
//! before the request that it got that time from. So two invocations agree on which of them may send, whatever their
//! clocks say.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::time::later;

/// How much longer than its window a lease lasts: for requests under way, the last save and the call to the next.
pub const MARGIN: Duration = Duration::from_secs(8);
/// The `Date` of a response is cut to the second, and may come from another of the API's servers.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);

/// Who works, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lease {
    /// Names the invocation.
    pub holder: String,
    /// Until when, in commercetools' time.
    pub until: Timestamp,
    /// Whether the holder has saved progress since it claimed the lease.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_saved: bool,
}

impl Lease {
    /// A lease for a window of this length that begins at `now` (commercetools' time).
    #[must_use]
    pub fn begin(holder: String, now: Timestamp, window: Duration) -> Self {
        Self {
            holder,
            until: later(now, window + MARGIN),
            has_saved: false,
        }
    }

    /// Whether the holder may still be working at `now` (commercetools' time).
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now <= later(self.until, CLOCK_TOLERANCE)
    }
}
