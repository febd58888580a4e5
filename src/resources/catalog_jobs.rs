//! The results of catalog jobs, entry by entry.

use crate::error::Error;
use crate::klaviyo;
use crate::klaviyo::bulk::{BulkAction, BulkEndpoint};
use crate::klaviyo::catalog::job::{self, EntryError};
use crate::klaviyo::job::JobState;
use crate::mapping::product::Write;
use crate::run::import::JobAnswer;
use crate::run::state::Job;
use crate::time::Deadline;

/// The jobs of one group: enough that the last jobs of a group waste little capacity, few enough that little is sent
/// again after a crash.
pub(super) const JOBS_A_GROUP: usize = 8;

/// The write for an entry, with the index of its endpoint: creating comes first, updating second.
pub(super) fn write_of(is_there: bool) -> (usize, Write) {
    if is_there {
        (1, Write::Update)
    } else {
        (0, Write::Create)
    }
}

/// What is done about an entry's error.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing: the entry is already as wanted.
    AsWanted,
    /// The entry was created or deleted after it was looked up: it is looked up and sent again.
    Again,
    /// The entry counts as failed.
    Refused,
}

fn verdict(action: BulkAction, error: &EntryError) -> Verdict {
    let is_there = ["conflict", "duplicate", "exists"]
        .iter()
        .any(|word| error.code.contains(word));
    let is_gone = error.code.contains("not_found") && !error.field.starts_with("/relationships");
    match action {
        BulkAction::Create if is_there => Verdict::Again,
        BulkAction::Update if is_gone => Verdict::Again,
        BulkAction::Delete if is_gone => Verdict::AsWanted,
        _ => Verdict::Refused,
    }
}

/// Polls a job of one of these endpoints.
///
/// # Errors
/// If Klaviyo does not respond or rejects the request.
pub(super) async fn poll(
    client: &klaviyo::Client,
    endpoints: &'static [&'static BulkEndpoint],
    job: Job,
    deadline: Deadline,
) -> Result<JobAnswer, Error> {
    let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint.key == job.kind) else {
        return Ok(JobAnswer::Unknown);
    };
    let errors = match job::read(client, endpoint, &job.id, deadline).await? {
        JobState::UnderWay => return Ok(JobAnswer::NotYet),
        JobState::Cancelled => return Ok(JobAnswer::Cancelled),
        JobState::Unknown => return Ok(JobAnswer::Unknown),
        JobState::Complete(errors) => errors,
    };
    let (mut refused, mut again) = (Vec::new(), Vec::new());
    // errors without a valid index count only as far as the job has entries that no error names
    let is_named = |error: &&EntryError| error.index.is_some_and(|index| index < job.entries.len());
    let mut unnamed = job.entries.len() - errors.iter().filter(is_named).count();
    for error in errors {
        if !is_named(&&error) {
            let Some(left) = unnamed.checked_sub(1) else {
                continue;
            };
            unnamed = left;
        }
        let name = error
            .index
            .and_then(|index| job.entries.get(index))
            .cloned();
        let reason = reason(endpoint, &error);
        match (verdict(endpoint.action, &error), name) {
            (Verdict::AsWanted, _) => {}
            (Verdict::Again, Some(name)) => again.push((name, reason)),
            (Verdict::Again | Verdict::Refused, name) => refused.push((name, reason)),
        }
    }
    Ok(JobAnswer::Done {
        refused,
        again,
        left: 0,
    })
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

    fn error(code: &str, field: &str) -> EntryError {
        EntryError {
            index: Some(0),
            field: field.to_owned(),
            code: code.to_owned(),
        }
    }

    #[test]
    fn what_came_or_went_is_done_the_other_way_round_and_a_missing_category_is_not() {
        let there = error("conflict", "/attributes/external_id");
        let gone = error("not_found", "/id");
        let relation = error("not_found", "/relationships/categories");
        assert_eq!(verdict(BulkAction::Create, &there), Verdict::Again);
        assert_eq!(verdict(BulkAction::Update, &gone), Verdict::Again);
        assert_eq!(verdict(BulkAction::Delete, &gone), Verdict::AsWanted);
        for act in [BulkAction::Create, BulkAction::Update] {
            assert_eq!(verdict(act, &relation), Verdict::Refused);
        }
        assert_eq!(verdict(BulkAction::Update, &there), Verdict::Refused);
    }
}
