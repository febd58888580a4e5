//! The categories of products, for the events of orders: of every product that there is, published or not, in as few
//! bytes as the API client's scopes allow.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use serde::Deserialize;

use super::cache::{Cache, Kept};
use super::lookup::{Lookup, Lookups, Source};
use crate::commercetools::query::IDS_A_QUERY;
use crate::commercetools::scope::{VIEW_PRODUCTS, VIEW_PUBLISHED_PRODUCTS};
use crate::error::{Error, Peer};
use crate::json::Json;
use crate::ports::Ports;
use crate::time::Deadline;

/// The operation that errors name.
const OPERATION: &str = "query products of orders";
/// The most ids of one query of whole products, which are large.
const WHOLE_A_QUERY: usize = 50;
/// The assumed size of a whole product in bytes, before any has been read.
const UNSEEN_WHOLE: usize = 40_000;
/// The assumed size of a product's id and categories in bytes, before any has been read.
const UNSEEN_MEMBERS: usize = 1_000;

/// Only the members that are needed, of all products. Scope: `view_products`.
const MEMBERS: Lookup = Lookup {
    operation: OPERATION,
    source: Source::Graphql {
        field: "products",
        selection: "id masterData {current {categoriesRef {id}}}",
    },
    ids_a_query: IDS_A_QUERY,
    unseen_bytes: UNSEEN_MEMBERS,
};
/// Whole products, where GraphQL does not answer this. Scope: `view_products`.
const WHOLE: Lookup = Lookup {
    operation: OPERATION,
    source: Source::Endpoint {
        path: "products",
        parameters: &[],
    },
    ids_a_query: WHOLE_A_QUERY,
    unseen_bytes: UNSEEN_WHOLE,
};
/// Projections of published products only. Scope: `view_published_products`.
const PUBLISHED: Lookup = Lookup {
    operation: OPERATION,
    source: Source::Endpoint {
        path: "product-projections",
        parameters: &[("staged", "false")],
    },
    ids_a_query: WHOLE_A_QUERY,
    unseen_bytes: UNSEEN_WHOLE,
};
/// The ways to request them, the best first.
const WAYS: [&Lookup; 3] = [&MEMBERS, &WHOLE, &PUBLISHED];
/// The index of the last of them.
const PUBLISHED_WAY: usize = WAYS.len() - 1;

/// The category ids of a product; `None` if it was not found.
type Known = Option<Rc<[String]>>;

impl Kept for Known {
    fn bytes(&self) -> usize {
        let ids = self.iter().flat_map(|ids| ids.iter());
        ids.map(|id| size_of::<String>() + id.len()).sum()
    }
}

/// The category ids of the products of one page.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Of those that exist.
    pub(super) categories: HashMap<String, Rc<[String]>>,
    /// Those that are too large to be looked up.
    pub(super) too_large: HashSet<String>,
    /// Those that were not found among the published ones, while the others may not be read.
    pub(super) perhaps_unpublished: HashSet<String>,
}

#[derive(Deserialize)]
struct Reference {
    id: String,
}

/// The categories of a product's data, or of a projection.
#[derive(Deserialize, Default)]
struct Categories {
    #[serde(default, alias = "categoriesRef")]
    categories: Vec<Reference>,
}

#[derive(Deserialize)]
struct MasterData {
    current: Categories,
}

/// A product, of which GraphQL selects the same members, or a projection.
#[derive(Deserialize)]
struct Product {
    id: String,
    #[serde(rename = "masterData")]
    master_data: Option<MasterData>,
    #[serde(flatten)]
    projection: Categories,
}

impl Product {
    fn read(record: &Json) -> Option<(String, Rc<[String]>)> {
        let product: Self = serde_json::from_str(record.get()).ok()?;
        let data = product.master_data.map(|data| data.current);
        let Categories { categories } = data.unwrap_or(product.projection);
        let ids = categories.into_iter().map(|category| category.id);
        Some((product.id, ids.collect()))
    }
}

/// Looks up the categories of products, and keeps them.
pub(super) struct ProductCategories {
    ports: Ports,
    kept: RefCell<Cache<Known>>,
    /// The index in [`WAYS`] of the best one that this API client may use, as far as is known.
    way: Cell<usize>,
}

impl ProductCategories {
    /// Keeps at most so many bytes.
    pub(super) fn new(ports: Ports, most_bytes: usize) -> Self {
        Self {
            ports,
            kept: RefCell::new(Cache::of_at_most(most_bytes)),
            way: Cell::new(0),
        }
    }

