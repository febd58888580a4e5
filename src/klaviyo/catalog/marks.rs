//! Whose catalog items are: the commercetools project that they carry in `custom_metadata`.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::listing::LIST_ITEMS;
use crate::error::{Error, Peer};
use crate::klaviyo::client::Client;
use crate::klaviyo::links::{Links, next_path};
use crate::klaviyo::query::filters_of_any;
use crate::mapping::metadata::PROJECT;
use crate::time::Deadline;

#[derive(Deserialize)]
struct Listed {
    data: Vec<Item>,
    #[serde(default)]
    links: Option<Links>,
}

#[derive(Deserialize)]
struct Item {
    id: String,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Deserialize, Default)]
struct Attributes {
    #[serde(default)]
    custom_metadata: Option<Map<String, Value>>,
}

impl Item {
    fn project(self) -> (String, Option<String>) {
        let metadata = self.attributes.custom_metadata.unwrap_or_default();
        let project = metadata.get(PROJECT).and_then(Value::as_str);
        (self.id, project.map(str::to_owned))
    }
}

/// The keys of the projects that these items carry, both by compound id; `None` for an item that carries none. Items that
/// Klaviyo does not have are left out.
///
/// # Errors
/// If Klaviyo does not respond or rejects the request. If a response is too large to hold, it is requested for fewer items.
pub async fn projects_of_items(
    client: &Client,
    ids: &[String],
    deadline: Deadline,
) -> Result<HashMap<String, Option<String>>, Error> {
    let mut found = HashMap::new();
    let mut chunks = vec![ids];
    while let Some(chunk) = chunks.pop() {
        match read(client, chunk, deadline).await {
            Ok(items) => found.extend(items.into_iter().map(Item::project)),
            Err(error) if error.is_too_large() && chunk.len() > 1 => {
                let (first, second) = chunk.split_at(chunk.len() / 2);
                chunks.extend([second, first]);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

async fn read(client: &Client, ids: &[String], deadline: Deadline) -> Result<Vec<Item>, Error> {
    let mut items = Vec::new();
    for filter in filters_of_any("ids", ids.iter().map(String::as_str)) {
        let mut next = Some(format!(
            "/api/catalog-items?fields%5Bcatalog-item%5D=custom_metadata&page%5Bsize%5D=100&filter={filter}"
        ));
        while let Some(path) = next {
            let body = client.get(&LIST_ITEMS, &path, deadline).await?;
            let unreadable =
                || Error::unreadable(Peer::Klaviyo, LIST_ITEMS.name, "a page of catalog items");
            let listed: Listed = serde_json::from_slice(&body).map_err(|_| unreadable())?;
            next = next_path(listed.links, &path).map_err(|_| unreadable())?;
            items.extend(listed.data);
        }
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(item: &str) -> Option<String> {
        serde_json::from_str::<Item>(item).unwrap().project().1
    }

    #[test]
    fn an_item_carries_a_project_only_as_a_text() {
        let of = |metadata: &str| {
            project(&format!(
                r#"{{"id":"i","attributes":{{"custom_metadata":{metadata}}}}}"#
            ))
        };
        assert_eq!(
            of(r#"{"commercetools_project":"shop","a":1}"#).as_deref(),
            Some("shop")
        );
        for none in ["null", "{}", r#"{"commercetools_project":7}"#] {
            assert_eq!(of(none), None, "{none}");
        }
        assert_eq!(project(r#"{"id":"i"}"#), None);
    }
}
