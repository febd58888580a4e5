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
        "complete" => {
            let made = relationships.and_then(|related| related.items?.data);
            let ids = made.unwrap_or_default().into_iter().map(|made| made.id);
            JobState::Complete((outcome, ids.collect()))
        }
        "cancelled" => JobState::Cancelled,
        _ => JobState::UnderWay,
    })
}
