//! What a run asks of a resource: the window drives an [`Import`] and knows nothing of what it imports.

use std::rc::Rc;

use super::page::{Page, PageQuery};
use super::state::{Job, Note, RunDocument, RunOptions};
use crate::error::Error;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::ports::LocalFuture;
use crate::time::Deadline;

/// Records that Klaviyo did not take: id, or name in the cursor, where it is known, and reason.
pub type Refused = Vec<(Option<String>, String)>;

/// A document that is sent again in another form.
#[derive(Debug)]
pub struct Mended {
    /// The record's id, where it is known.
    pub id: Option<String>,
    /// The document.
    pub document: Vec<u8>,
}

/// What a job's answer says.
#[derive(Debug)]
pub enum JobAnswer {
    /// It is still under way.
    NotYet,
    /// It is finished.
    Done {
        /// Entries that it did not take.
        refused: Refused,
        /// Entries that are to be read and sent another time, by their name in the cursor, and why it did not take them.
        again: Vec<(String, String)>,
        /// How many entries it did not take that a later phase comes upon again, so that they are not counted yet.
        left: u64,
    },
    /// It is finished, or a page of its errors has been read.
    Read {
        /// Records that it did not take.
        refused: Refused,
        /// Documents to send again in another form.
        mended: Vec<Mended>,
        /// Where to go on reading its errors.
        errors_at: Option<String>,
    },
    /// It ended before it was finished: its records are read and sent again.
    Cancelled,
    /// Klaviyo knows it no more.
    Unknown,
}

/// How one resource is imported.
pub trait Import {
    /// Where documents go.
    fn bulk_endpoints(&self) -> &'static [&'static BulkEndpoint];

    /// Batches that are committed together. One where a job has to be traced back to its records.
    fn batches_a_group(&self) -> usize;

    /// What the cursor calls the phase; `None` where the import has one only.
    fn phase(&self) -> Option<String> {
        None
    }

    /// Which of its phases the run is in, counted from 0, and how many it has; `None` where that shows only on the way.
    fn phase_position(&self) -> Option<(u64, u64)> {
        Some((0, 1))
    }

    /// What comes when this phase is over: everything read, and Klaviyo's jobs finished.
    fn next_phase(&self) -> Option<Rc<dyn Import>> {
        None
    }

    /// Whether this phase counts variants, which are counted apart.
    fn counts_variants(&self) -> bool {
        false
    }

    /// How many records the run has to read; checks in passing that they may be read at all.
    fn total(
        &self,
        options: &RunOptions,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<u64, Error>>;

    /// What is to be said of records that the run does not read: notes of its counts.
    fn unread_notes(
        &self,
        _options: &RunOptions,
        _deadline: Deadline,
    ) -> LocalFuture<'static, Result<Vec<(Note, u64)>, Error>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Reads a page and everything that mapping its records needs.
    fn fetch(
        &self,
        query: PageQuery,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Page, Error>>;

    /// Reads how a job stands.
    fn poll_job(
        &self,
        job: Job,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<JobAnswer, Error>>;
}

/// Makes the import that a run needs.
pub trait ImportFactory {
    /// What a run does, in the phase that it is in.
    fn import(&self, run: &RunDocument) -> Rc<dyn Import>;
}
