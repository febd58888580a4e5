//! The results of catalog jobs, entry by entry.

use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;

use crate::error::Error;
use crate::klaviyo;
use crate::klaviyo::bulk::{BulkAction, BulkEndpoint};
use crate::klaviyo::catalog::job::{self, EntryError, Named, Outcome};
use crate::klaviyo::catalog::listing::{CatalogCollection, existing};
use crate::klaviyo::job::{JobState, Look, unknown_in_progress};
use crate::mapping::product::{Write, compound_id};
use crate::ports::LocalFuture;
use crate::run::import::{Finished, JobAnswer, Jobs, KnownJobs, MAX_DECISIONS, Refused};
use crate::run::state::{Digests, EntryName, Job};
use crate::time::{Deadline, between};

/// The jobs of one group: enough that the last jobs of a group waste little capacity, few enough that little is sent
/// again after a crash.
pub(super) const JOBS_A_GROUP: usize = 8;

/// So long after a job was submitted, no other job is waited for: the longest recorded one took 274 s.
const PATIENCE: Duration = Duration::from_secs(600);

/// The write for an entry, with the index of its endpoint: creating comes first, updating second.
pub(super) fn write_of(is_there: bool) -> (usize, Write) {
    if is_there {
        (1, Write::Update)
    } else {
        (0, Write::Create)
    }
}

/// What is done about the entries of a finished job: names with reasons.
#[derive(Debug, Default, PartialEq, Eq)]
struct Resolution {
    /// Entries that count as failed.
    refused: Refused,
    /// Entries of which it is not known what became of them, or that may be decided in another way by now.
    again: Vec<(String, String)>,
}

/// Compares a job's entries with its errors and with what it made.
///
/// Errors are matched by the entry's id, then by its index. Of two entries with one id, the first was taken. A failed entry
/// that no error names is one of those that the job did not make; where it says that it made all others, one of these.
/// A create that is neither among what the job made nor among its errors may have met an entry that is there already.
/// If nothing is decided another time, as this `is_last`, failures that nothing names count without a name.
fn resolve(
    endpoint: &BulkEndpoint,
    id_of: fn(&str) -> &str,
    entries: &[String],
    outcome: Outcome,
    is_last: bool,
) -> Resolution {
    let mut by_id: HashMap<&str, VecDeque<usize>> = HashMap::new();
    for (index, name) in entries.iter().enumerate() {
        by_id.entry(id_of(name)).or_default().push_back(index);
    }
    let mut resolution = Resolution::default();
    let mut is_failed = vec![false; entries.len()];
    let mut unnamed_reason = None;
    for error in &outcome.errors {
        let index = match &error.named {
            Named::Id(id) => by_id.get_mut(id.as_str()).and_then(VecDeque::pop_back),
            Named::Index(index) => Some(*index),
            Named::Nobody => None,
        };
        let index = index.filter(|&index| is_failed.get(index) == Some(&false));
        let reason = reason(endpoint, error);
        let Some(index) = index else {
            unnamed_reason.get_or_insert(reason);
            continue;
        };
        is_failed[index] = true;
        let name = entries[index].clone();
        if endpoint.may_be_decided_again(&error.field) {
            resolution.again.push((name, reason));
        } else {
            resolution.refused.push((Some(name), reason));
        }
    }
    let named = is_failed.iter().filter(|&&is_failed| is_failed).count();
    let mut unnamed = outcome.failed.saturating_sub(named);
    let is_made = |index: usize| outcome.made.contains(id_of(&entries[index]));
    let (made, not_made): (Vec<usize>, Vec<usize>) = (0..entries.len())
        .filter(|&index| !is_failed[index])
        .partition(|&index| is_made(index));
    let unnamed_reason = unnamed_reason
        .unwrap_or_else(|| format!("Klaviyo did not {}: no error", endpoint.post.name));
    let mut unknown = Vec::new();
    if unnamed > 0 || endpoint.action == BulkAction::Create {
        unnamed = unnamed.saturating_sub(not_made.len());
        unknown.extend(not_made);
    }
    // more failures than entries that were not made
    let unnamed = unnamed.min(made.len());
    match is_last {
        true => {
            let failures = std::iter::repeat_n((None, unnamed_reason.clone()), unnamed);
            resolution.refused.extend(failures);
        }
        false if unnamed > 0 => unknown.extend(made),
        false => {}
    }
    let unknown = unknown.into_iter().map(|index| entries[index].clone());
    resolution
        .again
        .extend(unknown.map(|name| (name, unnamed_reason.clone())));
    resolution
}

