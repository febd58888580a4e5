//! Checks commercetools: the token and its scopes, what can be read, and writing custom objects.

use futures_util::future::join_all;

use super::line::Line;
use crate::commercetools::custom_objects::WriteOutcome;
use crate::commercetools::query::Query;
use crate::commercetools::scope::{VIEW_PRODUCTS, is_granted};
use crate::run::engine::Engine;
use crate::time::Deadline;

/// The key of the custom object that is written and deleted again.
const KEY: &str = "check";
/// The largest response that is read, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// The collections that are read: a name for the line, the path, and the scopes of which one is enough
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
/// The scope that the run documents need.
const DOCUMENT_SCOPE: &str = "manage_key_value_documents";

pub(super) async fn token(engine: &Engine, deadline: Deadline) -> (Line, Option<String>) {
    match engine.commercetools.granted_scope(deadline).await {
        Ok(granted) => (
            Line::ok("commercetools: token", "the API client can fetch a token"),
            Some(granted),
        ),
        Err(error) => (Line::of("commercetools: token", &error), None),
    }
}

pub(super) fn scopes(granted: &str, project: &str) -> Vec<Line> {
    let needed = COLLECTIONS
        .iter()
        .map(|(what, _, scopes)| (format!("commercetools: scope for {what}"), *scopes));
    let documents = (
        "commercetools: scope for run documents".to_owned(),
        &[DOCUMENT_SCOPE][..],
    );
    let lines = needed.chain([documents]);
    let mut lines: Vec<Line> = lines
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
        .collect();
    lines.push(all_products(granted, project));
    lines
}

/// Whether all products can be read. The import works without.
fn all_products(granted: &str, project: &str) -> Line {
    let what = "commercetools: scope for unpublished products";
    if is_granted(granted, VIEW_PRODUCTS, project) {
        return Line::ok(what, format!("{VIEW_PRODUCTS} is granted"));
    }
    let detail = format!(
        "{VIEW_PRODUCTS}:{project} is not granted: unpublished products are not counted, and the Categories of \
         orders come from published products only"
    );
    Line::unknown(what, detail)
}

pub(super) async fn collections(engine: &Engine, deadline: Deadline) -> Vec<Line> {
    let lines = COLLECTIONS.map(async |(what, path, _)| {
        let query = Query::all("check what can be read", path, MAX_BYTES);
        let line = format!("commercetools: read {what}");
        match engine.commercetools.total(&query, deadline).await {
            Ok(total) => Line::ok(line, format!("{total} {what}")),
            Err(error) => Line::of(line, &error),
        }
    });
    join_all(lines).await
}

/// Writes a custom object and deletes it.
pub(super) async fn documents(engine: &Engine, deadline: Deadline) -> Line {
    const WHAT: &str = "commercetools: write and delete a custom object";
    let tried = async {
        let client = &engine.commercetools;
        let container = engine.store.container();
        // an earlier check may have failed to delete it
        let found = client
            .custom_object::<serde_json::Value>(container, KEY, deadline)
            .await?;
        let version = found.map_or(0, |found| found.version);
        let value = serde_json::json!({"checkedAt": client.server_now()});
        let written = client
            .write_custom_object(container, KEY, &value, version, deadline)
            .await?;
        let WriteOutcome::Done { version, .. } = written else {
            return Ok(false);
        };
        client
            .delete_custom_object(container, KEY, version, deadline)
            .await
    };
    match tried.await {
        Ok(true) => {
            let container = engine.store.container();
            Line::ok(WHAT, format!("{container}/{KEY} was written and deleted"))
        }
        Ok(false) => Line::unknown(WHAT, "another check wrote it at the same time; try again"),
        Err(error) => Line::of(WHAT, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::check::line::State;

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
