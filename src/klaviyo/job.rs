//! Bulk jobs: what all kinds of them have in common.

use std::cell::RefCell;
use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::bulk::{BulkEndpoint, job_path};
use super::catalog::{CATEGORY_JOBS, PRODUCT_JOBS};
use super::client::Client;
use super::job_limit::{self, AFTER_COUNT, BEYOND_A_COMMON_LIMIT, MANY_JOBS, PAUSE};
use super::links::{Links, next_path};
use crate::error::{Access, Error, Peer};
use crate::time::{Deadline, later};

/// The state of a job; `T` is the result of a finished one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState<T> {
    /// Queued or processing.
    UnderWay,
    /// Finished, with or without success.
    Complete(T),
    /// Cancelled by Klaviyo: which of its documents were processed is not known.
    Cancelled,
    /// Klaviyo does not know the job, or no longer.
    Unknown,
}

impl<T> JobState<T> {
    /// The same state with another result.
    pub(super) fn map<U>(self, result: impl FnOnce(T) -> U) -> JobState<U> {
        match self {
            Self::UnderWay => JobState::UnderWay,
            Self::Complete(outcome) => JobState::Complete(result(outcome)),
            Self::Cancelled => JobState::Cancelled,
            Self::Unknown => JobState::Unknown,
        }
    }
}

#[derive(Deserialize)]
struct JobDocument<T> {
    data: JobData<T>,
}

#[derive(Deserialize)]
struct JobData<T> {
    #[serde(default)]
    id: Option<String>,
    #[serde(default = "Option::default")]
    attributes: Option<T>,
    #[serde(default)]
    relationships: Option<Relationships>,
}

/// What a catalog job made. Klaviyo leaves the member out while it has made nothing.
#[derive(Deserialize)]
struct Relationships {
    #[serde(default, alias = "variants", alias = "categories")]
    items: Option<Made>,
}

#[derive(Deserialize)]
struct Made {
    #[serde(default)]
    data: Option<Vec<Identifier>>,
}

#[derive(Deserialize)]
struct Identifier {
    id: String,
}

/// The attributes of a job: the status, and those of its kind.
#[derive(Deserialize)]
struct Attributes<T> {
    status: String,
    #[serde(flatten)]
    outcome: T,
}

/// The id of the job in a response; `None` if there is none.
pub(super) fn read_id(answer: &[u8]) -> Option<String> {
    let document: JobDocument<IgnoredAny> = serde_json::from_slice(answer).ok()?;
    document.data.id
}

/// The attributes of a finished job, and the ids of what it made.
pub(super) type Finished<T> = (T, Vec<String>);

/// Which finished jobs are looked for in the list of them.
#[derive(Debug, Clone)]
pub struct Look {
    /// When the oldest of them was submitted, by our clock.
    pub oldest: Timestamp,
    /// By how much our clock is ahead of Klaviyo's, as far as jobs have shown it.
    pub clock_ahead: Option<Duration>,
    /// The path of the page to begin with, if that is not the first.
    pub from: Option<String>,
}

/// By how much our clock may be ahead of Klaviyo's, as long as nothing is known of it.
const UNKNOWN_CLOCK: Duration = Duration::from_secs(60);
/// By how much that may vary from job to job.
const CLOCK_MARGIN: Duration = Duration::from_secs(3);

impl Look {
    /// Whether jobs that Klaviyo created then may be among those that are looked for, or newer ones than they are.
    pub(super) fn reaches(&self, created: Timestamp) -> bool {
        let ahead = self.clock_ahead.map(|ahead| ahead + CLOCK_MARGIN);
        later(created, ahead.unwrap_or(UNKNOWN_CLOCK)) >= self.oldest
    }
}

/// A page of finished jobs, newest first. Recorded lists are in the order in which the jobs were created, and in that in
/// which they were completed, too: which of the two it is cannot be told from them.
pub(super) struct FinishedPage<T> {
    /// The jobs by id, with when they were created, if that can be read.
    pub(super) jobs: Vec<(String, Option<Timestamp>, Finished<T>)>,
    /// No job on the pages that follow was created after this moment, if one is known.
    pub(super) created_until: Option<Timestamp>,
    /// The path of the next page.
    pub(super) next: Option<String>,
}

#[derive(Deserialize)]
struct JobPage<T> {
    data: Vec<JobData<T>>,
    #[serde(default)]
    links: Option<Links>,
}

#[derive(Deserialize)]
struct Listed<T> {
    #[serde(flatten)]
    moments: Moments,
    #[serde(flatten)]
    attributes: Attributes<T>,
}

/// When a job was created and completed.
#[derive(Deserialize)]
struct Moments {
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    completed_at: Option<String>,
}

impl Moments {
    fn created(&self) -> Option<Timestamp> {
        self.created_at.as_deref()?.parse().ok()
    }

    fn completed(&self) -> Option<Timestamp> {
        self.completed_at.as_deref()?.parse().ok()
    }
}

