//! Stores what a window knows about failed records, before the run document that counts them.

use super::persisted::failed_records_key;
use super::{Saved, Store, Stored};
use crate::error::Error;
use crate::run::state::{FailedRecords, FailureNews, Resource, RunDocument};
use crate::time::Deadline;

/// Attempts against other invocations that write at the same time.
const ATTEMPTS: usize = 10;

impl Store {
    /// The failed records of a resource; `None` if none have been stored.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub async fn load_failed_records(
        &self,
        resource: Resource,
        deadline: Deadline,
    ) -> Result<Option<Stored<FailedRecords>>, Error> {
        self.load_key(failed_records_key(resource), deadline).await
    }

    /// Saves the run document, and before it the news about failed records, so that none is lost between the two. News
    /// that are stored twice change nothing.
    ///
    /// # Errors
    /// As [`Store::save`].
    pub async fn save_run(&self, stored: &mut Stored, deadline: Deadline) -> Result<Saved, Error> {
        let run = &mut stored.document;
        if !run.sends_records() {
            run.news = FailureNews::default();
        }
        let variants = run.variants.as_ref();
        let has_failures = run.remembered_failures > 0
            || run.counts.failed > 0
            || variants.is_some_and(|variants| variants.failed > 0);
        let has_failures = has_failures || !run.news.is_empty();
        let is_over = run.is_completed() && run.sends_records();
        if !run.news.is_empty() || is_over {
            self.save_news(run, has_failures, deadline).await?;
        }
        self.save(stored, deadline).await
    }

    /// Where the run knows of no failures there may be some all the same: stored by a window of it whose own save did not
    /// get through.
    async fn save_news(
        &self,
        run: &mut RunDocument,
        has_failures: bool,
        deadline: Deadline,
    ) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let found = self.load_failed_records(run.resource, deadline).await?;
            if found.is_none() && !has_failures {
                return Ok(());
            }
            let mut stored = found.unwrap_or_else(|| Stored::new(FailedRecords::from_report(run)));
            if stored.document.is_of_later_run(run) {
                return Ok(());
            }
            let begun = stored.document.as_of(run);
            stored.document.take(run, &run.news);
            run.remembered_failures = stored.document.count();
            // that another run has nothing to add need not be stored
            let is_stored = stored.version > 0 && stored.document == begun;
            if is_stored || self.save(&mut stored, deadline).await? == Saved::Done {
                return Ok(());
            }
        }
        let key = failed_records_key(run.resource);
        let which = format!("{}/{key}", self.container);
        Err(Error::contended("save the failed records", which))
    }
}
