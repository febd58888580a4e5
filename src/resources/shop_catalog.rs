//! Looks up the shop's categories with their names and ancestors, for catalog categories and items, and the categories
//! of products, for the events of orders.
//!
//! Products and categories are fetched by id, in chunks, and cached in the instance within a memory limit: many orders
//! are of the same few products, and many categories have the same ancestors.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use futures_util::{StreamExt, pin_mut, stream};
use indexmap::IndexSet;
use serde::Deserialize;

use super::cache::{Cache, Kept};
use super::room::Room;
use crate::commercetools::Client;
use crate::commercetools::query::{IDS_A_QUERY, Query};
use crate::config::MappingOptions;
use crate::error::{Error, Peer};
use crate::json::Json;
use crate::klaviyo::bulk::MAX_REQUEST_BYTES;
use crate::mapping;
use crate::mapping::category::{Category, CategoryNames};
use crate::mapping::order::{self, CategoryPaths};
use crate::mapping::product::CategoryAncestors;
use crate::ports::{Ports, TransportError};
use crate::time::Deadline;

/// Each of the two caches may take this fraction of the instance's memory: one twelfth.
const MEMORY_SHARE: usize = 12;
/// The most category ids that are kept to be shared; each takes about 100 bytes.
const MOST_IDS: usize = 20_000;
/// Responses of look-ups may take this fraction of the instance's memory: one eighth.
const ROOM_SHARE: usize = 8;
/// The least memory that is reserved for a response, in bytes.
const LEAST_RESERVED: usize = 256 * 1024;
/// The assumed size of a record in bytes, before any has been read.
const UNSEEN_BYTES: usize = 40_000;
/// The most chunks of one page that are requested at the same time, if there is memory for their responses.
const CHUNKS_AT_A_TIME: usize = 4;
/// The operation that errors name.
const CATEGORIES_BY_ID: &str = "query categories by id";
/// The most ids of one query of products, which are large.
const PRODUCTS_A_QUERY: usize = 50;

/// The members of a category that paths need.
struct Node {
    name: Option<String>,
    ancestors: Box<[Rc<str>]>,
}

/// A category; `None` if it does not exist.
type KnownNode = Option<Rc<Node>>;

impl Kept for KnownNode {
    fn bytes(&self) -> usize {
        self.as_ref().map_or(0, |node| {
            node.name.as_ref().map_or(0, String::len) + size_of_val(&*node.ancestors)
        })
    }
}

/// The category ids of a product; `None` if it does not exist.
type KnownProduct = Option<Rc<[String]>>;

impl Kept for KnownProduct {
    fn bytes(&self) -> usize {
        let ids = self.iter().flat_map(|ids| ids.iter());
        ids.map(|id| size_of::<String>() + id.len()).sum()
    }
}

/// Categories that have been looked up, with their ancestors.
#[derive(Default)]
pub struct Nodes(HashMap<Rc<str>, Rc<Node>>);

impl CategoryNames for Nodes {
    fn name(&self, category_id: &str) -> Option<&str> {
        self.0.get(category_id)?.name.as_deref()
    }
}

impl CategoryAncestors for Nodes {
    fn ancestors(&self, category_id: &str) -> Option<&[Rc<str>]> {
        self.0.get(category_id).map(|node| &*node.ancestors)
    }
}

/// A collection that is looked up by ids.
struct Lookup {
    operation: &'static str,
    path: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    /// The most ids of one query.
    ids_a_query: usize,
}

const PRODUCTS: Lookup = Lookup {
    operation: "query products of orders",
    path: "product-projections",
    parameters: &[("staged", "false")],
    ids_a_query: PRODUCTS_A_QUERY,
};
const CATEGORIES: Lookup = Lookup {
    operation: CATEGORIES_BY_ID,
    path: "categories",
    parameters: &[],
    ids_a_query: IDS_A_QUERY,
};

