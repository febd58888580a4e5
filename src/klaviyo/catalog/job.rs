//! Catalog jobs: what a finished job has made, and which entries it did not take.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, plain_code, plain_field};
use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::client::Client;
use crate::klaviyo::job::{self, Finished, JobState, Look};
use crate::mapping::product::external_id;
use crate::time::{Deadline, between};

/// How a job says which entry an error is about.
///
/// Recorded is `meta.id` alone, with a pointer that has no index. `meta.external_id` was reported by users of the API,
/// and the documentation has the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// By its external id.
    Id(String),
    /// By its index in the request.
    Index(usize),
    /// Not at all.
    Nobody,
}

/// An entry that a job did not take.
#[derive(Debug, PartialEq, Eq)]
pub struct EntryError {
    /// Which entry it is.
    pub named: Named,
    /// The field that the error is about, such as `/attributes/title`; empty if Klaviyo does not say it.
    pub field: String,
    /// Klaviyo's code.
    pub code: String,
}

/// The result of a finished job.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The entries that it did not take, as far as there is an error for them: one for each.
    pub errors: Vec<EntryError>,
    /// How many entries it did not take.
    pub failed: usize,
    /// The external ids of the entries that it made, changed or deleted.
    pub made: HashSet<String>,
    /// When Klaviyo created it, if that can be read.
    pub created: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Attributes {
    #[serde(default)]
    failed_count: Option<usize>,
    /// A list; whatever is in it, the other results of the job count.
    #[serde(default)]
    errors: Value,
    #[serde(default)]
    created_at: Option<String>,
}

/// Reads the state of a job of this endpoint, and the result of a finished one.
///
/// # Errors
/// If Klaviyo does not respond or rejects the request.
pub async fn read(
    client: &Client,
    bulk: &'static BulkEndpoint,
    id: &str,
    deadline: Deadline,
) -> Result<JobState<Outcome>, Error> {
    let state = job::read::<Attributes>(client, bulk, id, deadline).await?;
    Ok(state.map(|finished| outcome(bulk, finished)))
}

fn outcome(bulk: &BulkEndpoint, (attributes, made): Finished<Attributes>) -> Outcome {
    // a job cannot have more failures than entries, even if the response says so
    let most = bulk.max_documents;
    let errors = entry_errors(bulk, &attributes.errors, most);
    let failed = attributes.failed_count.unwrap_or(0).min(most);
    let made = made.iter().take(most).map(|id| external_id(id).to_owned());
    Outcome {
        failed: failed.max(errors.len()),
        errors,
        made: made.collect(),
        created: attributes.created_at.and_then(|moment| moment.parse().ok()),
    }
}

/// The most pages of finished jobs that are read in one look: the results of few pages are known soon.
const MAX_PAGES: u32 = 4;

/// Finished jobs, as a look into the list of them has found them.
#[derive(Debug, Default)]
pub struct Listed {
    /// The results by the jobs' ids.
    pub jobs: Vec<(String, Outcome)>,
    /// The pages that were read.
    pub pages: u32,
    /// The path of the page to go on with, if there may be more.
    pub next: Option<String>,
}

/// Reads the results of those of these jobs (by id, with when they were submitted by our clock) of an endpoint that are
/// complete from the list of complete jobs: one request for many of them. A few pages are read, and none further back than
/// one of the jobs may be.
///
/// # Errors
/// If Klaviyo does not respond or rejects a request.
pub async fn read_finished(
    client: &Client,
    bulk: &'static BulkEndpoint,
    mut wanted: HashMap<&str, Timestamp>,
    mut look: Look,
    deadline: Deadline,
) -> Result<Listed, Error> {
    let mut listed = Listed::default();
    let first = look.from.take();
    let mut path = first.unwrap_or_else(|| job::finished_path(bulk));
    let is_clock_known = look.clock_ahead.is_some();
    loop {
        let page = job::read_finished::<Attributes>(client, bulk, &path, deadline).await?;
        listed.pages += 1;
        for (id, created, finished) in page.jobs {
            if let Some(since) = wanted.remove(id.as_str()) {
                let ahead = created.map(|created| between(created, since));
                if !is_clock_known {
                    look.clock_ahead = look.clock_ahead.max(ahead);
                }
                let outcome = outcome(bulk, finished);
                listed.jobs.push((id, Outcome { created, ..outcome }));
            }
        }
        let until = page.created_until;
        let may_have_more = until.is_none_or(|until| look.reaches(until));
        match page.next {
            Some(next) if may_have_more && !wanted.is_empty() => path = next,
            _ => return Ok(listed),
        }
        if listed.pages == MAX_PAGES {
            listed.next = Some(path);
            return Ok(listed);
        }
    }
}