    /// The category ids of these products.
    ///
    /// # Errors
    /// If commercetools does not respond or rejects the request. Where it rejects one way of requesting them, the next
    /// one is tried.
    pub(super) async fn of(
        &self,
        lookups: &Lookups,
        products: HashSet<String>,
        deadline: Deadline,
    ) -> Result<Found, Error> {
        let mut found = Found::default();
        let mut unknown = Vec::new();
        let now = self.ports.clock.monotonic();
        for id in products {
            match self.kept.borrow().get(&id, now) {
                Some(Some(categories)) => _ = found.categories.insert(id, categories),
                Some(None) => self.note_missing(id, &mut found),
                None => unknown.push(id),
            }
        }
        unknown.sort_unstable();
        loop {
            let tried = self.way.get();
            let requested = self.request(lookups, tried, &unknown, &mut found, deadline);
            let Err(error) = requested.await else { break };
            // a token that is refused (401) is no matter of the way
            let is_refused = error.is_rejection() || error.status() == Some(403);
            let next = match is_refused {
                true => self.next_way(lookups, tried, deadline).await?,
                false => None,
            };
            // another page's look-up was refused at the same time, and has gone on already
            if is_refused && self.way.get() > tried {
                continue;
            }
            self.way.set(next.unwrap_or_default());
            if next.is_none() {
                return Err(error);
            }
        }
        Ok(found)
    }

    /// The way to try after one that was refused. Published products alone are read only with a token that allows no more:
    /// a refusal can be of a moment, and what is left out of an event stays out of it.
    async fn next_way(
        &self,
        lookups: &Lookups,
        tried: usize,
        deadline: Deadline,
    ) -> Result<Option<usize>, Error> {
        Ok(match WAYS[tried].source {
            Source::Graphql { .. } => Some(1),
            _ if tried == PUBLISHED_WAY => None,
            _ => {
                let client = &lookups.client;
                let has_all = client.may(VIEW_PRODUCTS, deadline).await?;
                let has_published = client.may(VIEW_PUBLISHED_PRODUCTS, deadline).await?;
                (has_published && !has_all).then_some(PUBLISHED_WAY)
            }
        })
    }

    async fn request(
        &self,
        lookups: &Lookups,
        number: usize,
        ids: &[String],
        found: &mut Found,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let now = self.ports.clock.monotonic();
        let way = WAYS[number];
        let categories = &mut found.categories;
        let taken = lookups.run(way, ids, deadline, |record| {
            let (id, ids) = Product::read(record).ok_or_else(|| {
                Error::unreadable(
                    Peer::Commercetools,
                    OPERATION,
                    "products with their categories",
                )
            })?;
            let kept = Some(ids.clone());
            self.kept.borrow_mut().insert(id.as_str().into(), kept, now);
            categories.insert(id, ids);
            Ok(())
        });
        found.too_large = taken.await?.into_iter().collect();
        for id in ids {
            if !found.categories.contains_key(id) && !found.too_large.contains(id) {
                let mut kept = self.kept.borrow_mut();
                kept.insert(id.as_str().into(), None, now);
                drop(kept);
                self.note_missing(id.clone(), found);
            }
        }
        Ok(())
    }

    fn note_missing(&self, id: String, found: &mut Found) {
        if self.way.get() == PUBLISHED_WAY {
            found.perhaps_unpublished.insert(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn read(text: &'static str) -> Option<(String, Vec<String>)> {
        let (id, ids) = Product::read(&Json::from(RawValue::from_string(text.to_owned()).ok()?))?;
        Some((id, ids.to_vec()))
    }

    #[test]
    fn each_way_names_the_current_categories() {
        let categories = || Some(("p".to_owned(), vec!["a".to_owned(), "b".to_owned()]));
        for text in [
            r#"{"id":"p","masterData":{"current":{"categoriesRef":[{"id":"a"},{"id":"b"}]}}}"#,
            r#"{"id":"p","masterData":{"published":false,"current":{"categories":[{"typeId":"category","id":"a"},{"typeId":"category","id":"b"}]},"staged":{"categories":[]}}}"#,
            r#"{"id":"p","categories":[{"typeId":"category","id":"a"},{"typeId":"category","id":"b"}],"name":{"en":"x"}}"#,
        ] {
            assert_eq!(read(text), categories(), "{text}");
        }
        assert_eq!(read(r#"{"id":"p"}"#), Some(("p".to_owned(), Vec::new())));
        assert_eq!(read(r#"{"masterData":{"current":{}}}"#), None);
    }
}