/// Looks up categories and products by id.
pub struct ShopCatalog {
    ports: Ports,
    client: Rc<Client>,
    options: Rc<MappingOptions>,
    room: Room,
    /// The largest mean size of the records of a response, in bytes, by path.
    record_bytes: RefCell<HashMap<&'static str, usize>>,
    products: RefCell<Cache<KnownProduct>>,
    categories: RefCell<Cache<KnownNode>>,
    category_ids: RefCell<HashSet<Rc<str>>>,
}

/// The category paths of the products of one page.
#[derive(Default)]
pub struct PagePaths {
    paths: HashMap<String, Vec<String>>,
    too_large: HashSet<String>,
}

impl PagePaths {
    /// Whether one of these products is too large to be looked up, so that its categories are not known.
    #[must_use]
    pub fn has_too_large(&self, products: &[String]) -> bool {
        !self.too_large.is_empty() && products.iter().any(|id| self.too_large.contains(id))
    }

    /// Whether all products could be looked up.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.too_large.is_empty()
    }
}

impl CategoryPaths for PagePaths {
    fn paths(&self, product_id: &str) -> Option<&[String]> {
        self.paths.get(product_id).map(Vec::as_slice)
    }
}

/// A product projection, with the members that are read.
#[derive(Deserialize)]
struct Projection {
    id: String,
    #[serde(default)]
    categories: Vec<CategoryReference>,
}

#[derive(Deserialize)]
struct CategoryReference {
    id: String,
}

impl ShopCatalog {
    /// An empty catalog, for an instance with this much memory.
    #[must_use]
    pub fn new(
        ports: Ports,
        client: Rc<Client>,
        options: Rc<MappingOptions>,
        memory_mib: usize,
    ) -> Self {
        let most = memory_mib * 1024 * 1024 / MEMORY_SHARE;
        Self {
            ports,
            client,
            options,
            room: Room::of(memory_mib * 1024 * 1024 / ROOM_SHARE),
            record_bytes: RefCell::default(),
            products: RefCell::new(Cache::of_at_most(most)),
            categories: RefCell::new(Cache::of_at_most(most)),
            category_ids: RefCell::default(),
        }
    }

    /// Looks up records by their ids, a few chunks at a time, and passes them to `take` as they arrive: only a few
    /// responses are in memory, beside the page that they are fetched for. Returns the ids of records that are too
    /// large.
    async fn look_up(
        &self,
        lookup: &Lookup,
        ids: &[String],
        deadline: Deadline,
        take: impl FnMut(&Json) -> Result<(), Error>,
    ) -> Result<Vec<String>, Error> {
        let take = RefCell::new(take);
        let chunks = ids.chunks(lookup.ids_a_query);
        let chunks = chunks.map(|chunk| self.look_up_chunk(lookup, chunk, deadline, &take));
        let answers = stream::iter(chunks).buffered(CHUNKS_AT_A_TIME);
        pin_mut!(answers);
        let mut too_large = Vec::new();
        while let Some(answer) = answers.next().await {
            too_large.extend(answer?);
        }
        Ok(too_large)
    }

