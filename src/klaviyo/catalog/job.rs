//! Catalog jobs: the entries that a finished job rejected.

use std::collections::HashSet;

use serde::Deserialize;

use crate::error::{Error, plain_code, plain_field};
use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::client::Client;
use crate::klaviyo::job::{self, JobState};
use crate::time::Deadline;

/// An entry that a job rejected.
#[derive(Debug, PartialEq, Eq)]
pub struct EntryError {
    /// The entry's index in the request, if Klaviyo says it.
    pub index: Option<usize>,
    /// The field that the error is about, such as `/attributes/title`; empty if Klaviyo does not say it.
    pub field: String,
    /// Klaviyo's code.
    pub code: String,
}

/// The result of a finished job.
#[derive(Deserialize)]
struct Outcome {
    #[serde(default)]
    failed_count: Option<usize>,
    #[serde(default)]
    errors: Option<Vec<JobError>>,
}

#[derive(Deserialize)]
struct JobError {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    source: Option<JobErrorSource>,
}

#[derive(Deserialize)]
struct JobErrorSource {
    #[serde(default)]
    pointer: Option<String>,
}

/// Reads the state of a job of this endpoint; for a finished job, the entries that it rejected.
///
/// # Errors
/// If Klaviyo does not respond or rejects the request.
pub async fn read(
    client: &Client,
    bulk: &'static BulkEndpoint,
    id: &str,
    deadline: Deadline,
) -> Result<JobState<Vec<EntryError>>, Error> {
    Ok(
        match job::read::<Outcome>(client, bulk, id, deadline).await? {
            JobState::Complete(Outcome {
                failed_count,
                errors,
            }) => JobState::Complete(entry_errors(
                bulk,
                errors.unwrap_or_default(),
                failed_count.unwrap_or(0),
            )),
            JobState::UnderWay => JobState::UnderWay,
            JobState::Cancelled => JobState::Cancelled,
            JobState::Unknown => JobState::Unknown,
        },
    )
}

/// One error per entry: the first one with its index. Failed entries without an error get an error without an index.
fn entry_errors(
    bulk: &'static BulkEndpoint,
    errors: Vec<JobError>,
    failed: usize,
) -> Vec<EntryError> {
    let mut indexes = HashSet::new();
    let mut list: Vec<EntryError> = Vec::new();
    // a job cannot have more failures than entries, even if the response says so
    let most = bulk.max_documents;
    for error in errors {
        if list.len() == most {
            break;
        }
        let pointer = error
            .source
            .and_then(|source| source.pointer)
            .unwrap_or_default();
        let below = pointer.strip_prefix(bulk.pointer).unwrap_or_default();
        let (index, field) = below.split_at(below.find('/').unwrap_or(below.len()));
        let index: Option<usize> = index.parse().ok();
        if index.is_none_or(|index| indexes.insert(index)) {
            let code = error.code.and_then(plain_code);
            list.push(EntryError {
                index,
                field: plain_field(field).to_owned(),
                code: code.unwrap_or_else(|| "no code".to_owned()),
            });
        }
    }
    while list.len() < failed.min(most) {
        list.push(EntryError {
            index: None,
            field: String::new(),
            code: "no error that names the entry".to_owned(),
        });
    }
    list
}
