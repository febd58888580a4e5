//! Bulk jobs: what all kinds of them have in common.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::bulk::{BulkEndpoint, job_path};
use super::client::Client;
use crate::error::{Error, Peer};
use crate::time::Deadline;

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

/// Reads the state of a job of this endpoint; `T` is read from its attributes.
///
/// # Errors
/// If Klaviyo does not respond or rejects the request, and if the response is not a job.
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