    /// Looks up a chunk. If the response is larger than the memory reserved for it, the chunk is requested in halves,
    /// and a single record with all the memory for look-ups.
    async fn look_up_chunk(
        &self,
        lookup: &Lookup,
        chunk: &[String],
        deadline: Deadline,
        take: &RefCell<impl FnMut(&Json) -> Result<(), Error>>,
    ) -> Result<Vec<String>, Error> {
        let mut parts = vec![(chunk, false)];
        let mut too_large = Vec::new();
        while let Some((ids, needs_all)) = parts.pop() {
            let reserved = match needs_all {
                true => self.room.most,
                false => self.room_for(lookup.path, ids.len()),
            };
            let taken = self.room.take(&self.ports, reserved).await;
            match self.by_ids(lookup, ids, reserved, deadline).await {
                Ok(records) => {
                    self.note_size(lookup.path, &records);
                    let mut take = take.borrow_mut();
                    records.iter().try_for_each(&mut *take)?;
                }
                Err(error) if error.is_too_large() => {
                    drop(taken);
                    match ids {
                        [id] if reserved >= self.room.most => too_large.push(id.clone()),
                        [_] => parts.push((ids, true)),
                        _ => {
                            let (first, second) = ids.split_at(ids.len() / 2);
                            parts.extend([(second, false), (first, false)]);
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(too_large)
    }

    /// The memory to reserve for a response with this many records: twice their known size.
    fn room_for(&self, path: &str, records: usize) -> usize {
        let known = self.record_bytes.borrow().get(path).copied();
        known
            .unwrap_or(UNSEEN_BYTES)
            .saturating_mul(2 * records)
            .clamp(LEAST_RESERVED.min(self.room.most), self.room.most)
    }

    fn note_size(&self, path: &'static str, records: &[Json]) {
        let bytes: usize = records.iter().map(|record| record.get().len()).sum();
        if let Some(mean) = bytes.checked_div(records.len()) {
            let mut known = self.record_bytes.borrow_mut();
            let largest = known.entry(path).or_default();
            *largest = mean.max(*largest);
        }
    }

    /// Adds a category to the cache.
    fn keep(
        &self,
        id: &str,
        category: Option<&Category<'_>>,
        now: Duration,
    ) -> (Rc<str>, Rc<Node>) {
        let name = category.and_then(|category| category.name(&self.options));
        let ancestors = category.iter().flat_map(|category| category.ancestors());
        let node = Rc::new(Node {
            name: name.map(std::borrow::Cow::into_owned),
            ancestors: ancestors.map(|id| self.id(id)).collect(),
        });
        let id = self.id(id);
        let kept = Some(node.clone());
        self.categories.borrow_mut().insert(id.clone(), kept, now);
        (id, node)
    }

    /// A shared copy of a category's id: many categories have the same ancestors.
    fn id(&self, id: &str) -> Rc<str> {
        let mut ids = self.category_ids.borrow_mut();
        if let Some(known) = ids.get(id) {
            return known.clone();
        }
        if ids.len() >= MOST_IDS {
            ids.clear();
        }
        let id: Rc<str> = id.into();
        ids.insert(id.clone());
        id
    }

    /// The category paths of all these products.
    ///
    /// # Errors
    /// If commercetools does not respond or rejects the request: a failed look-up never counts as an empty result.
    pub async fn paths(
        &self,
        products: HashSet<String>,
        deadline: Deadline,
    ) -> Result<PagePaths, Error> {
        let (categories, too_large) = self.product_categories(products, deadline).await?;
        let wanted: HashSet<&String> = categories.values().flat_map(|ids| ids.iter()).collect();
        let Nodes(nodes) = self
            .categories(wanted.into_iter().cloned().collect(), deadline)
            .await?;
        let paths = categories.into_iter().map(|(product, ids)| {
            let mut paths = IndexSet::new();
            let mut bytes = 0;
            for node in ids.iter().filter_map(|id| nodes.get(id.as_str())) {
                let ancestors = node
                    .ancestors
                    .iter()
                    .filter_map(|id| nodes.get(id)?.name.clone());
                let names: Vec<String> = ancestors.chain(node.name.clone()).collect();
                for path in order::paths(&names) {
                    // no event can hold more than this: the order is skipped, so the other paths do not matter
                    if bytes > MAX_REQUEST_BYTES {
                        break;
                    }
                    let length = path.len();
                    bytes += if paths.insert(path) { length } else { 0 };
                }
            }
            (product, paths.into_iter().collect())
        });
        Ok(PagePaths {
            paths: paths.collect(),
            too_large,
        })
    }

    /// The category ids of each product that exists.
    async fn product_categories(
        &self,
        products: HashSet<String>,
        deadline: Deadline,
    ) -> Result<(HashMap<String, Rc<[String]>>, HashSet<String>), Error> {
        let now = self.ports.clock.monotonic();
        let mut found = HashMap::new();
        let mut unknown = Vec::new();
        for id in products {
            match self.products.borrow().get(&id, now) {
                Some(Some(categories)) => {
                    found.insert(id, categories);
                }
                Some(None) => {}
                None => unknown.push(id),
            }
        }
        unknown.sort_unstable();
        let mut missing: HashSet<String> = unknown.iter().cloned().collect();
        let taken = self.look_up(&PRODUCTS, &unknown, deadline, |record| {
            let Projection { id, categories } =
                serde_json::from_str(record.get()).map_err(|_| {
                    Error::unreadable(
                        Peer::Commercetools,
                        "query products of orders",
                        "products with their categories",
                    )
                })?;
            let categories: Rc<[String]> =
                categories.into_iter().map(|category| category.id).collect();
            missing.remove(&id);
            self.products
                .borrow_mut()
                .insert(id.as_str().into(), Some(categories.clone()), now);
            found.insert(id, categories);
            Ok(())
        });
        let too_large: HashSet<String> = taken.await?.into_iter().collect();
        for id in missing.difference(&too_large) {
            self.products
                .borrow_mut()
                .insert(id.as_str().into(), None, now);
        }
        Ok((found, too_large))
    }

    /// Adds categories to the cache that have been read already.
    pub fn note<'a>(&self, categories: impl IntoIterator<Item = &'a Category<'a>>) {
        let now = self.ports.clock.monotonic();
        for category in categories {
            self.keep(category.id(), Some(category), now);
        }
    }

    /// These categories and all their ancestors, as far as they exist.
    ///
    /// # Errors
    /// If commercetools does not respond or rejects the request.
    pub async fn categories(
        &self,
        wanted: Vec<String>,
        deadline: Deadline,
    ) -> Result<Nodes, Error> {
        let now = self.ports.clock.monotonic();
        let mut nodes: HashMap<Rc<str>, Rc<Node>> = HashMap::new();
        let mut gone: HashSet<Rc<str>> = HashSet::new();
        let mut wanted: Vec<Rc<str>> = wanted.into_iter().map(Into::into).collect();
        while !wanted.is_empty() {
            let mut unknown = Vec::new();
            for id in &wanted {
                match self.categories.borrow().get(id, now) {
                    Some(Some(node)) => {
                        nodes.insert(id.clone(), node);
                    }
                    Some(None) => {
                        gone.insert(id.clone());
                    }
                    None => unknown.push(id.to_string()),
                }
            }
            unknown.sort_unstable();
            unknown.dedup();
            gone.extend(unknown.iter().map(|id| self.id(id)));
            let taken = self.look_up(&CATEGORIES, &unknown, deadline, |record| {
                let unreadable = || {
                    Error::unreadable(
                        Peer::Commercetools,
                        CATEGORIES_BY_ID,
                        "categories with their ids",
                    )
                };
                let id = mapping::id(record.part()).ok_or_else(unreadable)?;
                let category = Category::read(record.part()).ok();
                let (id, node) = self.keep(&id, category.as_ref(), now);
                gone.remove(&id);
                nodes.insert(id, node);
                Ok(())
            });
            if !taken.await?.is_empty() {
                let error = TransportError::TooLarge {
                    limit: self.room.most,
                };
                return Err(Error::transport(
                    Peer::Commercetools,
                    CATEGORIES_BY_ID,
                    error,
                ));
            }
            for id in unknown.iter().filter(|id| gone.contains(id.as_str())) {
                self.categories.borrow_mut().insert(self.id(id), None, now);
            }
            let ancestors = nodes.values().flat_map(|node| node.ancestors.iter());
            let next: HashSet<Rc<str>> = ancestors
                .filter(|id| !nodes.contains_key(*id) && !gone.contains(*id))
                .cloned()
                .collect();
            wanted = next.into_iter().collect();
        }
        Ok(Nodes(nodes))
    }

    async fn by_ids(
        &self,
        lookup: &Lookup,
        ids: &[String],
        max_bytes: usize,
        deadline: Deadline,
    ) -> Result<Vec<Json>, Error> {
        let query = Query {
            ids: Some(ids),
            limit: ids.len(),
            parameters: lookup.parameters,
            ..Query::all(lookup.operation, lookup.path, max_bytes)
        };
        self.client.page(&query, deadline).await
    }
}