/// One error per entry: the first one that names it.
fn entry_errors(bulk: &BulkEndpoint, errors: &Value, most: usize) -> Vec<EntryError> {
    let (mut ids, mut indexes) = (HashSet::new(), HashSet::new());
    let errors = errors.as_array().into_iter().flatten();
    let errors = errors.map(|error| entry_error(bulk, error));
    errors
        .filter(|error| match &error.named {
            Named::Id(id) => ids.insert(id.clone()),
            Named::Index(index) => indexes.insert(*index),
            Named::Nobody => true,
        })
        .take(most)
        .collect()
}

/// What an error says, member by member: one in an unexpected form leaves the others.
fn entry_error(bulk: &BulkEndpoint, error: &Value) -> EntryError {
    let text = |path: &str| Some(error.pointer(path)?.as_str()?.to_owned());
    let (index, field) = bulk.below(&text("/source/pointer").unwrap_or_default());
    let id = text("/meta/id").map(|id| external_id(&id).to_owned());
    EntryError {
        named: match (id.or_else(|| text("/meta/external_id")), index) {
            (Some(id), _) => Named::Id(id),
            (None, Some(index)) => Named::Index(index),
            (None, None) => Named::Nobody,
        },
        field: plain_field(&field).to_owned(),
        code: text("/code")
            .and_then(plain_code)
            .unwrap_or_else(|| "no code".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::klaviyo::catalog::UPDATE_ITEMS;

    fn read_errors(errors: &str) -> Vec<EntryError> {
        let errors = serde_json::from_str(errors).expect("errors of a job");
        entry_errors(&UPDATE_ITEMS, &errors, 100)
    }

    #[test]
    fn an_entry_is_named_by_id_external_id_or_index_in_this_order() {
        let errors = read_errors(
            r#"[
            {"code": "invalid", "meta": {"id": "$custom:::$default:::a", "external_id": "b"},
             "source": {"pointer": "/data/attributes/items/data/id"}},
            {"id": null, "code": null, "title": null, "meta": {"external_id": "b"}},
            {"code": "invalid", "meta": [],
             "source": {"pointer": "/data/attributes/items/data/7/attributes/title"}},
            {"code": "invalid", "meta": {}, "source": {"pointer": null}}
            ]"#,
        );
        let error = |named, field: &str, code: &str| EntryError {
            named,
            field: field.to_owned(),
            code: code.to_owned(),
        };
        assert_eq!(
            errors,
            [
                error(Named::Id("a".to_owned()), "/id", "invalid"),
                error(Named::Id("b".to_owned()), "", "no code"),
                error(Named::Index(7), "/attributes/title", "invalid"),
                error(Named::Nobody, "", "invalid"),
            ]
        );
    }

    #[test]
    fn what_has_an_unexpected_form_leaves_the_rest_of_the_errors() {
        let errors = read_errors(
            r#"["no object", {"code": 400, "source": "body", "meta": {"id": 7, "external_id": "b"}}]"#,
        );
        let named: Vec<(&Named, &str)> = errors
            .iter()
            .map(|error| (&error.named, error.code.as_str()))
            .collect();
        let b = Named::Id("b".to_owned());
        assert_eq!(named, [(&Named::Nobody, "no code"), (&b, "no code")]);
        assert!(read_errors(r#"{"a": "list would do"}"#).is_empty());
        let outcome: Attributes = serde_json::from_str("{}").expect("attributes");
        assert_eq!(outcome.failed_count, None);
    }

    #[test]
    fn an_entry_has_one_error() {
        let twice = r#"{"meta": {"id": "$custom:::$default:::a"}}"#;
        assert_eq!(read_errors(&format!("[{twice}, {twice}, {{}}]")).len(), 2);
    }
}
