//! The request bodies of starts: which members they may have, and which of these can be combined.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::commercetools::query::is_id;
use crate::run::plan::PlanOptions;
use crate::run::start::{MAX_IDS, Since, StartRequest};
use crate::run::state::{Resource, RunOptions};
use crate::time::later;

/// How far a `since` may be in the future, because callers' clocks differ.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// The body of `POST /sync/{resource}`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct StartBody {
    ids: Option<Vec<String>>,
    start_id: Option<String>,
    trigger_flows: bool,
    since: Option<Since>,
    dry_run: bool,
    resume: bool,
    retry_failed: bool,
    dismiss_failed: bool,
    delete_all: bool,
    prune: bool,
    prune_unmarked: bool,
    adopt: bool,
    confirm_removal: Option<u64>,
    // the Node plugin's documentation has the second spelling
    #[serde(alias = "confirmDeletetion")]
    confirm_deletion: Option<String>,
}

/// The body of `POST /sync`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct PlanBody {
    resources: Option<Vec<Resource>>,
    since: Option<Since>,
    dry_run: bool,
    trigger_flows: bool,
    prune: bool,
    prune_unmarked: bool,
    adopt: bool,
}

/// What `POST /sync/{resource}` asks for.
#[derive(Debug)]
pub(super) enum Asked {
    /// Start a run.
    Start(Box<StartRequest>),
    /// Resume the failed run.
    Resume {
        /// Also if it names another Klaviyo account.
        adopt: bool,
        /// How many entries it may remove.
        confirm_removal: Option<u64>,
    },
    /// Forget the records that failed.
    DismissFailed,
}

pub(super) fn bad_request(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "The request is not valid").detail(detail)
}

/// No body is the same as `{}`.
fn parse<T: DeserializeOwned + Default>(body: &Bytes) -> Result<T, Problem> {
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    // serde would read an array as the members in order
    if !body.trim_ascii().starts_with(b"{") {
        return Err(bad_request("body: must be a JSON object"));
    }
    serde_json::from_slice(body).map_err(|error| bad_request(format!("body: {error}")))
}

fn id(name: &str, id: &str) -> Result<String, Problem> {
    if is_id(id) {
        Ok(id.to_ascii_lowercase())
    } else {
        Err(bad_request(format!(
            "{name}: must be a commercetools id (a UUID)"
        )))
    }
}

