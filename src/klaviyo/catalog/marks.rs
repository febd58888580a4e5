//! Whose catalog items are: the commercetools project that they carry in `custom_metadata`.

use std::collections::HashMap;

use super::attributes::{self, Entry};
use super::listing::CatalogCollection;
use crate::error::Error;
use crate::klaviyo::client::Client;
use crate::mapping::metadata::PROJECT;
use crate::time::Deadline;

fn project(item: &Entry) -> Option<String> {
    let project = item.attributes.get("custom_metadata")?.get(PROJECT)?;
    project.as_str().map(str::to_owned)
}

/// The keys of the projects that these items carry, both by compound id; `None` for an item that carries none. Items that
/// Klaviyo does not have are left out.
///
/// # Errors
/// As [`attributes::read`].
pub async fn projects_of_items(
    client: &Client,
    ids: &[String],
    deadline: Deadline,
) -> Result<HashMap<String, Option<String>>, Error> {
    let mut found = HashMap::new();
    let (items, fields) = (CatalogCollection::Items, "custom_metadata");
    let taken = attributes::read(client, items, fields, ids, deadline, |item: Entry| {
        found.insert(item.id.clone(), project(&item));
    });
    taken.await?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_carries_a_project_only_as_a_text() {
        let of = |item: &str| project(&serde_json::from_str(item).unwrap());
        let with = |metadata: &str| {
            of(&format!(
                r#"{{"id":"i","attributes":{{"custom_metadata":{metadata}}}}}"#
            ))
        };
        assert_eq!(
            with(r#"{"commercetools_project":"shop","a":1}"#).as_deref(),
            Some("shop")
        );
        for none in ["null", "{}", r#"{"commercetools_project":7}"#] {
            assert_eq!(with(none), None, "{none}");
        }
        assert_eq!(of(r#"{"id":"i"}"#), None);
    }
}
