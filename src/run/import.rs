//! What a run asks of a resource: the window drives an [`Import`] and knows nothing of what it imports.

use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use super::page::{Page, PageQuery};
use super::state::{
    Cursor, Digests, IdRange, Job, Note, PhaseName, RemovalKind, Resource, RunDocument, RunOptions,
};
use crate::error::Error;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::job::Look;
use crate::ports::LocalFuture;
use crate::time::Deadline;

/// How often an entry is looked up and decided again (create, update, nothing to do) before it counts as failed.
pub const MAX_DECISIONS: u32 = 2;

/// Records that Klaviyo rejected: id, or name in the cursor, if it is known, and reason.
pub type Refused = Vec<(Option<String>, String)>;

/// The ids of all jobs of a kind that a run has under way.
pub type KnownJobs = Rc<HashSet<String>>;

/// A document that is sent again in another form.
#[derive(Debug)]
pub struct Mended {
    /// The record's id, where it is known.
    pub id: Option<String>,
    /// The document.
    pub document: Vec<u8>,
    /// What is counted for it.
    pub notes: Vec<Note>,
}

/// The result of polling a job.
#[derive(Debug)]
pub enum JobAnswer {
    /// It is still under way.
    NotYet,
    /// It is finished.
    Done {
        /// Entries that it rejected.
        refused: Refused,
        /// Entries that are to be read and sent another time, by their name in the cursor, and why it did not take
        /// them.
        again: Vec<(String, String)>,
        /// The same, of a job whose entries are known by their digests.
        again_digests: Digests,
        /// The number of rejected entries that a later phase reads again, so that they are not counted yet.
        left: u64,
    },
    /// It is finished, or a page of its errors has been read.
    Read {
        /// Records that it rejected.
        refused: Refused,
        /// Documents to send again in another form.
        mended: Vec<Mended>,
        /// The number of records that it rejected, as far as no error can be read that says which.
        unnamed: u64,
        /// The page of its errors to read next.
        errors_at: Option<String>,
    },
    /// Klaviyo cancelled it: its records are read and sent again.
    Cancelled,
    /// Klaviyo does not know it, or no longer.
    Unknown,
}

/// What a look into Klaviyo's list of finished jobs has found.
#[derive(Debug, Default)]
pub struct Finished {
    /// The results of those of the jobs that are finished.
    pub jobs: Vec<(Job, JobAnswer)>,
    /// The pages of the list that were read.
    pub pages: u32,
    /// The path of the page to go on with, if there may be more of the jobs further back.
    pub next: Option<String>,
    /// By how much our clock is ahead of Klaviyo's, as far as the jobs show it.
    pub clock_ahead: Option<Duration>,
}

/// What the entries of a job are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobEntries {
    /// Records that have no parts.
    Records,
    /// Records that Klaviyo has: their parts are sent beside them.
    RecordsBesideParts,
    /// Records that are new to Klaviyo: their parts follow when the job is finished.
    RecordsBeforeParts,
    /// Records that Klaviyo had: their parts, which went with them and count already, follow when the job is finished.
    RecordsAnew,
    /// Parts of records, which are counted apart.
    Parts,
}

/// What follows when everything of a phase is read and Klaviyo's jobs are finished.
pub enum NextPhase {
    /// Nothing: the run is over.
    None,
    /// The next phase.
    Begin {
        /// What it does.
        import: Rc<dyn Import>,
        /// The ids of the records that it reads; empty for all of them.
        records: Vec<String>,
    },
    /// The next phase would remove more than a run removes without an operator's word. This one is repeated when there
    /// is one.
    Unconfirmed {
        /// The ids of the records that are read again then; empty for all of them.
        records: Vec<String>,
    },
}

impl NextPhase {
    /// A phase that reads all records.
    pub fn reading_all(import: impl Import + 'static) -> Self {
        Self::Begin {
            import: Rc::new(import),
            records: Vec::new(),
        }
    }
}