fn ids(ids: &[String]) -> Result<Vec<String>, Problem> {
    match ids.len() {
        0 => {
            return Err(bad_request(
                "ids: must name at least one id, or be left out",
            ));
        }
        count if count > MAX_IDS => {
            return Err(bad_request(format!(
                "ids: has {count} ids, at most {MAX_IDS} are allowed"
            )));
        }
        _ => {}
    }
    let named = ids
        .iter()
        .enumerate()
        .map(|(at, text)| id(&format!("ids[{at}]"), text));
    let mut ids = named.collect::<Result<Vec<_>, _>>()?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// A `since` in the future would import nothing, and the next `lastRun` would begin there.
fn is_past(since: Option<Since>, now: Timestamp) -> Result<(), Problem> {
    match since {
        Some(Since::Moment(moment)) if moment > later(now, CLOCK_TOLERANCE) => {
            Err(bad_request("since: must not be in the future"))
        }
        _ => Ok(()),
    }
}

/// What is asked about the run that there is, if it is that.
fn about_known_run(resource: Resource, body: &StartBody) -> Result<Option<Asked>, Problem> {
    let confirms = body.confirm_removal.is_some();
    if confirms && !(body.resume && resource.is_of_catalog()) {
        let what = "confirmRemoval: is for resuming a run of categories or products";
        return Err(bad_request(what));
    }
    Ok(match (body.dismiss_failed, body.resume) {
        (true, _) => Some(Asked::DismissFailed),
        (false, true) => Some(Asked::Resume {
            adopt: body.adopt,
            confirm_removal: body.confirm_removal,
        }),
        (false, false) => None,
    })
}

/// Reads the body of `POST /sync/{resource}`.
pub(super) fn start(resource: Resource, body: &Bytes, now: Timestamp) -> Result<Asked, Problem> {
    let body: StartBody = parse(body)?;
    is_past(body.since, now)?;
    let given = [
        ("ids", body.ids.is_some()),
        ("startId", body.start_id.is_some()),
        ("since", body.since.is_some()),
        ("retryFailed", body.retry_failed),
        ("dismissFailed", body.dismiss_failed),
        ("resume", body.resume),
        ("triggerFlows", body.trigger_flows),
        ("dryRun", body.dry_run),
        ("deleteAll", body.delete_all),
        ("prune", body.prune),
        ("pruneUnmarked", body.prune_unmarked),
    ];
    let given: Vec<&str> = given
        .into_iter()
        .filter(|(_, given)| *given)
        .map(|(name, _)| name)
        .collect();
    if resource != Resource::Orders
        && let Some(name) = given
            .iter()
            .find(|name| matches!(**name, "startId" | "triggerFlows"))
    {
        return Err(bad_request(format!("{name}: is for orders only")));
    }
    let deletes = deletion(resource, &body)?;
    may_prune(resource, &given)?;
    // each of these chooses the records in another way
    let choices = |name: &&&str| {
        matches!(
            **name,
            "ids" | "startId" | "since" | "retryFailed" | "dismissFailed" | "resume" | "deleteAll"
        )
    };
    if let [first, second, ..] = given.iter().filter(choices).collect::<Vec<_>>()[..] {
        return Err(bad_request(format!(
            "{second}: cannot be combined with {first}"
        )));
    }
    for alone in ["resume", "deleteAll", "dismissFailed"] {
        if let Some(other) = given
            .iter()
            .find(|name| given.contains(&alone) && **name != alone)
        {
            return Err(bad_request(format!(
                "{other}: cannot be combined with {alone}"
            )));
        }
    }
    if let Some(asked) = about_known_run(resource, &body)? {
        return Ok(asked);
    }
    let options = RunOptions {
        ids: body.ids.as_deref().map(ids).transpose()?,
        start_id: body
            .start_id
            .map(|start| id("startId", &start))
            .transpose()?,
        trigger_flows: body.trigger_flows,
        since: None,
        dry_run: body.dry_run,
        delete_all: deletes,
        prune: body.prune,
        prune_unmarked: body.prune_unmarked,
    };
    Ok(Asked::Start(Box::new(StartRequest {
        options,
        since: body.since,
        retry_failed: body.retry_failed,
        adopt: body.adopt,
        plan: None,
    })))
}

/// What can be pruned, and with what that can be combined.
fn may_prune(resource: Resource, given: &[&str]) -> Result<(), Problem> {
    if !given.contains(&"prune") {
        return match given.contains(&"pruneUnmarked") {
            true => Err(bad_request("pruneUnmarked: is for prune only")),
            false => Ok(()),
        };
    }
    if !resource.is_of_catalog() {
        return Err(bad_request("prune: is for categories and products only"));
    }
    let is_other = |name: &&&str| !matches!(**name, "prune" | "pruneUnmarked" | "since" | "dryRun");
    match given.iter().find(is_other) {
        Some(other) => Err(bad_request(format!(
            "{other}: cannot be combined with prune"
        ))),
        None => Ok(()),
    }
}

/// Whether everything of a kind is to be deleted, which the caller has to confirm.
fn deletion(resource: Resource, body: &StartBody) -> Result<bool, Problem> {
    let confirmed = body.confirm_deletion.as_deref();
    if !body.delete_all && confirmed.is_none() {
        return Ok(false);
    }
    if !resource.is_of_catalog() {
        return Err(bad_request(
            "deleteAll: is for categories and products only; nothing has been started",
        ));
    }
    if body.delete_all && confirmed == Some(resource.name()) {
        return Ok(true);
    }
    Err(bad_request(format!(
        "deleteAll deletes ALL {resource} that the Klaviyo account has, whoever made them. If that is what you want, send \
         {{\"deleteAll\": true, \"confirmDeletion\": \"{resource}\"}}; nothing has been started"
    )))
}

/// Reads the body of `POST /sync`: the resources to import and the options.
pub(super) fn plan(body: &Bytes, now: Timestamp) -> Result<(Vec<Resource>, PlanOptions), Problem> {
    let body: PlanBody = parse(body)?;
    is_past(body.since, now)?;
    let only_prunes = body.prune && body.since.is_none();
    let all = || {
        let all = Resource::ALL.into_iter();
        all.filter(|resource| !only_prunes || resource.is_of_catalog())
            .collect()
    };
    let resources = body.resources.unwrap_or_else(all);
    if resources.is_empty() {
        return Err(bad_request(
            "resources: must name at least one, or be left out for all",
        ));
    }
    if body.trigger_flows && !resources.contains(&Resource::Orders) {
        return Err(bad_request("triggerFlows: is for orders only"));
    }
    if body.prune_unmarked && !body.prune {
        return Err(bad_request("pruneUnmarked: is for prune only"));
    }
    let is_pruned = |resource: &Resource| resource.is_of_catalog();
    if only_prunes && !resources.iter().all(is_pruned)
        || body.prune && !resources.iter().any(is_pruned)
    {
        return Err(bad_request("prune: is for categories and products only"));
    }
    let PlanBody {
        since,
        dry_run,
        trigger_flows,
        prune,
        prune_unmarked,
        adopt,
        ..
    } = body;
    Ok((
        resources,
        PlanOptions {
            since,
            dry_run,
            trigger_flows,
            prune,
            prune_unmarked,
            adopt,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0000000A-0000-4000-8000-000000000000";

    fn now() -> Timestamp {
        "2026-08-01T00:00:00Z".parse().unwrap()
    }

    fn asked(resource: Resource, body: &str) -> Result<Asked, String> {
        start(resource, &Bytes::copy_from_slice(body.as_bytes()), now())
            .map_err(|problem| format!("{problem:?}"))
    }

    fn request(resource: Resource, body: &str) -> StartRequest {
        match asked(resource, body) {
            Ok(Asked::Start(request)) => *request,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn a_start_is_read() {
        assert_eq!(
            request(Resource::Customers, " ").options,
            RunOptions::default()
        );
        assert!(
            request(Resource::Customers, r#"{"dryRun":true}"#)
                .options
                .dry_run
        );
        assert_eq!(
            request(
                Resource::Orders,
                r#"{"since":"lastRun","triggerFlows":true}"#
            )
            .since,
            Some(Since::LastRun)
        );
        let moment = "2026-07-15T02:00:00+02:00";
        let since = request(Resource::Orders, &format!(r#"{{"since":"{moment}"}}"#)).since;
        assert_eq!(
            since,
            Some(Since::Moment("2026-07-15T00:00:00Z".parse().unwrap()))
        );
        let ids = request(Resource::Orders, &format!(r#"{{"ids":["{ID}","{ID}"]}}"#))
            .options
            .ids;
        assert_eq!(ids, Some(vec![ID.to_ascii_lowercase()]));
        assert!(matches!(
            asked(Resource::Orders, r#"{"resume":true}"#),
            Ok(Asked::Resume { adopt: false, .. })
        ));
        assert!(matches!(
            asked(Resource::Orders, r#"{"resume":true,"adopt":true}"#),
            Ok(Asked::Resume { adopt: true, .. })
        ));
        assert!(matches!(
            asked(Resource::Products, r#"{"resume":true,"confirmRemoval":12}"#),
            Ok(Asked::Resume {
                confirm_removal: Some(12),
                ..
            })
        ));
        for (resource, body) in [
            (Resource::Orders, r#"{"resume":true,"confirmRemoval":12}"#),
            (Resource::Products, r#"{"confirmRemoval":12}"#),
        ] {
            assert!(asked(resource, body).is_err(), "{body}");
        }
        assert!(request(Resource::Orders, r#"{"adopt":true}"#).adopt);
        assert!(matches!(
            asked(Resource::Orders, r#"{"resume":false}"#),
            Ok(Asked::Start(_))
        ));
        assert!(
            request(
                Resource::Orders,
                r#"{"retryFailed":true,"triggerFlows":true}"#
            )
            .retry_failed
        );
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        for (resource, body, named) in [
            (
                Resource::Orders,
                r#"{"since":"yesterday"}"#.to_owned(),
                "since",
            ),
            (Resource::Orders, r#"{"since":7}"#.to_owned(), "line 1"),
            (
                Resource::Orders,
                r#"{"since":"2026-08-01T00:02:00Z"}"#.to_owned(),
                "since: must not be in the future",
            ),
            (
                Resource::Orders,
                format!(r#"{{"since":"lastRun","ids":["{ID}"]}}"#),
                "since: cannot be combined with ids",
            ),
            (
                Resource::Orders,
                format!(r#"{{"since":"lastRun","startId":"{ID}"}}"#),
                "since",
            ),
            (
                Resource::Orders,
                r#"{"resume":true,"since":"lastRun"}"#.to_owned(),
                "resume",
            ),
            (
                Resource::Orders,
                r#"{"resume":true,"dryRun":true}"#.to_owned(),
                "dryRun: cannot be combined with resume",
            ),
            (
                Resource::Orders,
                format!(r#"{{"retryFailed":true,"ids":["{ID}"]}}"#),
                "retryFailed",
            ),
            (
                Resource::Customers,
                r#"{"triggerFlows":true}"#.to_owned(),
                "triggerFlows: is for orders only",
            ),
        ] {
            let problem = asked(resource, &body).unwrap_err();
            assert!(problem.contains(named), "{body}: {problem}");
        }
    }

    #[test]
    fn a_deletion_has_to_be_confirmed_for_the_same_resource() {
        for spelling in ["confirmDeletion", "confirmDeletetion"] {
            let body = format!(r#"{{"deleteAll":true,"{spelling}":"products"}}"#);
            assert!(request(Resource::Products, &body).options.delete_all);
            let problem = asked(Resource::Categories, &body).unwrap_err();
            assert!(problem.contains("ALL categories"), "{problem}");
        }
        for body in [
            r#"{"deleteAll":true}"#,
            r#"{"deleteAll":false,"confirmDeletion":"products"}"#,
            r#"{"confirmDeletion":"products"}"#,
            r#"{"deleteAll":true,"confirmDeletion":"products","dryRun":true}"#,
            r#"{"deleteAll":true,"confirmDeletion":"products","since":"lastRun"}"#,
        ] {
            assert!(asked(Resource::Products, body).is_err(), "{body}");
        }
        assert!(
            asked(
                Resource::Orders,
                r#"{"deleteAll":true,"confirmDeletion":"orders"}"#
            )
            .is_err()
        );
    }

    #[test]
    fn a_plan_is_read() {
        let read = |body: &'static str| plan(&Bytes::from_static(body.as_bytes()), now());
        assert_eq!(read("").unwrap().0, Resource::ALL);
        let (resources, options) =
            read(r#"{"resources":["orders"],"since":"lastRun","triggerFlows":true}"#).unwrap();
        assert_eq!(resources, [Resource::Orders]);
        assert_eq!(
            options,
            PlanOptions {
                since: Some(Since::LastRun),
                trigger_flows: true,
                ..PlanOptions::default()
            }
        );
        for body in [
            "[]",
            r#"{"resources":[]}"#,
            r#"{"resources":["carts"]}"#,
            r#"{"resources":["products"],"triggerFlows":true}"#,
            r#"{"since":"2062-01-01T00:00:00Z"}"#,
        ] {
            assert!(read(body).is_err(), "{body}");
        }
    }
}
