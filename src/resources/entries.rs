//! What became of catalogue entries: the answers of their jobs.

use crate::error::Error;
use crate::klaviyo;
use crate::klaviyo::batch::Lane;
use crate::klaviyo::catalog::{self, EntryError, JobState};
use crate::ports::Deadline;
use crate::run::cursor::Job;

use super::JobAnswer;

/// What a bulk job does with its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Create,
    Update,
    Delete,
}

fn act(lane: &Lane) -> Act {
    match lane.endpoint.name.split(' ').next() {
        Some("create") => Act::Create,
        Some("delete") => Act::Delete,
        _ => Act::Update,
    }
}

/// What an entry's error asks for.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// What was wanted is so already.
    AsWanted,
    /// The entry came or went since it was looked up: looked up and sent another time.
    Again,
    /// It is not taken.
    Refused,
}

fn verdict(act: Act, error: &EntryError) -> Verdict {
    let is_there = ["conflict", "duplicate", "exists"]
        .iter()
        .any(|word| error.code.contains(word));
    let is_gone = error.code.contains("not_found") && !error.field.starts_with("/relationships");
    match act {
        Act::Create if is_there => Verdict::Again,
        Act::Update if is_gone => Verdict::Again,
        Act::Delete if is_gone => Verdict::AsWanted,
        _ => Verdict::Refused,
    }
}

/// Asks how a job of one of these lanes went.
///
/// # Errors
/// Where Klaviyo does not answer or refuses.
pub(super) async fn ask(
    client: &klaviyo::Client,
    lanes: &'static [&'static Lane],
    job: Job,
    deadline: Deadline,
) -> Result<JobAnswer, Error> {
    let Some(lane) = lanes.iter().find(|lane| lane.endpoint.name == job.kind) else {
        return Ok(JobAnswer::Unknown);
    };
    let errors = match catalog::job(client, lane, &job.id, deadline).await? {
        JobState::UnderWay => return Ok(JobAnswer::NotYet),
        JobState::Cancelled => return Ok(JobAnswer::Cancelled),
        JobState::Unknown => return Ok(JobAnswer::Unknown),
        JobState::Complete(errors) => errors,
    };
    let (mut refused, mut again) = (Vec::new(), Vec::new());
    // errors that name no entry of the job are counted as far as it has entries that none names
    let is_named = |error: &&EntryError| error.place.is_some_and(|place| place < job.entries.len());
    let mut unnamed = job.entries.len() - errors.iter().filter(is_named).count();
    for error in errors {
        if !is_named(&&error) {
            let Some(left) = unnamed.checked_sub(1) else {
                continue;
            };
            unnamed = left;
        }
        let name = error
            .place
            .and_then(|place| job.entries.get(place))
            .cloned();
        let reason = reason(lane, &error);
        match (verdict(act(lane), &error), name) {
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

/// Klaviyo's code and field; never its words, which can quote the record.
fn reason(lane: &Lane, error: &EntryError) -> String {
    let (what, code) = (lane.endpoint.name, &error.code);
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
            place: Some(0),
            field: field.to_owned(),
            code: code.to_owned(),
        }
    }

    #[test]
    fn what_came_or_went_is_done_the_other_way_round_and_a_missing_category_is_not() {
        let there = error("conflict", "/attributes/external_id");
        let gone = error("not_found", "/id");
        let relation = error("not_found", "/relationships/categories");
        assert_eq!(verdict(Act::Create, &there), Verdict::Again);
        assert_eq!(verdict(Act::Update, &gone), Verdict::Again);
        assert_eq!(verdict(Act::Delete, &gone), Verdict::AsWanted);
        for act in [Act::Create, Act::Update] {
            assert_eq!(verdict(act, &relation), Verdict::Refused);
        }
        assert_eq!(verdict(Act::Update, &there), Verdict::Refused);
    }

    #[test]
    fn every_lane_says_what_it_does() {
        assert_eq!(act(&catalog::CREATE_ITEMS), Act::Create);
        assert_eq!(act(&catalog::UPDATE_VARIANTS), Act::Update);
        assert_eq!(act(&catalog::DELETE_CATEGORIES), Act::Delete);
    }
}
