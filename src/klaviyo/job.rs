//! Bulk jobs: what all kinds of them have in common.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::bulk::{BulkEndpoint, job_path};
use super::client::Client;
use super::links::{Links, next_path};
use crate::error::{Error, Peer};
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

/// A page of finished jobs, newest first.
pub(super) struct FinishedPage<T> {
    /// The jobs by id, with when they were created, if that can be read.
    pub(super) jobs: Vec<(String, Option<Timestamp>, Finished<T>)>,
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
    #[serde(default)]
    created_at: Option<String>,
    #[serde(flatten)]
    attributes: Attributes<T>,
}

/// The path of the first page of the complete jobs of an endpoint. Lists of catalog jobs were recorded with this filter,
/// newest first; they do not take `page[size]`.
pub(super) fn finished_path(bulk: &BulkEndpoint) -> String {
    format!("{}?filter=equals(status,%22complete%22)", bulk.path)
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
    let endpoint = bulk.read_job.unwrap_or(bulk.post);
    let answer = client.get(endpoint, path, deadline).await?;
    let unreadable = || Error::unreadable(Peer::Klaviyo, endpoint.name, "a page of jobs");
    let page: JobPage<Listed<T>> = serde_json::from_slice(&answer).map_err(|_| unreadable())?;
    let next = next_path(page.links, path).map_err(|_| unreadable())?;
    let jobs = page.data.into_iter().filter_map(|job| {
        let Listed {
            created_at,
            attributes,
        } = job.attributes?;
        let created = created_at.and_then(|moment| moment.parse().ok());
        let is_complete = attributes.status == "complete";
        let finished = (attributes.outcome, made(job.relationships));
        is_complete.then_some((job.id?, created, finished))
    });
    Ok(FinishedPage {
        jobs: jobs.collect(),
        next,
    })
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
