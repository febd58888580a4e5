//! Lists the entries that the catalog has.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use crate::error::{Error, Peer};
use crate::klaviyo::client::Client;
use crate::klaviyo::links::{Links, next_path};
use crate::klaviyo::query::filters_of_any;
use crate::klaviyo::rate::Endpoint;
use crate::klaviyo::side_by_side;
use crate::mapping::product::{compound_id, external_id};
use crate::time::Deadline;

/// Up to fewer than this many included variants, an item is taken to have no others. How many Klaviyo includes at most was
/// neither recorded nor documented; for an item with at least this many, the variants are listed separately. Were it fewer, and
/// the others not linked either, obsolete variants would stay in Klaviyo: a listing for each item is what would find them.
const SURELY_ALL_INCLUDED: usize = 10;

static LIST_ITEMS: Endpoint = Endpoint {
    name: "list catalog items",
    burst: 350,
    steady: 3_500,
};
static LIST_CATEGORIES: Endpoint = Endpoint {
    name: "list catalog categories",
    burst: 350,
    steady: 3_500,
};
static LIST_ALL_VARIANTS: Endpoint = Endpoint {
    name: "list catalog variants",
    burst: 350,
    steady: 3_500,
};
static LIST_VARIANTS: Endpoint = Endpoint {
    name: "list an item's catalog variants",
    burst: 350,
    steady: 3_500,
};

/// A collection of catalog entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogCollection {
    /// `catalog-categories`
    Categories,
    /// `catalog-items`
    Items,
    /// `catalog-variants`. Which item one belongs to is not part of it.
    Variants,
}

impl CatalogCollection {
    pub(super) fn endpoint(self) -> &'static Endpoint {
        match self {
            Self::Categories => &LIST_CATEGORIES,
            Self::Items => &LIST_ITEMS,
            Self::Variants => &LIST_ALL_VARIANTS,
        }
    }

    /// The path of all entries, with as few fields of each as the API can return.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Categories => {
                "/api/catalog-categories?fields%5Bcatalog-category%5D=external_id&page%5Bsize%5D=100"
            }
            Self::Items => {
                "/api/catalog-items?fields%5Bcatalog-item%5D=external_id&page%5Bsize%5D=100"
            }
            Self::Variants => {
                "/api/catalog-variants?fields%5Bcatalog-variant%5D=external_id&page%5Bsize%5D=100"
            }
        }
    }

    /// The path of all entries with these fields of each.
    pub(super) fn path_with_fields(self, fields: &str) -> String {
        let (collection, kind) = match self {
            Self::Categories => ("catalog-categories", "catalog-category"),
            Self::Items => ("catalog-items", "catalog-item"),
            Self::Variants => ("catalog-variants", "catalog-variant"),
        };
        format!("/api/{collection}?fields%5B{kind}%5D={fields}&page%5Bsize%5D=100")
    }

    /// The paths of the entries with these external ids, each with as many ids as a query takes.
    fn of_ids(self, ids: &[String]) -> Vec<String> {
        let ids: Vec<String> = ids.iter().map(|id| compound_id(id)).collect();
        let filters = filters_of_any("ids", ids.iter().map(String::as_str)).into_iter();
        filters
            .map(|filter| format!("{}&filter={filter}", self.path()))
            .collect()
    }
}

#[derive(Deserialize)]
struct Listed {
    data: Vec<ListedEntry>,
    #[serde(default)]
    links: Option<Links>,
}

#[derive(Deserialize)]
struct ListedEntry {
    id: String,
    #[serde(default)]
    relationships: Option<Relationships>,
}

#[derive(Deserialize)]
struct Relationships {
    #[serde(default)]
    variants: Option<Linkage>,
}

#[derive(Deserialize)]
struct Linkage {
    #[serde(default)]
    data: Option<Vec<Identifier>>,
}

#[derive(Deserialize)]
struct Identifier {
    id: String,
}

/// What is looked up of the variants of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All that Klaviyo has.
    All,
    /// Those that are expected: of an item with very many.
    Wanted,
}

/// A page of a listing.
#[derive(Debug)]
pub struct ListedPage {
    /// The entries' compound ids.
    pub ids: Vec<String>,
    /// The path of the next page.
    pub next: Option<String>,
}

