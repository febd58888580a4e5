//! `GET /sync/check`: tries the configuration and says, line by line, what works and how to mend what does not.
//!
//! Harmless calls only: what is written is a custom object of its own key, which is deleted again. Klaviyo is only read
//! from, so what its key may write shows with the first import; until then these lines say that it cannot be told.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join_all, join4};
use http::header::AUTHORIZATION;
use http::{Response, StatusCode};
use serde::Serialize;

use super::{App, json};
use crate::commercetools::custom_objects::Write;
use crate::commercetools::query::Query;
use crate::config::{Continuation, Problems};
use crate::error::{Action, Error};
use crate::klaviyo::rate::Endpoint;
use crate::ports::{Body, Deadline, Limits, WASI};
use crate::run::store::CONTAINER;

/// How long the whole check may take: within what platforms allow a request.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long the app may take to answer itself.
const SELF_TIMEOUT: Duration = Duration::from_secs(8);
/// The custom object that is written and deleted again.
const KEY: &str = "check";
/// Answers to the check's questions are well under this, in bytes.
const MAX_BYTES: usize = 1024 * 1024;
/// A clock that is further off than this misleads whoever reads logs beside commercetools' own times. Nothing else
/// depends on it: leases are in commercetools' time.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);

/// How a line came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It works.
    Ok,
    /// It does not.
    Failed,
    /// It could not be told.
    Unknown,
}

/// One line of the check.
#[derive(Debug, Serialize)]
struct Line {
    what: String,
    state: State,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Line {
    fn ok(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            state: State::Ok,
            detail: detail.into(),
            fix: None,
        }
    }

    fn failed(what: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            state: State::Failed,
            detail: detail.into(),
            fix: Some(fix.into()),
        }
    }

    fn unknown(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            state: State::Unknown,
            detail: detail.into(),
            fix: None,
        }
    }

    fn of(what: impl Into<String>, error: &Error) -> Self {
        match error.action() {
            // the API is busy: that says nothing about the configuration
            Action::Wait => Self::unknown(what, error.to_string()),
            _ => Self::failed(what, error.to_string(), error.advice()),
        }
    }
}

/// What is read of the project: a name for the line, the path, and the scopes of which one is enough
/// (<https://docs.commercetools.com/api/scopes>).
const COLLECTIONS: [(&str, &str, &[&str]); 4] = [
    ("customers", "customers", &["view_customers"]),
    ("orders", "orders", &["view_orders"]),
    (
        "categories",
        "categories",
        &[
            "view_categories",
            "view_products",
            "view_published_products",
        ],
    ),
    (
        "published products",
        "product-projections",
        &["view_published_products", "view_products"],
    ),
];
/// What the run documents need.
const DOCUMENT_SCOPE: &str = "manage_key_value_documents";

static READ_IMPORTS: Endpoint = Endpoint {
    name: "check profile imports",
    burst: 10,
    steady: 150,
};
static READ_ITEMS: Endpoint = Endpoint {
    name: "check catalog items",
    burst: 350,
    steady: 3_500,
};

/// What is read of the Klaviyo account: the endpoint, the path, and the scopes that the answer tells of. An import reads
/// with no other scopes (`x-klaviyo-scopes` of the calls that it makes).
static READS: [(&Endpoint, &str, &str); 2] = [
    (
        &READ_IMPORTS,
        "/api/profile-bulk-import-jobs?page%5Bsize%5D=1",
        "profiles:read and lists:read",
    ),
    (
        &READ_ITEMS,
        "/api/catalog-items?page%5Bsize%5D=1",
        "catalogs:read",
    ),
];
/// What an import writes with, and what for.
const WRITES: [(&str, &str); 4] = [
    ("profiles:write", "customers"),
    ("lists:write", "customers"),
    ("events:write", "orders"),
    ("catalogs:write", "categories and products"),
];

/// Tries everything.
pub(super) async fn check(app: &App) -> Response<Bytes> {
    let deadline = Deadline::after(&*app.ports.clock, TIMEOUT);
    let component = Line::ok("component", format!("it is built for WASI {WASI}"));
    let variables = Line::ok("variables", "every variable can be read");
    // first, so that whatever asks commercetools afterwards finds a token, and its clock is known
    let (token, granted) = token(app, deadline).await;
    let collections = async {
        if granted.is_none() {
            Vec::new()
        } else {
            collections(app, deadline).await
        }
    };
    let documents = async {
        if granted.is_none() {
            Vec::new()
        } else {
            vec![documents(app, deadline).await]
        }
    };
    let (collections, documents, klaviyo, itself) = join4(
        collections,
        documents,
        klaviyo(app, deadline),
        self_call(app),
    )
    .await;
    let mut lines = vec![component, variables, token];
    lines.extend(
        granted
            .as_deref()
            .map(|granted| scopes(granted, &app.config.commercetools.project))
            .unwrap_or_default(),
    );
    lines.extend(collections);
    lines.extend(documents);
    lines.extend(klaviyo);
    lines.push(itself);
    lines.push(clock(app));
    answer(&lines)
}

