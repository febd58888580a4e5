//! Klaviyo: the key, and what it may do.
//!
//! The account is only read from, so what its key may write shows with the first import; until then these lines say that
//! it cannot be told.

use futures_util::future::join;

use super::line::{Line, State};
use crate::error::Error;
use crate::klaviyo::catalog::listing;
use crate::klaviyo::profiles;
use crate::run::engine::Engine;
use crate::time::Deadline;

/// The scopes that the two reads tell of. An import reads with no other scopes (`x-klaviyo-scopes` of the calls that it
/// makes).
const READ_SCOPES: [&str; 2] = ["profiles:read and lists:read", "catalogs:read"];
/// What an import writes with, and what for.
const WRITES: [(&str, &str); 4] = [
    ("profiles:write", "customers"),
    ("lists:write", "customers"),
    ("events:write", "orders"),
    ("catalogs:write", "categories and products"),
];

/// Reads from the account as little as can be.
pub(super) async fn klaviyo(engine: &Engine, deadline: Deadline) -> Vec<Line> {
    let client = &engine.klaviyo;
    let (profiles, catalog) = join(
        profiles::can_read(client, deadline),
        listing::can_read(client, deadline),
    )
    .await;
    let answers = [profiles.err(), catalog.err()];
    let mut lines = vec![klaviyo_key(&answers)];
    if lines[0].state != State::Ok {
        return lines;
    }
    for (scopes, error) in READ_SCOPES.iter().zip(&answers) {
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
