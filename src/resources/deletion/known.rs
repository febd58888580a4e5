//! Which entries of Klaviyo's catalog the shop has, too: a deletion finds most of what it deletes by the shop's ids.
//!
//! Klaviyo's listing has 100 entries a page, each page's path is in the one before it, and so 20,000 entries take a minute
//! to list. The shop's ids can be read in many ranges at a time, 500 a page, and Klaviyo then be asked which of them it has.

use crate::commercetools;
use crate::commercetools::graphql::GraphqlQuery;
use crate::commercetools::query::Query;
use crate::error::Error;
use crate::klaviyo;
use crate::klaviyo::catalog::identifier;
use crate::klaviyo::catalog::listing::{CatalogCollection, existing};
use crate::mapping;
use crate::mapping::product::compound_id;
use crate::run::page::{Mapper, Page, PageQuery, Record};
use crate::time::Deadline;

/// The ranges that are read at a time: an id takes up so little that memory allows many.
pub(super) const RANGES: usize = 32;
/// The bytes of an id: the first page may be a full one.
pub(super) const ID_BYTES: usize = 36;

/// Reads the next of the shop's ids, and which of them Klaviyo has, of a range of digests only those that are wanted. Where
/// commercetools does not let them be read, the page is an empty last one: what is not found this way is listed.
///
/// # Errors
/// If one of the APIs does not respond, or Klaviyo rejects the request.
pub(super) async fn page(
    commercetools: &commercetools::Client,
    klaviyo: &klaviyo::Client,
    collection: CatalogCollection,
    kind: &str,
    query: &PageQuery,
    mapper: Mapper,
    deadline: Deadline,
) -> Result<Page, Error> {
    let ids = match shop_ids(commercetools, collection, query, deadline).await {
        Err(error) if error.is_slow_page() => return Err(error),
        Err(error) if error.is_rejection() || error.status() == Some(403) => None,
        ids => Some(ids?),
    };
    let is_last = ids.as_ref().is_none_or(|ids| ids.len() < query.limit);
    let ids = ids.unwrap_or_default();
    let there = existing(klaviyo, collection, &ids, deadline).await?;
    let wanted = &query.range.digests;
    let is_wanted = |id: &str| wanted.is_empty() || wanted.contains(id);
    let there = ids
        .iter()
        .filter(|id| is_wanted(id) && there.contains(&compound_id(id)));
    let records: Vec<Record> = there
        .map(|id| Record::Present(identifier(kind, &compound_id(id)).into()))
        .collect();
    Ok(Page {
        // of all ids, as the size of a page is reckoned by them
        bytes: ids.iter().map(String::len).sum(),
        len: ids.len(),
        records: records.into(),
        by_id: true,
        is_last,
        last: ids.into_iter().next_back(),
        mapper,
    })
}

/// The next ids of a range in their order.
async fn shop_ids(
    client: &commercetools::Client,
    collection: CatalogCollection,
    query: &PageQuery,
    deadline: Deadline,
) -> Result<Vec<String>, Error> {
    let (field, operation) = match collection {
        CatalogCollection::Categories => ("categories", "query the ids of categories"),
        CatalogCollection::Items | CatalogCollection::Variants => {
            ("products", "query the ids of products")
        }
    };
    let range = Query {
        after: query.range.after.as_deref(),
        from: query.range.from.as_deref(),
        through: query.range.through.as_deref(),
        ..Query::all(operation, field, query.max_bytes)
    };
    let query = GraphqlQuery {
        operation,
        field,
        predicate: range.predicate(),
        limit: query.limit,
        selection: "id",
        is_lookup: false,
        max_bytes: query.max_bytes,
    };
    let records = client.graphql(&query, deadline).await?;
    let ids = records.iter().map(|record| mapping::id(record.part()));
    ids.collect::<Option<Vec<String>>>()
        // else the next page would be this one again
        .filter(|ids| {
            ids.is_sorted()
                && ids
                    .iter()
                    .all(|id| range.after.is_none_or(|after| id.as_str() > after))
        })
        .ok_or_else(|| {
            let expected = "records with their ids, which come after those of the page before";
            Error::unreadable(crate::error::Peer::Commercetools, operation, expected)
        })
}