/// How the external id of an entry is read from its name: a variant's is its sku, a part of a product.
fn ids_in(collection: CatalogCollection) -> fn(&str) -> &str {
    match collection {
        CatalogCollection::Categories | CatalogCollection::Items => |name| name,
        CatalogCollection::Variants => |name| EntryName::read(name).part.unwrap_or(name),
    }
}

/// The jobs of some endpoints, whose entries are of one collection.
pub(super) struct CatalogJobs {
    pub(super) client: Rc<klaviyo::Client>,
    pub(super) endpoints: &'static [&'static BulkEndpoint],
    pub(super) collection: CatalogCollection,
}

impl Jobs for CatalogJobs {
    fn poll(
        &self,
        job: Job,
        known: KnownJobs,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<JobAnswer, Error>> {
        let (client, collection) = (self.client.clone(), self.collection);
        let Some(endpoint) = self.endpoint(&job.kind) else {
            return Box::pin(async { Ok(JobAnswer::Unknown) });
        };
        Box::pin(async move { poll(&client, endpoint, collection, job, &known, deadline).await })
    }

    fn look(
        &self,
        jobs: Vec<Job>,
        known: KnownJobs,
        look: Look,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Finished, Error>> {
        let (client, collection) = (self.client.clone(), self.collection);
        let endpoint = jobs.first().and_then(|job| self.endpoint(&job.kind));
        let Some(endpoint) = endpoint else {
            return Box::pin(async { Ok(Finished::default()) });
        };
        Box::pin(async move {
            look_for(&client, endpoint, collection, &jobs, &known, look, deadline).await
        })
    }
}

impl CatalogJobs {
    fn endpoint(&self, kind: &str) -> Option<&'static BulkEndpoint> {
        let mut endpoints = self.endpoints.iter();
        endpoints.find(|endpoint| endpoint.key == kind).copied()
    }
}

async fn poll(
    client: &klaviyo::Client,
    endpoint: &'static BulkEndpoint,
    collection: CatalogCollection,
    job: Job,
    known: &HashSet<String>,
    deadline: Deadline,
) -> Result<JobAnswer, Error> {
    let outcome = match job::read(client, endpoint, &job.id, deadline).await? {
        JobState::UnderWay => return Ok(JobAnswer::NotYet),
        JobState::Cancelled => return Ok(JobAnswer::Cancelled),
        JobState::Unknown => return Ok(JobAnswer::Unknown),
        JobState::Complete(outcome) => outcome,
    };
    if waits_for_others(client, endpoint, &job) {
        let unknown = unknown_in_progress(client, endpoint, known, deadline).await?;
        if is_early(&outcome, &unknown) {
            return Ok(JobAnswer::NotYet);
        }
    }
    decide(client, endpoint, collection, job, outcome, deadline).await
}

/// The results of those of these jobs that are in the list of complete jobs.
async fn look_for(
    client: &klaviyo::Client,
    endpoint: &'static BulkEndpoint,
    collection: CatalogCollection,
    jobs: &[Job],
    known: &HashSet<String>,
    look: Look,
    deadline: Deadline,
) -> Result<Finished, Error> {
    let wanted = jobs.iter().map(|job| (job.id.as_str(), job.since));
    let listed = job::read_finished(client, endpoint, wanted.collect(), look, deadline).await?;
    let mut found = Finished {
        pages: listed.pages,
        next: listed.next,
        ..Finished::default()
    };
    let jobs: HashMap<&str, &Job> = jobs.iter().map(|job| (job.id.as_str(), job)).collect();
    let is_waiting = |job: &Job| waits_for_others(client, endpoint, job);
    let mut finished = listed
        .jobs
        .iter()
        .filter_map(|(id, _)| jobs.get(id.as_str()));
    let unknown = match finished.any(|job| is_waiting(job)) {
        true => unknown_in_progress(client, endpoint, known, deadline).await?,
        false => Vec::new(),
    };
    for (id, outcome) in listed.jobs {
        let Some(&job) = jobs.get(id.as_str()) else {
            continue;
        };
        let ahead = outcome.created.map(|created| between(created, job.since));
        found.clock_ahead = found.clock_ahead.max(ahead);
        if is_waiting(job) && is_early(&outcome, &unknown) {
            continue;
        }
        let answer = decide(client, endpoint, collection, job.clone(), outcome, deadline).await?;
        found.jobs.push((job.clone(), answer));
    }
    Ok(found)
}

/// Whether this job has deleted variants that are to be created under another item, and others may have to be waited for.
fn waits_for_others(client: &klaviyo::Client, endpoint: &BulkEndpoint, job: &Job) -> bool {
    endpoint.action == BulkAction::Move && between(job.since, client.now()) < PATIENCE
}

/// Whether the variants of a job that has moved them cannot be created yet: a job that nobody knows, and that was created
/// before it, may delete them once more. A window that was killed, or a request whose response was lost, leaves such a job
/// behind; the one that took its place can overtake it. `unknown` is when those in progress were created.
fn is_early(outcome: &Outcome, unknown: &[Option<Timestamp>]) -> bool {
    let is_later = |other: &Option<Timestamp>| matches!((other, outcome.created), (Some(other), Some(own)) if *other > own);
    !unknown.iter().all(is_later)
}

/// What is done about the entries of a finished job.
async fn decide(
    client: &klaviyo::Client,
    endpoint: &'static BulkEndpoint,
    collection: CatalogCollection,
    job: Job,
    outcome: Outcome,
    deadline: Deadline,
) -> Result<JobAnswer, Error> {
    if job.entries.is_empty() && !job.digests.is_empty() {
        let gone = match endpoint.action {
            BulkAction::Delete => those_gone(client, collection, &outcome, deadline).await?,
            _ => HashSet::new(),
        };
        return Ok(decide_by_digests(endpoint, &job, &outcome, &gone));
    }
    if endpoint.action == BulkAction::Move {
        // deleted by this job or by somebody else: the variants are created now, or looked up another time
        let why = format!("Klaviyo did not {}", endpoint.post.name);
        let again = job.entries.into_iter().map(|name| (name, why.clone()));
        return Ok(JobAnswer::Done {
            refused: Vec::new(),
            again: again.collect(),
            again_digests: Digests::default(),
            left: 0,
        });
    }
    let (failed, id_of) = (outcome.failed, ids_in(collection));
    let is_last = job.attempt >= MAX_DECISIONS;
    let Resolution {
        mut refused,
        mut again,
    } = resolve(endpoint, id_of, &job.entries, outcome, is_last);
    let is_deletion = endpoint.action == BulkAction::Delete;
    let there = match is_deletion || (is_last && endpoint.action == BulkAction::Create) {
        true => {
            let ids: HashSet<&str> = again.iter().map(|(name, _)| id_of(name)).collect();
            let ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
            existing(client, collection, &ids, deadline).await?
        }
        false => HashSet::new(),
    };
    let is_there = |(name, _): &(String, String)| there.contains(&compound_id(id_of(name)));
    if is_deletion {
        // what is not there any more is as wanted, whoever has deleted it
        again.retain(is_there);
    }
    if is_last {
        // what is there although it was to be created is updated, whoever has created it
        let last = again.extract_if(.., |entry| is_deletion || !is_there(entry));
        // without any failure, what is not listed is not known to have failed
        let last = last.filter(|_| failed > 0);
        refused.extend(last.map(|(name, reason)| (Some(name), reason)));
    }
    Ok(JobAnswer::Done {
        refused,
        again,
        again_digests: Digests::default(),
        left: 0,
    })
}

/// The external ids of those entries that errors name and that Klaviyo does not have any more: as wanted, whoever has deleted
/// them.
async fn those_gone(
    client: &klaviyo::Client,
    collection: CatalogCollection,
    outcome: &Outcome,
    deadline: Deadline,
) -> Result<HashSet<String>, Error> {
    let errors = outcome.errors.iter();
    let named = errors.filter_map(|error| match &error.named {
        Named::Id(id) => Some(id.clone()),
        Named::Index(_) | Named::Nobody => None,
    });
    let ids: Vec<String> = named.collect();
    let there = existing(client, collection, &ids, deadline).await?;
    let is_gone = |id: &String| !there.contains(&compound_id(id));
    Ok(ids.into_iter().filter(is_gone).collect())
}

/// The same for a job whose entries are known by their digests, as it was submitted by an earlier window: what it did not
/// take is read again, and is known by name then. Where more failed than it did not make, that is all of it; but what it
/// has deleted is not to be found again, and such failures count without a name. What is `gone` was to be deleted.
fn decide_by_digests(
    endpoint: &BulkEndpoint,
    job: &Job,
    outcome: &Outcome,
    gone: &HashSet<String>,
) -> JobAnswer {
    let made = || outcome.made.iter().chain(gone).map(String::as_str);
    let not_made = || job.digests.without(made());
    let mut again_digests = match endpoint.action {
        BulkAction::Move => job.digests.clone(),
        BulkAction::Create => not_made(),
        _ if outcome.failed > gone.len() => not_made(),
        _ => Digests::default(),
    };
    let mut unnamed = outcome
        .failed
        .saturating_sub(again_digests.len() + gone.len());
    if unnamed > 0 && endpoint.action != BulkAction::Delete {
        again_digests = job.digests.clone();
        unnamed = 0;
    }
    let reason = format!(
        "Klaviyo did not {}: it does not say which",
        endpoint.post.name
    );
    JobAnswer::Done {
        refused: std::iter::repeat_n((None, reason), unnamed).collect(),
        again: Vec::new(),
        again_digests,
        left: 0,
    }
}

/// The operation with Klaviyo's code and field; never its message, which can quote the record.
fn reason(endpoint: &BulkEndpoint, error: &EntryError) -> String {
    let (what, code) = (endpoint.post.name, &error.code);
    match error.field.as_str() {
        "" => format!("Klaviyo did not {what}: {code}"),
        field => format!("Klaviyo did not {what}: {code} at {field}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::klaviyo::catalog::{CREATE_ITEMS, CREATE_VARIANTS, DELETE_VARIANTS, UPDATE_ITEMS};

    const ITEMS: [&str; 3] = ["a", "b", "c"];

    fn resolved(
        endpoint: &BulkEndpoint,
        entries: &[&str],
        errors: &[(Named, &str)],
        failed: usize,
        made: &[&str],
    ) -> (Vec<Option<String>>, Vec<String>) {
        resolved_when(false, endpoint, entries, errors, failed, made)
    }

    fn resolved_when(
        is_last: bool,
        endpoint: &BulkEndpoint,
        entries: &[&str],
        errors: &[(Named, &str)],
        failed: usize,
        made: &[&str],
    ) -> (Vec<Option<String>>, Vec<String>) {
        let entries: Vec<String> = entries.iter().copied().map(str::to_owned).collect();
        let errors = errors.iter().map(|(named, field)| EntryError {
            named: named.clone(),
            field: (*field).to_owned(),
            code: "invalid".to_owned(),
        });
        let outcome = Outcome {
            errors: errors.collect(),
            failed,
            made: made.iter().copied().map(str::to_owned).collect(),
            created: None,
        };
        let collection = match entries.iter().any(|name| name.contains('/')) {
            true => CatalogCollection::Variants,
            false => CatalogCollection::Items,
        };
        let id_of = ids_in(collection);
        let Resolution { refused, again } = resolve(endpoint, id_of, &entries, outcome, is_last);
        (
            refused.into_iter().map(|(name, _)| name).collect(),
            again.into_iter().map(|(name, _)| name).collect(),
        )
    }

    fn id(id: &str) -> Named {
        Named::Id(id.to_owned())
    }

    #[test]
    fn what_is_wrong_with_an_entry_is_a_failure_and_whether_it_is_there_is_decided_again() {
        for (endpoint, field, is_final) in [
            (&CREATE_ITEMS, "/attributes/external_id", false),
            (&CREATE_ITEMS, "", false),
            (&UPDATE_ITEMS, "/id", false),
            (&UPDATE_ITEMS, "/relationships/categories", false),
            (&CREATE_ITEMS, "/attributes/title", true),
        ] {
            let (refused, again) = resolved(endpoint, &ITEMS, &[(id("b"), field)], 1, &["a", "c"]);
            let expected = match is_final {
                true => (vec![Some("b".to_owned())], Vec::new()),
                false => (Vec::new(), vec!["b".to_owned()]),
            };
            assert_eq!((refused, again), expected, "{field}");
        }
    }

    #[test]
    fn a_variant_is_found_by_its_sku_and_an_entry_by_its_index() {
        let names = ["p/X", "p/Y", "q/Z"];
        let (refused, again) = resolved(
            &CREATE_VARIANTS,
            &names,
            &[(id("Z"), ""), (Named::Index(0), "")],
            2,
            &["Y"],
        );
        assert_eq!((refused, again), (vec![], vec!["q/Z".into(), "p/X".into()]));
    }

    #[test]
    fn a_failure_that_no_error_names_is_one_of_those_that_were_not_made() {
        let nobody = [(Named::Nobody, "")];
        let (refused, again) = resolved(&UPDATE_ITEMS, &ITEMS, &nobody, 1, &["a", "c"]);
        assert_eq!((refused, again), (vec![], vec!["b".into()]));
        // an index or an id that the job does not have names nobody
        for named in [Named::Index(9), id("nope")] {
            let (refused, again) = resolved(&UPDATE_ITEMS, &ITEMS, &[(named, "")], 1, &["a", "c"]);
            assert_eq!((refused, again), (vec![], vec!["b".into()]));
        }
    }

    #[test]
    fn where_all_were_made_and_one_failed_all_are_decided_again_until_the_last_time() {
        let all = || ITEMS.map(str::to_owned).to_vec();
        let nobody = [(Named::Nobody, "")];
        for endpoint in [&CREATE_ITEMS, &UPDATE_ITEMS, &DELETE_VARIANTS] {
            let first = resolved(endpoint, &ITEMS, &nobody, 1, &ITEMS);
            assert_eq!(first, (vec![], all()));
            let last = |failed| resolved_when(true, endpoint, &ITEMS, &nobody, failed, &ITEMS);
            assert_eq!(last(1), (vec![None], vec![]));
            assert_eq!(last(99).0.len(), 3, "no more failures than entries");
        }
        // what failed for its content stays a failure
        let content = [(id("b"), "/attributes/title")];
        let (refused, again) = resolved(&UPDATE_ITEMS, &ITEMS, &content, 2, &ITEMS);
        assert_eq!(refused, [Some("b".to_owned())]);
        assert_eq!(again, ["a", "c"]);
        // of one that was not made, nothing else is looked up
        let (refused, again) = resolved(&UPDATE_ITEMS, &ITEMS, &nobody, 1, &["a", "c"]);
        assert_eq!((refused, again), (vec![], vec!["b".into()]));
    }

    #[test]
    fn a_create_that_made_nothing_of_an_entry_is_decided_again_and_other_jobs_are_believed() {
        let (refused, again) = resolved(&CREATE_ITEMS, &ITEMS, &[], 0, &["a"]);
        assert_eq!((refused, again), (vec![], vec!["b".into(), "c".into()]));
        for endpoint in [&UPDATE_ITEMS, &DELETE_VARIANTS] {
            let nothing = resolved(endpoint, &ITEMS, &[], 0, &[]);
            assert_eq!(nothing, (vec![], vec![]));
        }
    }
}
