//! Why no run has begun.

use crate::error::Error;
use crate::run::destination::OtherDestination;
use crate::run::state::RunDocument;

/// Why no run has begun.
#[derive(Debug)]
pub enum NotStarted {
    /// There is one already, or its last invocation may still be sending.
    Locked(Box<RunDocument>),
    /// Another start was faster, and its run is over already.
    Outrun,
    /// Changes since the last run are asked for, and no run has brought Klaviyo up to date yet.
    NoLastRun,
    /// What failed is asked for again, and no record that failed is known by its id.
    NothingFailed {
        /// Failed records without a name.
        unnamed: u64,
    },
    /// There is no run that could be taken up.
    NothingToResume,
    /// A run is to be taken up that is going on.
    GoingOn(Box<RunDocument>),
    /// The document names another Klaviyo account.
    OtherDestination(OtherDestination),
    /// An API did not do its part.
    Api(Error),
}

impl From<Error> for NotStarted {
    fn from(error: Error) -> Self {
        Self::Api(error)
    }
}
