//! Bulk jobs, as far as all kinds of them have it in common: an id, a status, counts.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::bulk::{BulkEndpoint, job_path};
use super::client::Client;
use crate::error::{Error, Peer};
use crate::time::Deadline;

/// How a job stands; `T` is what is known of one that is finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState<T> {
    /// Queued or processing.
    UnderWay,
    /// Finished; that says nothing of success.
    Complete(T),
    /// Ended before it was finished: what became of its documents is not known.
    Cancelled,
    /// Klaviyo knows no such job (any more).
    Unknown,
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
}

/// What every job's attributes have, with those of its kind.
#[derive(Deserialize)]
struct Attributes<T> {
    status: String,
    #[serde(flatten)]
    outcome: T,
}

/// The id of the job that an answer is about, where it has one.
pub(super) fn read_id(answer: &[u8]) -> Option<String> {
    let document: JobDocument<IgnoredAny> = serde_json::from_slice(answer).ok()?;
    document.data.id
}

/// Reads how a job of this endpoint stands; `T` is read from its attributes.
///
/// # Errors
/// Where Klaviyo does not answer or refuses, or answers with no job.
pub(super) async fn read<T: DeserializeOwned>(
    client: &Client,
    bulk: &'static BulkEndpoint,
    id: &str,
    deadline: Deadline,
) -> Result<JobState<T>, Error> {
    let endpoint = bulk.read_job.unwrap_or(bulk.post);
    let answer = match client.get(endpoint, &job_path(bulk, id), deadline).await {
        Err(error) if error.status() == Some(404) => return Ok(JobState::Unknown),
        answer => answer?,
    };
    let document: Option<JobDocument<Attributes<T>>> = serde_json::from_slice(&answer).ok();
    let attributes = document.and_then(|document| document.data.attributes);
    let Some(Attributes { status, outcome }) = attributes else {
        return Err(Error::unreadable(
            Peer::Klaviyo,
            endpoint.name,
            "a job with its status",
        ));
    };
    Ok(match status.as_str() {
        "complete" => JobState::Complete(outcome),
        "cancelled" => JobState::Cancelled,
        _ => JobState::UnderWay,
    })
}