/// Until when the jobs were created at most that follow these in a list, newest first: none after the last one that was
/// created, if they are in that order, and otherwise none after the last one that was completed.
fn created_until(jobs: &[Moments]) -> Option<Timestamp> {
    let created: Option<Vec<Timestamp>> = jobs.iter().map(Moments::created).collect();
    match created.filter(|created| created.is_sorted_by(|newer, older| newer >= older)) {
        Some(created) => created.last().copied(),
        None => jobs.last().and_then(Moments::completed),
    }
}

/// The path of the first page of the complete jobs of an endpoint.
pub(super) fn finished_path(bulk: &BulkEndpoint) -> String {
    list_path(bulk, "complete")
}

/// The path of the first page of the jobs of an endpoint with this status. Lists of catalog jobs were recorded with such a
/// filter, newest first; they do not take `page[size]`.
fn list_path(bulk: &BulkEndpoint, status: &str) -> String {
    format!("{}?filter=equals(status,%22{status}%22)", bulk.path)
}

/// The jobs on a page of a list of this endpoint's jobs, and the path of the next page.
async fn read_page<T: DeserializeOwned>(
    client: &Client,
    bulk: &'static BulkEndpoint,
    path: &str,
    deadline: Deadline,
) -> Result<(Vec<JobData<T>>, Option<String>), Error> {
    let endpoint = bulk.read_job.unwrap_or(bulk.post);
    let answer = client.get(endpoint, path, deadline).await?;
    let unreadable = || Error::unreadable(Peer::Klaviyo, endpoint.name, "a page of jobs");
    let page: JobPage<T> = serde_json::from_slice(&answer).map_err(|_| unreadable())?;
    let next = next_path(page.links, path).map_err(|_| unreadable())?;
    Ok((page.data, next))
}

/// Reads a page of the complete jobs of this endpoint: its first page is at [`finished_path`].
///
/// # Errors
/// If Klaviyo does not respond or rejects the request, and if the response is not a page of jobs.
pub(super) async fn read_finished<T: DeserializeOwned>(
    client: &Client,
    bulk: &'static BulkEndpoint,
    path: &str,
    deadline: Deadline,
) -> Result<FinishedPage<T>, Error> {
    let (jobs, next) = read_page::<Listed<T>>(client, bulk, path, deadline).await?;
    let mut moments = Vec::new();
    let mut finished = Vec::new();
    for job in jobs {
        let Some(Listed {
            moments: of_job,
            attributes,
        }) = job.attributes
        else {
            continue;
        };
        if let (Some(id), "complete") = (job.id, attributes.status.as_str()) {
            let outcome = (attributes.outcome, made(job.relationships));
            finished.push((id, of_job.created(), outcome));
        }
        moments.push(of_job);
    }
    Ok(FinishedPage {
        jobs: finished,
        created_until: created_until(&moments),
        next,
    })
}