async fn page(
    client: &Client,
    endpoint: &'static Endpoint,
    path: &str,
    deadline: Deadline,
) -> Result<(Vec<ListedEntry>, Option<String>), Error> {
    let body = client.get(endpoint, path, deadline).await?;
    let unreadable =
        || Error::unreadable(Peer::Klaviyo, endpoint.name, "a page of catalog entries");
    let listed: Listed = serde_json::from_slice(&body).map_err(|_| unreadable())?;
    let next = next_path(listed.links, path).map_err(|_| unreadable())?;
    Ok((listed.data, next))
}

async fn pages(
    client: &Client,
    endpoint: &'static Endpoint,
    path: String,
    deadline: Deadline,
) -> Result<Vec<ListedEntry>, Error> {
    let (mut all, mut next) = page(client, endpoint, &path, deadline).await?;
    while let Some(path) = next {
        let more;
        (more, next) = page(client, endpoint, &path, deadline).await?;
        all.extend(more);
    }
    Ok(all)
}

/// Checks that the catalog can be read, with the smallest possible request.
///
/// # Errors
/// If Klaviyo does not respond or rejects the request.
pub async fn can_read(client: &Client, deadline: Deadline) -> Result<(), Error> {
    let path = "/api/catalog-items?page%5Bsize%5D=1";
    client.get(&LIST_ITEMS, path, deadline).await.map(|_| ())
}

/// Reads a page of a collection. `path` is [`CatalogCollection::path`] or the `next` of the page before.
///
/// # Errors
/// If Klaviyo does not respond or rejects the request.
pub async fn list(
    client: &Client,
    collection: CatalogCollection,
    path: &str,
    deadline: Deadline,
) -> Result<ListedPage, Error> {
    let (entries, next) = page(client, collection.endpoint(), path, deadline).await?;
    Ok(ListedPage {
        ids: entries.into_iter().map(|entry| entry.id).collect(),
        next,
    })
}

/// The compound ids of those of these entries (by external id) that Klaviyo has.
///
/// # Errors
/// If Klaviyo does not respond or rejects the request.
pub async fn existing(
    client: &Client,
    collection: CatalogCollection,
    ids: &[String],
    deadline: Deadline,
) -> Result<HashSet<String>, Error> {
    let paths = collection.of_ids(ids).into_iter();
    let answers = paths.map(|path| pages(client, collection.endpoint(), path, deadline));
    let entries = side_by_side::all(answers).await?.into_iter().flatten();
    Ok(entries.map(|entry| entry.id).collect())
}

/// The variants that Klaviyo has of items, both by compound id; items that Klaviyo does not have are left out. `wanted`
/// has the compound ids of the expected variants by the item's external id; `extent` says whether others are looked up,
/// too. The variants of an item are listed separately if an expected one is there and not included with it, and if it has
/// so many that they may not all be included.
///
/// # Errors
/// If Klaviyo does not respond or rejects the request.
pub async fn variants_of_items(
    client: &Client,
    wanted: &HashMap<String, Vec<String>>,
    extent: Extent,
    deadline: Deadline,
) -> Result<HashMap<String, HashSet<String>>, Error> {
    if extent == Extent::Wanted {
        let items = wanted.iter();
        let items = items.map(|(id, skus)| expected_of_item(client, id, skus, deadline));
        let known = side_by_side::all(items).await?.into_iter().flatten();
        return Ok(known.collect());
    }
    let mut ids: Vec<String> = wanted.keys().cloned().collect();
    ids.sort_unstable();
    let chunks = CatalogCollection::Items
        .of_ids(&ids)
        .into_iter()
        .map(|path| {
            let path = format!("{path}&include=variants&fields%5Bcatalog-variant%5D=external_id");
            pages(client, &LIST_ITEMS, path, deadline)
        });
    let items: Vec<(String, Option<HashSet<String>>)> = side_by_side::all(chunks)
        .await?
        .into_iter()
        .flatten()
        .map(linked)
        .collect();
    let wanted: HashMap<String, &Vec<String>> = wanted
        .iter()
        .map(|(id, skus)| (compound_id(id), skus))
        .collect();
    let lacking = |item: &str, linked: Option<&HashSet<String>>| -> Vec<String> {
        let is_linked = |id: &str| linked.is_some_and(|linked| linked.contains(id));
        let wanted = wanted.get(item).into_iter().copied().flatten();
        let lacking = wanted.filter(|id| !is_linked(id)).cloned();
        lacking.collect()
    };
    // many variants may never be there, such as those without a price: a listing for each of their items would be too much
    let unincluded: Vec<String> = items
        .iter()
        .filter(|(_, linked)| match linked {
            Some(linked) => (1..SURELY_ALL_INCLUDED).contains(&linked.len()),
            None => true,
        })
        .flat_map(|(item, linked)| lacking(item, linked.as_ref()))
        .map(|id| external_id(&id).to_owned())
        .collect();
    let there = existing(client, CatalogCollection::Variants, &unincluded, deadline).await?;
    let complete = items.into_iter().map(|(item, linked)| {
        let lacking = lacking(&item, linked.as_ref());
        let lacks_one = lacking.iter().any(|id| there.contains(id));
        let has_many = |linked: &HashSet<String>| linked.len() >= SURELY_ALL_INCLUDED;
        let has_some = linked.as_ref().is_none_or(|linked| !linked.is_empty());
        let may_have_more = linked.as_ref().is_some_and(has_many) || (has_some && lacks_one);
        async move {
            if !may_have_more {
                return Ok((item, linked.unwrap_or_default()));
            }
            match pages(client, &LIST_VARIANTS, variants_path(&item), deadline).await {
                Ok(variants) => Ok((
                    item,
                    variants.into_iter().map(|variant| variant.id).collect(),
                )),
                // the item was deleted after it was listed
                Err(error) if error.status() == Some(404) => Ok((item, HashSet::new())),
                Err(error) => Err(error),
            }
        }
    });
    Ok(side_by_side::all(complete).await?.into_iter().collect())
}

