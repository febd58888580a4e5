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
    /// There is nothing to do before a moment.
    Wait {
        /// That moment.
        until: Timestamp,
        /// What is waited for.
        what: String,
    },
    /// An API failed; the next window tries again.
    Broken(Error),
    /// An API refused in a way that trying again does not mend.
    GivenUp(Error),
    /// Somebody else has written the document: stopped, or taken over.
    Lost,
}