/// Whether at least so many jobs of these endpoints together are queued or processing, whoever submitted them.
///
/// # Errors
/// If Klaviyo does not respond or rejects a request, and if a response is not a page of jobs.
pub async fn are_in_progress(
    client: &Client,
    endpoints: &[&'static BulkEndpoint],
    least: usize,
    deadline: Deadline,
) -> Result<bool, Error> {
    let found = RefCell::default();
    find_in_progress(client, endpoints, least, &found, deadline).await?;
    Ok(found.into_inner().len() >= least)
}

/// Finds jobs of these endpoints that are queued or processing, up to `most` of them together. Each is found once, by its id,
/// although pages shift while they are read. What is `found` before an error stays found.
async fn find_in_progress(
    client: &Client,
    endpoints: &[&'static BulkEndpoint],
    most: usize,
    found: &RefCell<HashSet<String>>,
    deadline: Deadline,
) -> Result<(), Error> {
    let find = |jobs: Vec<JobData<IgnoredAny>>| {
        let mut found = found.borrow_mut();
        found.extend(jobs.into_iter().filter_map(|job| job.id));
        found.len() < most
    };
    let endpoints = endpoints.iter();
    let read = endpoints.map(|endpoint| read_in_progress(client, endpoint, deadline, find));
    try_join_all(read).await?;
    Ok(())
}

/// Reads the pages of the jobs of this endpoint that are queued or processing, as long as `take` wants more of them.
async fn read_in_progress<T: DeserializeOwned>(
    client: &Client,
    bulk: &'static BulkEndpoint,
    deadline: Deadline,
    mut take: impl FnMut(Vec<JobData<T>>) -> bool,
) -> Result<(), Error> {
    // catalog jobs were recorded as `processing` from the beginning; documented are both
    for status in ["processing", "queued"] {
        let mut next = Some(list_path(bulk, status));
        while let Some(path) = next {
            let jobs;
            (jobs, next) = read_page(client, bulk, &path, deadline).await?;
            if !take(jobs) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// When the jobs of this endpoint were created that are queued or processing and not `known`, whoever submitted them; `None`
/// for each of which that cannot be read.
///
/// # Errors
/// As [`are_in_progress`].
pub async fn unknown_in_progress(
    client: &Client,
    bulk: &'static BulkEndpoint,
    known: &HashSet<String>,
    deadline: Deadline,
) -> Result<Vec<Option<Timestamp>>, Error> {
    let mut unknown = Vec::new();
    read_in_progress(client, bulk, deadline, |jobs: Vec<JobData<Moments>>| {
        let is_known =
            |job: &JobData<Moments>| job.id.as_deref().is_some_and(|id| known.contains(id));
        let others = jobs.iter().filter(|job| !is_known(job));
        unknown.extend(others.map(|job| job.attributes.as_ref().and_then(Moments::created)));
        true
    })
    .await?;
    Ok(unknown)
}

/// Whether the limit on jobs of this endpoint may be the cause of a refusal that says of no document what is wrong. It may
/// also where there are some and they cannot be counted before the deadline, page by page: a window that is too short for that
/// is neither to take its documents for bad nor to stand still, but to wait.
///
/// # Errors
/// As [`are_in_progress`].
pub(super) async fn limit_may_be_reached(
    client: &Client,
    bulk: &'static BulkEndpoint,
    deadline: Deadline,
) -> Result<bool, Error> {
    let limit = client.job_limits.of(bulk.key);
    let mut counted = limit.lock().await;
    let now = || client.ports.clock.monotonic();
    if let Some((are_many, until)) = *counted
        && now() < until
    {
        return Ok(are_many);
    }
    let ends = deadline.less(AFTER_COUNT);
    let count = async |endpoints: &[&'static BulkEndpoint], most| {
        let found = RefCell::default();
        let result = find_in_progress(client, endpoints, most, &found, ends).await;
        let found = found.into_inner().len();
        match result {
            Err(_) if found > 0 && ends.is_over(&*client.ports.clock) => Ok(MANY_JOBS),
            result => result.map(|()| found),
        }
    };
    let mut are_many = count(&[bulk], MANY_JOBS).await? >= MANY_JOBS;
    if !are_many {
        let all = [&CATEGORY_JOBS[..], &PRODUCT_JOBS].concat();
        let jobs = count(&all, BEYOND_A_COMMON_LIMIT).await?;
        are_many = (MANY_JOBS..BEYOND_A_COMMON_LIMIT).contains(&jobs);
    }
    *counted = job_limit::counted(are_many, now());
    Ok(are_many)
}

/// The error of a batch that is to be sent again when there are fewer jobs.
pub(super) fn one_job_too_many(bulk: &BulkEndpoint) -> Error {
    let why = "as many jobs as Klaviyo takes";
    Error::throttled(Peer::Klaviyo, bulk.post.name, why, PAUSE).of(Access::Write)
}

fn made(relationships: Option<Relationships>) -> Vec<String> {
    let made = relationships.and_then(|related| related.items?.data);
    let ids = made.unwrap_or_default().into_iter().map(|made| made.id);
    ids.collect()
}

/// Reads the state of a job of this endpoint; `T` is read from its attributes.
///
/// # Errors
/// If Klaviyo does not respond or rejects the request, and if the response is not a job.
pub(super) async fn read<T: DeserializeOwned>(
    client: &Client,
    bulk: &'static BulkEndpoint,
    id: &str,
    deadline: Deadline,
) -> Result<JobState<Finished<T>>, Error> {
    let endpoint = bulk.read_job.unwrap_or(bulk.post);
    let answer = match client.get(endpoint, &job_path(bulk, id), deadline).await {
        Err(error) if error.status() == Some(404) => return Ok(JobState::Unknown),
        answer => answer?,
    };
    let document: Option<JobDocument<Attributes<T>>> = serde_json::from_slice(&answer).ok();
    let Some(JobData {
        attributes: Some(Attributes { status, outcome }),
        relationships,
        ..
    }) = document.map(|document| document.data)
    else {
        return Err(Error::unreadable(
            Peer::Klaviyo,
            endpoint.name,
            "a job with its status",
        ));
    };
    // `complete` says nothing of success, and counts run ahead of the state: only the state is waited for
    Ok(match status.as_str() {
        "complete" => JobState::Complete((outcome, made(relationships))),
        "cancelled" => JobState::Cancelled,
        _ => JobState::UnderWay,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job that was created and completed so many seconds after the same moment.
    fn job(created: i64, completed: i64) -> Moments {
        let at = |second: i64| {
            let at = Timestamp::from_second(1_800_000_000 + second).expect("a time in range");
            Some(at.to_string())
        };
        Moments {
            created_at: at(created),
            completed_at: at(completed),
        }
    }

    #[test]
    fn how_far_back_a_page_reaches_is_known_in_both_orders_of_the_list() {
        let until =
            |jobs: &[Moments]| created_until(jobs).map(|until| until.as_second() - 1_800_000_000);
        let by_creation = [job(50, 60), job(40, 200), job(30, 41)];
        assert_eq!(until(&by_creation), Some(30));
        // a slow job on the first page says nothing of those on the next
        let by_completion = [job(40, 200), job(50, 60), job(30, 55)];
        assert_eq!(until(&by_completion), Some(55));
        let unreadable = Moments {
            created_at: None,
            completed_at: None,
        };
        assert_eq!(until(&[job(50, 60), unreadable]), None);
        assert_eq!(until(&[]), None);
    }
}
