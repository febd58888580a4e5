//! Requests under way, and their results.

use futures_util::stream::FuturesUnordered;

use crate::error::Error;
use crate::klaviyo::sending::Sent;
use crate::ports::LocalFuture;
use crate::run::import::{Finished, Import, JobAnswer};
use crate::run::page::{Page, PageQuery};
use crate::run::state::Job;
use crate::run::store::{Saved, Stored};
use crate::time::Deadline;

/// The result of a request that has ended.
pub(super) enum Arrival {
    /// A page of a range, requested with `limit` records.
    Fetched {
        range: usize,
        limit: usize,
        result: Result<Page, Error>,
    },
    /// A batch of a group.
    Sent {
        group: u64,
        bytes: usize,
        /// The numbers of its entries in the group, if these can be read again by name.
        entries: Option<Vec<usize>>,
        result: Result<Sent, Error>,
    },
    /// The poll of a job.
    Polled {
        job: Box<Job>,
        result: Result<JobAnswer, Error>,
    },
    /// A look into the list of finished jobs, for these.
    Looked {
        jobs: Vec<Job>,
        result: Result<Finished, Error>,
    },
    /// Whether there are jobs of the run before.
    EarlierJobs { result: Result<bool, Error> },
    /// The document.
    Saved {
        stored: Box<Stored>,
        result: Result<Saved, Error>,
    },
}

impl Arrival {
    /// Whether it is that of a page that could not be fetched.
    pub(super) fn is_failed_fetch(&self) -> bool {
        matches!(self, Self::Fetched { result: Err(_), .. })
    }
}

/// The requests under way.
#[derive(Default)]
pub(super) struct InFlight {
    pub(super) calls: FuturesUnordered<LocalFuture<'static, Arrival>>,
    /// How many of them fetch a page.
    pub(super) fetches: usize,
    /// How many of them send a batch.
    pub(super) sends: usize,
    /// The bytes of these batches.
    pub(super) send_bytes: usize,
    /// How many of them poll a job.
    pub(super) polls: usize,
    /// Whether one of them saves the document.
    pub(super) is_saving: bool,
    /// Whether one of them asks for jobs of the run before.
    pub(super) asks_for_earlier_jobs: bool,
}

impl InFlight {
    /// Begins to fetch a page of a range, which has to be there by then.
    pub(super) fn fetch(
        &mut self,
        import: &dyn Import,
        range: usize,
        query: PageQuery,
        hard: Deadline,
    ) {
        let limit = query.limit;
        let page = import.fetch(query, hard);
        self.fetches += 1;
        self.calls.push(Box::pin(async move {
            Arrival::Fetched {
                range,
                limit,
                result: page.await,
            }
        }));
    }
}