/// Those of these variants that Klaviyo has of an item, both by compound id; `None` if it does not have the item.
async fn expected_of_item(
    client: &Client,
    id: &str,
    wanted: &[String],
    deadline: Deadline,
) -> Result<Option<(String, HashSet<String>)>, Error> {
    let there = existing(client, CatalogCollection::Items, &[id.to_owned()], deadline).await?;
    let Some(item) = there.into_iter().next() else {
        return Ok(None);
    };
    let filters = filters_of_any("ids", wanted.iter().map(String::as_str));
    let answers = filters.into_iter().map(|filter| {
        let path = format!("{}&filter={filter}", variants_path(&item));
        pages(client, &LIST_VARIANTS, path, deadline)
    });
    match side_by_side::all(answers).await {
        Ok(found) => {
            let found = found.into_iter().flatten();
            let ids = found.map(|variant| variant.id).collect();
            Ok(Some((item, ids)))
        }
        // the item was deleted after it was listed
        Err(error) if error.status() == Some(404) => Ok(Some((item, HashSet::new()))),
        Err(error) => Err(error),
    }
}

/// The path of all variants of an item.
fn variants_path(item: &str) -> String {
    format!(
        "/api/catalog-items/{item}/variants?fields%5Bcatalog-variant%5D=external_id&page%5Bsize%5D=100"
    )
}

/// A page of the variants of an item (by external id), by compound id. `path` is the `next` of the page before; `None` for
/// the first page.
///
/// # Errors
/// If Klaviyo does not respond or rejects the request.
pub async fn list_variants_of(
    client: &Client,
    id: &str,
    path: Option<&str>,
    deadline: Deadline,
) -> Result<ListedPage, Error> {
    let first = variants_path(&compound_id(id));
    let path = path.unwrap_or(&first);
    match page(client, &LIST_VARIANTS, path, deadline).await {
        Ok((entries, next)) => Ok(ListedPage {
            ids: entries.into_iter().map(|entry| entry.id).collect(),
            next,
        }),
        // Klaviyo does not have the item
        Err(error) if error.status() == Some(404) => Ok(ListedPage {
            ids: Vec::new(),
            next: None,
        }),
        Err(error) => Err(error),
    }
}

/// An item with the variants that it is linked to; `None` if the response does not say it. Where fields were selected,
/// relationships were recorded to stay, and were reported to be left out.
fn linked(item: ListedEntry) -> (String, Option<HashSet<String>>) {
    let linkage = item
        .relationships
        .and_then(|related| related.variants?.data);
    let linked = linkage.map(|variants| variants.into_iter().map(|variant| variant.id).collect());
    (item.id, linked)
}
