//! The jobs of a pass, and Klaviyo's list beside them.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join;

use crate::error::Error;
use crate::klaviyo::catalog::listing::{self, ListedPage};
use crate::klaviyo::job::Look;
use crate::ports::LocalFuture;
use crate::resources::catalog_jobs::CatalogJobs;
use crate::run::import::{Finished, JobAnswer, Jobs, KnownJobs};
use crate::run::state::{Digests, Job};
use crate::time::Deadline;

/// With so many jobs under way, or fewer, Klaviyo's list is looked at while finished ones are looked for: these may be the
/// last, and then the list is what the deletion waits for. As many are on a page of the list of jobs at most.
const LAST_JOBS: usize = 100;
/// The same for jobs that are polled one by one.
const LAST_POLLED: usize = 4;
/// How long what is known of jobs waits for the list that is looked at beside them.
const LIST_PATIENCE: Duration = Duration::from_secs(3);

/// What Klaviyo lists of the collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Listed {
    /// It may have entries.
    #[default]
    Unknown,
    /// It is being asked.
    Asked,
    /// It has none.
    Nothing,
}

/// The jobs of one pass.
pub(super) struct PassJobs {
    pub(super) jobs: CatalogJobs,
    /// What Klaviyo's list said when it was last asked for jobs.
    pub(super) list: Rc<Cell<Listed>>,
    /// Whether the next pass lists again what the jobs have not done.
    pub(super) is_listed_again: bool,
}

impl PassJobs {
    /// Looks at Klaviyo's list beside the question for jobs, if these may be the last. That it is not empty says nothing,
    /// nor that it cannot be read: then the next pass lists.
    fn look_at_list(
        &self,
        may_be_last: bool,
        deadline: Deadline,
    ) -> impl Future<Output = ()> + 'static {
        let (client, collection) = (self.jobs.client.clone(), self.jobs.collection);
        let list = self.list.clone();
        async move {
            if list.get() == Listed::Asked {
                return;
            }
            list.set(Listed::Unknown);
            if !may_be_last {
                return;
            }
            list.set(Listed::Asked);
            let deadline = deadline.min(client.deadline(LIST_PATIENCE));
            let page = listing::list(&client, collection, collection.path(), deadline).await;
            let has_nothing = |page: ListedPage| page.ids.is_empty() && page.next.is_none();
            list.set(match page.is_ok_and(has_nothing) {
                true => Listed::Nothing,
                false => Listed::Unknown,
            });
        }
    }
}

impl Jobs for PassJobs {
    fn poll(
        &self,
        job: Job,
        known: KnownJobs,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<JobAnswer, Error>> {
        let is_listed_again = self.is_listed_again;
        let looked = self.look_at_list(known.len() <= LAST_POLLED, deadline);
        let answer = self.jobs.poll(job, known, deadline);
        Box::pin(async move {
            let (answer, ()) = join(answer, looked).await;
            Ok(of_a_pass(is_listed_again, answer?))
        })
    }

    fn look(
        &self,
        jobs: Vec<Job>,
        known: KnownJobs,
        look: Look,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Finished, Error>> {
        let is_listed_again = self.is_listed_again;
        let looked = self.look_at_list(known.len() <= LAST_JOBS, deadline);
        let found = self.jobs.look(jobs, known, look, deadline);
        Box::pin(async move {
            let (found, ()) = join(found, looked).await;
            let mut found = found?;
            let jobs = found.jobs.into_iter();
            let jobs = jobs.map(|(job, answer)| (job, of_a_pass(is_listed_again, answer)));
            found.jobs = jobs.collect();
            Ok(found)
        })
    }
}

/// What is still there is listed by the next pass, and counts as failed after the last one.
fn of_a_pass(is_listed_again: bool, answer: JobAnswer) -> JobAnswer {
    let JobAnswer::Done {
        refused,
        again,
        again_digests,
        ..
    } = answer
    else {
        return answer;
    };
    if is_listed_again {
        return JobAnswer::Done {
            left: (refused.len() + again.len() + again_digests.len()) as u64,
            refused: Vec::new(),
            again: Vec::new(),
            again_digests: Digests::default(),
        };
    }
    let again = again.into_iter().map(|(name, reason)| (Some(name), reason));
    let unnamed = "Klaviyo did not delete it: it does not say which".to_owned();
    let unnamed = std::iter::repeat_n((None, unnamed), again_digests.len());
    JobAnswer::Done {
        refused: refused.into_iter().chain(again).chain(unnamed).collect(),
        again: Vec::new(),
        again_digests: Digests::default(),
        left: 0,
    }
}
