//! What can go wrong with the two APIs, and the one table that says what is done about it.
//!
//! An [`Error`] says what happened. [`Error::action`] and [`Error::advice`] look it up in [`POLICY`]: retry, wait, set
//! records aside, or end the run with advice for the operator. An unknown failure of the connection or of a response is
//! retried; a run ends only where a row says so.
//!
//! Messages contain operation names, statuses and codes only. What an API says in `detail` or `message` can quote a
//! customer's data, and errors are written to logs and to the run document.

mod failure;
mod policy;
mod shown;

pub use self::failure::{Access, Error, Kind, Peer, Refusal};
pub use self::policy::{Action, POLICY, Row, handbook_table};
pub use self::shown::{plain_code, plain_field};
