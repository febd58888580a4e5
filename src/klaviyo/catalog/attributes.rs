//! Reads attributes of catalog entries.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::listing::CatalogCollection;
use crate::error::{Error, Peer};
use crate::klaviyo::client::Client;
use crate::klaviyo::links::{Links, next_path};
use crate::klaviyo::query::filters_of_any;
use crate::time::Deadline;

#[derive(Deserialize)]
struct Listed {
    data: Vec<Entry>,
    #[serde(default)]
    links: Option<Links>,
}

/// An entry with the attributes that were selected.
#[derive(Deserialize)]
pub struct Entry {
    /// Its compound id.
    pub id: String,
    /// Its attributes.
    #[serde(default)]
    pub attributes: Map<String, Value>,
}

/// Reads these fields of the entries with these compound ids, as far as Klaviyo has them, and passes them to `take` as they
/// arrive.
///
/// # Errors
/// If Klaviyo does not respond or rejects the request. If a response is too large to hold, it is requested for fewer
/// entries.
pub async fn read(
    client: &Client,
    collection: CatalogCollection,
    fields: &str,
    ids: &[String],
    deadline: Deadline,
    mut take: impl FnMut(Entry),
) -> Result<(), Error> {
    let mut chunks = vec![ids];
    while let Some(chunk) = chunks.pop() {
        match read_chunk(client, collection, fields, chunk, deadline).await {
            Ok(entries) => entries.into_iter().for_each(&mut take),
            Err(error) if error.is_too_large() && chunk.len() > 1 => {
                let (first, second) = chunk.split_at(chunk.len() / 2);
                chunks.extend([second, first]);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn read_chunk(
    client: &Client,
    collection: CatalogCollection,
    fields: &str,
    ids: &[String],
    deadline: Deadline,
) -> Result<Vec<Entry>, Error> {
    let endpoint = collection.endpoint();
    let mut entries = Vec::new();
    for filter in filters_of_any("ids", ids.iter().map(String::as_str)) {
        let mut next = Some(format!(
            "{}&filter={filter}",
            collection.path_with_fields(fields)
        ));
        while let Some(path) = next {
            let body = client.get(endpoint, &path, deadline).await?;
            let unreadable =
                || Error::unreadable(Peer::Klaviyo, endpoint.name, "a page of catalog entries");
            let listed: Listed = serde_json::from_slice(&body).map_err(|_| unreadable())?;
            next = next_path(listed.links, &path).map_err(|_| unreadable())?;
            entries.extend(listed.data);
        }
    }
    Ok(entries)
}
