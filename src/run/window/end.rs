//! How a window ends.

use jiff::Timestamp;

use crate::error::Error;

/// How a window ended.
#[derive(Debug)]
pub enum End {
    /// The run is over.
    Completed,
    /// There is more to do.
    Continue,
    /// There is nothing to do before a timestamp.
    Wait {
        /// The timestamp.
        until: Timestamp,
        /// What is waited for.
        what: String,
    },
    /// A request failed; the next window retries.
    Broken(Error),
    /// The run would remove more than it does without an operator's word.
    Unconfirmed,
    /// A request was rejected, and a retry would not help.
    GivenUp(Error),
    /// Another invocation has changed the document: a stop, or the next window.
    Lost,
}