/// What is wrong with the variables: without them nothing else can be tried.
pub(super) fn misconfigured(problems: &Problems) -> Response<Bytes> {
    let lines: Vec<Line> = problems
        .0
        .iter()
        .map(|problem| {
            Line::failed(
                format!("variable {}", problem.variable),
                "it cannot be used",
                &problem.expected,
            )
        })
        .collect();
    answer(&lines)
}

fn answer(lines: &[Line]) -> Response<Bytes> {
    let ok = lines.iter().all(|line| line.state != State::Failed);
    json(
        StatusCode::OK,
        &serde_json::json!({"ok": ok, "lines": lines}),
    )
}

async fn token(app: &App, deadline: Deadline) -> (Line, Option<String>) {
    match app.commercetools.granted_scope(deadline).await {
        Ok(granted) => (
            Line::ok("commercetools: token", "the API client is given a token"),
            Some(granted),
        ),
        Err(error) => (Line::of("commercetools: token", &error), None),
    }
}

/// Whether the token was granted a scope: by itself, by `manage_...` where it is a `view_...`, or by `manage_project`.
fn is_granted(granted: &str, scope: &str, project: &str) -> bool {
    let manage = scope
        .strip_prefix("view_")
        .map(|what| format!("manage_{}", what.trim_start_matches("published_")));
    granted.split_whitespace().any(|one| {
        let (name, of) = one.split_once(':').unwrap_or((one, project));
        of == project
            && (name == scope || name == "manage_project" || manage.as_deref() == Some(name))
    })
}

fn scopes(granted: &str, project: &str) -> Vec<Line> {
    let needed = COLLECTIONS
        .iter()
        .map(|(what, _, scopes)| (format!("commercetools: scope for {what}"), *scopes));
    let documents = (
        "commercetools: scope for run documents".to_owned(),
        &[DOCUMENT_SCOPE][..],
    );
    needed
        .chain([documents])
        .map(|(what, scopes)| {
            match scopes
                .iter()
                .find(|scope| is_granted(granted, scope, project))
            {
                Some(scope) => Line::ok(what, format!("{scope} is granted")),
                None => Line::failed(
                    what,
                    format!("{} is not granted", scopes.join(" or ")),
                    format!(
                        "Give the API client {}:{project} and put it into ct_scope.",
                        scopes[0]
                    ),
                ),
            }
        })
        .collect()
}

async fn collections(app: &App, deadline: Deadline) -> Vec<Line> {
    let lines = COLLECTIONS.map(async |(what, path, _)| {
        let query = Query {
            operation: "check what can be read",
            path,
            after: None,
            from: None,
            through: None,
            ids: None,
            since: None,
            limit: 0,
            parameters: &[],
            max_bytes: MAX_BYTES,
        };
        let line = format!("commercetools: read {what}");
        match app.commercetools.total(&query, deadline).await {
            Ok(total) => Line::ok(line, format!("{total} {what}")),
            Err(error) => Line::of(line, &error),
        }
    });
    join_all(lines).await
}

/// Writes a custom object and deletes it.
async fn documents(app: &App, deadline: Deadline) -> Line {
    const WHAT: &str = "commercetools: write and delete a custom object";
    let tried = async {
        let client = &app.commercetools;
        // one that an earlier check could not delete is written over
        let found = client
            .custom_object::<serde_json::Value>(CONTAINER, KEY, deadline)
            .await?;
        let version = found.map_or(0, |found| found.version);
        let value = serde_json::json!({"checkedAt": client.server_now()});
        let written = client
            .write_custom_object(CONTAINER, KEY, &value, version, deadline)
            .await?;
        let Write::Done { version } = written else {
            return Ok(Write::Conflict);
        };
        client
            .delete_custom_object(CONTAINER, KEY, version, deadline)
            .await
    };
    match tried.await {
        Ok(Write::Done { .. }) => {
            Line::ok(WHAT, format!("{CONTAINER}/{KEY} was written and deleted"))
        }
        Ok(Write::Conflict) => {
            Line::unknown(WHAT, "another check wrote at the same time; try again")
        }
        Err(error) => Line::of(WHAT, &error),
    }
}

