//! Catalog jobs: which entries a finished one did not take.

use std::collections::HashSet;

use serde::Deserialize;

use crate::error::{Error, plain_code, plain_field};
use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::client::Client;
use crate::klaviyo::job::{self, JobState};
use crate::time::Deadline;

/// An entry that a job did not take.
#[derive(Debug, PartialEq, Eq)]
pub struct EntryError {
    /// The entry's index in the request, where Klaviyo says which it is.
    pub index: Option<usize>,
    /// The field that it is about, such as `/attributes/title`; empty where that is not said.
    pub field: String,
    /// Klaviyo's code.
    pub code: String,
}

/// What a finished job says.
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

/// Reads how a job of this endpoint stands; of one that is finished, which entries it did not take.
///
/// # Errors
/// Where Klaviyo does not answer or refuses.
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

/// One error for each entry: the first that names it. Failures that no error names are errors without an index.
fn entry_errors(
    bulk: &'static BulkEndpoint,
    errors: Vec<JobError>,
    failed: usize,
) -> Vec<EntryError> {
    let mut indexes = HashSet::new();
    let mut list: Vec<EntryError> = Vec::new();
    // a job has no more failures than entries, whatever its answer says
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