/// What tells the results of jobs of one kind. `known` are always all jobs of the kind that the run has under way.
pub trait Jobs {
    /// Polls a job.
    fn poll(
        &self,
        job: Job,
        known: KnownJobs,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<JobAnswer, Error>>;

    /// Looks for those of these jobs that are finished in Klaviyo's list of such jobs, and gives the results of those
    /// that it finds.
    fn look(
        &self,
        _jobs: Vec<Job>,
        _known: KnownJobs,
        _look: Look,
        _deadline: Deadline,
    ) -> LocalFuture<'static, Result<Finished, Error>> {
        Box::pin(async { Ok(Finished::default()) })
    }
}

/// How one resource is imported.
pub trait Import {
    /// The endpoints that documents are sent to.
    fn bulk_endpoints(&self) -> &'static [&'static BulkEndpoint];

    /// Batches that are committed together. One where a job has to be traced back to its records.
    fn batches_a_group(&self) -> usize;

    /// The name of the phase in the cursor; `None` if the import has only one.
    fn phase(&self) -> Option<PhaseName> {
        None
    }

    /// The index of the run's phase, and the number of its phases; `None` if that is not known in advance.
    fn phase_position(&self) -> Option<(u64, u64)> {
        Some((0, 1))
    }

    /// The ranges of everything that the phase reads: of the id space so many, if it can be cut.
    fn ranges(&self, run: &RunDocument, configured: usize) -> Vec<IdRange> {
        Cursor::all_ranges(&run.options, configured)
    }

    /// How large a record is, about, in bytes, where that is known before one has been read.
    fn record_bytes(&self) -> Option<usize> {
        None
    }

    /// Whether what the phase has found says enough: nothing more is read in it.
    fn needs_no_more(&self, _run: &RunDocument) -> bool {
        false
    }

    /// What it finds in Klaviyo that commercetools no longer has.
    fn removal_kind(&self) -> RemovalKind {
        RemovalKind::Variants
    }

    /// The phase that follows when everything of this one is read and Klaviyo's jobs are finished.
    fn next_phase(&self, _run: &RunDocument) -> NextPhase {
        NextPhase::None
    }

    /// What the entries of a job of this kind are.
    fn job_entries(&self, _kind: &str) -> JobEntries {
        JobEntries::Records
    }

    /// What is noted of each entry of a job of this kind, where it is the same for all of them. An entry that is sent again
    /// is noted again.
    fn note_of(&self, _kind: &str) -> Option<Note> {
        None
    }

    /// The number of records that the run has to read. Also checks that they can be read at all.
    fn total(
        &self,
        options: &RunOptions,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<u64, Error>>;

    /// Notes about records that the run does not read.
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

    /// Whether fetching changes nothing in Klaviyo: then it may begin before the lease is there.
    fn fetching_only_reads(&self) -> bool {
        true
    }

    /// Whether its first page costs so little that it is read before it is known whether the run may begin.
    fn may_read_early(&self) -> bool {
        false
    }

    /// Whether a later phase lists again what jobs have not done.
    fn lists_again(&self) -> bool {
        false
    }

    /// Whether records can be read and sent before their parts, with
    /// [`Only::RecordsFirst`](crate::run::state::Only::RecordsFirst).
    fn may_send_records_first(&self) -> bool {
        false
    }

    /// Whether finished jobs can be found by [`Jobs::look`].
    fn lists_jobs(&self) -> bool {
        false
    }

    /// What tells the results of the jobs of this kind; `None` if Klaviyo makes no job that can be read.
    fn jobs(&self, _kind: &str) -> Option<Box<dyn Jobs>> {
        None
    }
}

/// Makes the import that a run needs.
pub trait ImportFactory {
    /// What a run does, in the phase that it is in.
    fn import(&self, run: &RunDocument) -> Rc<dyn Import>;

    /// Whether Klaviyo has unfinished jobs of this resource, whoever submitted them.
    fn has_jobs(
        &self,
        resource: Resource,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<bool, Error>>;
}
