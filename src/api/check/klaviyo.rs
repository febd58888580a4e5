//! Checks Klaviyo: the key and its scopes.
//!
//! The check only reads from the account. Which scopes the key has for writing shows in the first import; these lines
//! are `unknown`.

use futures_util::future::join;

use super::line::{Line, State};
use crate::error::Error;
use crate::klaviyo::catalog::listing;
use crate::klaviyo::profiles;
use crate::run::engine::Engine;
use crate::time::Deadline;

/// The scopes that the two requests need. An import needs no other scopes for reading (`x-klaviyo-scopes` of its
/// operations in Klaviyo's contract).
const READ_SCOPES: [&str; 2] = ["profiles:read and lists:read", "catalogs:read"];
/// The scopes that an import needs for writing, and what for.
const WRITES: [(&str, &str); 4] = [
    ("profiles:write", "customers"),
    ("lists:write", "customers"),
    ("events:write", "orders"),
    ("catalogs:write", "categories and products"),
];

/// Sends the two smallest possible requests that read from the account.
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
            None => Line::ok(what, "granted: reading works"),
            Some(error) if error.status() == Some(403) => {
                let fix = format!("Give the key of klaviyo_auth_key {scopes}, or full access.");
                Line::failed(what, error.to_string(), fix)
            }
            // the key was accepted and the request was not: that says nothing about the scope
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
                "cannot be checked without writing; needed for {needed_for}, and part of a key with full access"
            ),
        )
    }));
    lines
}

/// Whether the key is valid: Klaviyo's response is 401 if it is not, and 403 if it lacks a scope.
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
        None => Line::unknown(WHAT, "no request was sent"),
    }
}