async fn klaviyo(app: &App, deadline: Deadline) -> Vec<Line> {
    let answers = join_all(
        READS
            .iter()
            .map(|(endpoint, path, _)| app.klaviyo.get(endpoint, path, deadline)),
    )
    .await;
    let answers: Vec<Option<Error>> = answers.into_iter().map(Result::err).collect();
    let mut lines = vec![klaviyo_key(&answers)];
    if lines[0].state != State::Ok {
        return lines;
    }
    for ((_, _, scopes), error) in READS.iter().zip(&answers) {
        let what = format!("Klaviyo: scope {scopes}");
        lines.push(match error {
            None => Line::ok(what, "granted: what it is for can be read"),
            Some(error) if error.status() == Some(403) => {
                let fix = format!("Give the key of klaviyo_auth_key {scopes}, or full access.");
                Line::failed(what, error.to_string(), fix)
            }
            // the key was accepted, and the question was not: it cannot be told from here
            Some(error) if matches!(error.status(), Some(400 | 404 | 405)) => {
                Line::unknown(what, error.to_string())
            }
            Some(error) => Line::of(what, error),
        });
    }
    lines.extend(WRITES.map(|(scope, needed_for)| {
        Line::unknown(
            format!("Klaviyo: scope {scope}"),
            format!(
                "only writing tells; needed for {needed_for}, and part of a key with full access"
            ),
        )
    }));
    lines
}

/// Whether the key is one: Klaviyo answers 401 where it is not, and 403 where it lacks a scope.
fn klaviyo_key(answers: &[Option<Error>]) -> Line {
    const WHAT: &str = "Klaviyo: key";
    let accepted = |answer: &Option<Error>| {
        answer
            .as_ref()
            .is_none_or(|error| matches!(error.status(), Some(400 | 403 | 404 | 405)))
    };
    match answers.iter().flatten().next() {
        _ if answers.iter().any(accepted) => Line::ok(WHAT, "Klaviyo accepts it"),
        Some(error) => Line::of(WHAT, error),
        None => Line::unknown(WHAT, "nothing was asked"),
    }
}

async fn self_call(app: &App) -> Line {
    const WHAT: &str = "self-call";
    const FIX: &str = "Put http://self into allowed_outbound_hosts of the component in spin.toml; where the platform \
                       does not let an app call itself, set continuation to scheduler.";
    if app.config.continuation == Continuation::Scheduler {
        return Line::ok(
            WHAT,
            "not needed: continuation is scheduler, which has to call POST /sync/continue",
        );
    }
    let request = http::Request::get(format!("{}/sync/check/ping", app.ports.http.self_url()))
        .header(
            AUTHORIZATION,
            format!("Bearer {}", app.config.api_token.expose()),
        )
        .body(Body::default());
    let Ok(request) = request else {
        return Line::failed(WHAT, "the call could not be made", FIX);
    };
    let limits = Limits {
        timeout: SELF_TIMEOUT,
        max_bytes: MAX_BYTES,
    };
    match app.ports.send(request, limits).await {
        Ok(response) if response.status().is_success() => Line::ok(WHAT, "the app reaches itself"),
        Ok(response) => Line::failed(WHAT, format!("status {}", response.status().as_u16()), FIX),
        Err(error) => Line::failed(WHAT, error.to_string(), FIX),
    }
}

fn clock(app: &App) -> Line {
    const WHAT: &str = "clock";
    let (ours, theirs) = (app.ports.clock.now(), app.commercetools.server_now());
    let difference = ours.duration_since(theirs);
    let detail = format!("{} s beside commercetools'", difference.as_secs());
    if difference.unsigned_abs() <= CLOCK_TOLERANCE {
        Line::ok(WHAT, detail)
    } else {
        Line::failed(
            WHAT,
            detail,
            "Set the clock of the machine (NTP). Imports do not depend on it, the times in logs do.",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_implied_by_those_that_allow_more() {
        for (granted, scope, expected) in [
            ("view_orders:shop", "view_orders", true),
            (
                "view_customers:shop manage_orders:shop",
                "view_orders",
                true,
            ),
            ("manage_project:shop", "manage_key_value_documents", true),
            ("manage_products:shop", "view_published_products", true),
            ("view_orders:other", "view_orders", false),
            ("view_orders:shop", "manage_orders", false),
            ("", "view_orders", false),
        ] {
            assert_eq!(
                is_granted(granted, scope, "shop"),
                expected,
                "{granted} {scope}"
            );
        }
    }

    #[test]
    fn a_missing_scope_is_named_with_the_project() {
        let lines = scopes(
            "view_customers:shop manage_key_value_documents:shop view_products:shop",
            "shop",
        );
        let failed: Vec<&Line> = lines
            .iter()
            .filter(|line| line.state == State::Failed)
            .collect();
        assert_eq!(failed.len(), 1);
        assert_eq!(
            failed[0].fix.as_deref(),
            Some("Give the API client view_orders:shop and put it into ct_scope.")
        );
    }
}
