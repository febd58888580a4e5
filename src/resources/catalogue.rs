//! What is looked up in the catalogue: categories with their names and ancestors, for catalog categories and items, and
//! the categories of products, for the events of orders.
//!
//! Products and categories are fetched by id, in chunks, and kept in the instance for a while, within bounds: many
//! orders are of the same few products, and all categories have the same few ancestors.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use indexmap::IndexSet;
use serde::Deserialize;

use crate::commercetools::Client;
use crate::commercetools::query::{IDS_A_QUERY, Query};
use crate::error::{Error, Peer};
use crate::klaviyo::MAX_REQUEST_BYTES;
use crate::mapping::category::{Category, CategoryNames};
use crate::mapping::json::Json;
use crate::mapping::order::{self, CategoryPaths};
use crate::mapping::product::CategoryAncestors;
use crate::mapping::{self, Options};
use crate::ports::{Deadline, Ports};

/// Entries that are kept of each kind; a category takes about 200 bytes, a product 100.
const CAPACITY: usize = 20_000;
/// How long what was fetched counts as current.
const FRESH: Duration = Duration::from_secs(300);
/// Records of one answer are read up to this size: 100 products of 80 KB.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Chunks of one page that are fetched at the same time.
const CHUNKS_AT_A_TIME: usize = 4;
/// For errors.
const CATEGORIES_BY_ID: &str = "query categories by id";
/// The most ids of one query of products, which are large.
const PRODUCTS_A_QUERY: usize = 50;

/// A bounded map whose entries age.
struct Cache<T> {
    entries: HashMap<String, (T, Duration)>,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
        }
    }
}

impl<T: Clone> Cache<T> {
    fn get(&self, id: &str, now: Duration) -> Option<T> {
        self.entries
            .get(id)
            .filter(|(_, at)| now.saturating_sub(*at) < FRESH)
            .map(|(value, _)| value.clone())
    }

    fn insert(&mut self, id: String, value: T, now: Duration) {
        if self.entries.len() >= CAPACITY {
            self.entries
                .retain(|_, (_, at)| now.saturating_sub(*at) < FRESH);
        }
        if self.entries.len() >= CAPACITY {
            self.entries.clear();
        }
        self.entries.insert(id, (value, now));
    }
}

/// A category, as far as paths need it.
struct Node {
    name: Option<String>,
    ancestors: Vec<String>,
}

impl Node {
    fn of(category: &Category<'_>, options: &Options) -> Self {
        Self {
            name: category.name(options).map(std::borrow::Cow::into_owned),
            ancestors: category.ancestors().map(str::to_owned).collect(),
        }
    }
}

/// Categories that have been looked up, with their ancestors.
#[derive(Default)]
pub struct Nodes(HashMap<String, Rc<Node>>);

impl CategoryNames for Nodes {
    fn name(&self, category_id: &str) -> Option<&str> {
        self.0.get(category_id)?.name.as_deref()
    }
}

impl CategoryAncestors for Nodes {
    fn ancestors(&self, category_id: &str) -> Option<&[String]> {
        self.0
            .get(category_id)
            .map(|node| node.ancestors.as_slice())
    }
}

/// Looks up the categories of products.
pub struct Catalogue {
    ports: Ports,
    client: Rc<Client>,
    options: Rc<Options>,
    /// The categories of a product; `None` where it is gone.
    products: RefCell<Cache<Option<Rc<[String]>>>>,
    categories: RefCell<Cache<Option<Rc<Node>>>>,
}

/// The categories of the products of one page.
#[derive(Default)]
pub struct PagePaths(HashMap<String, Vec<String>>);

impl CategoryPaths for PagePaths {
    fn paths(&self, product_id: &str) -> Option<&[String]> {
        self.0.get(product_id).map(Vec::as_slice)
    }
}

/// A product projection, as far as it is looked at.
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

/// Fetches chunks, a few at a time: their answers are held in memory together with the page that they are for.
async fn fetched<F: Future<Output = Result<Vec<Json>, Error>>>(
    chunks: impl Iterator<Item = F>,
) -> Result<Vec<Json>, Error> {
    stream::iter(chunks)
        .buffered(CHUNKS_AT_A_TIME)
        .try_concat()
        .await
}

impl Catalogue {
    /// An empty one.
    #[must_use]
    pub fn new(ports: Ports, client: Rc<Client>, options: Rc<Options>) -> Self {
        Self {
            ports,
            client,
            options,
            products: RefCell::default(),
            categories: RefCell::default(),
        }
    }

    /// The category paths of all these products.
    ///
    /// # Errors
    /// Where commercetools does not answer or refuses: what cannot be looked up is never taken for empty.
    pub async fn paths(
        &self,
        products: HashSet<String>,
        deadline: Deadline,
    ) -> Result<PagePaths, Error> {
        let categories = self.product_categories(products, deadline).await?;
        let wanted: HashSet<&String> = categories.values().flat_map(|ids| ids.iter()).collect();
        let Nodes(nodes) = self
            .categories(wanted.into_iter().cloned().collect(), deadline)
            .await?;
        let paths = categories.into_iter().map(|(product, ids)| {
            let mut paths = IndexSet::new();
            let mut bytes = 0;
            for node in ids.iter().filter_map(|id| nodes.get(id)) {
                let ancestors = node
                    .ancestors
                    .iter()
                    .filter_map(|id| nodes.get(id)?.name.clone());
                let names: Vec<String> = ancestors.chain(node.name.clone()).collect();
                for path in order::paths(&names) {
                    // an event cannot hold it, however much more there is: its order is skipped
                    if bytes > MAX_REQUEST_BYTES {
                        break;
                    }
                    let length = path.len();
                    bytes += if paths.insert(path) { length } else { 0 };
                }
            }
            (product, paths.into_iter().collect())
        });
        Ok(PagePaths(paths.collect()))
    }

    /// The category ids of each product that is there.
    async fn product_categories(
        &self,
        products: HashSet<String>,
        deadline: Deadline,
    ) -> Result<HashMap<String, Rc<[String]>>, Error> {
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
        let chunks = unknown.chunks(PRODUCTS_A_QUERY).map(|chunk| {
            self.by_ids(
                "query products of orders",
                "product-projections",
                &[("staged", "false")],
                chunk,
                deadline,
            )
        });
        let mut missing: HashSet<String> = unknown.iter().cloned().collect();
        for record in fetched(chunks).await? {
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
                .insert(id.clone(), Some(categories.clone()), now);
            found.insert(id, categories);
        }
        for id in missing {
            self.products.borrow_mut().insert(id, None, now);
        }
        Ok(found)
    }

    /// Takes note of categories that have been read anyway.
    pub fn note<'a>(&self, categories: impl IntoIterator<Item = &'a Category<'a>>) {
        let now = self.ports.clock.monotonic();
        let mut known = self.categories.borrow_mut();
        for category in categories {
            known.insert(
                category.id().to_owned(),
                Some(Rc::new(Node::of(category, &self.options))),
                now,
            );
        }
    }

    /// These categories and all their ancestors, those that are there.
    ///
    /// # Errors
    /// Where commercetools does not answer or refuses.
    pub async fn categories(
        &self,
        wanted: Vec<String>,
        deadline: Deadline,
    ) -> Result<Nodes, Error> {
        let now = self.ports.clock.monotonic();
        let mut nodes: HashMap<String, Rc<Node>> = HashMap::new();
        let mut gone: HashSet<String> = HashSet::new();
        let mut wanted = wanted;
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
                    None => unknown.push(id.clone()),
                }
            }
            unknown.sort_unstable();
            unknown.dedup();
            let chunks = unknown
                .chunks(IDS_A_QUERY)
                .map(|chunk| self.by_ids(CATEGORIES_BY_ID, "categories", &[], chunk, deadline));
            gone.extend(unknown.iter().cloned());
            for record in fetched(chunks).await? {
                let unreadable = || {
                    Error::unreadable(
                        Peer::Commercetools,
                        CATEGORIES_BY_ID,
                        "categories with their ids",
                    )
                };
                let id = mapping::id(record.part()).ok_or_else(unreadable)?;
                let node = Category::read(record.part()).map_or_else(
                    |_| Node {
                        name: None,
                        ancestors: Vec::new(),
                    },
                    |category| Node::of(&category, &self.options),
                );
                let node = Rc::new(node);
                gone.remove(&id);
                self.categories
                    .borrow_mut()
                    .insert(id.clone(), Some(node.clone()), now);
                nodes.insert(id, node);
            }
            for id in unknown.iter().filter(|id| gone.contains(*id)) {
                self.categories.borrow_mut().insert(id.clone(), None, now);
            }
            let ancestors = nodes.values().flat_map(|node| node.ancestors.iter());
            let next: HashSet<String> = ancestors
                .filter(|id| !nodes.contains_key(*id) && !gone.contains(*id))
                .cloned()
                .collect();
            wanted = next.into_iter().collect();
        }
        Ok(Nodes(nodes))
    }

    async fn by_ids(
        &self,
        operation: &'static str,
        path: &str,
        parameters: &[(&str, &str)],
        ids: &[String],
        deadline: Deadline,
    ) -> Result<Vec<Json>, Error> {
        let query = Query {
            operation,
            path,
            after: None,
            from: None,
            through: None,
            ids: Some(ids),
            since: None,
            limit: ids.len(),
            parameters,
            max_bytes: MAX_BYTES,
        };
        self.client.page(&query, deadline).await
    }
}
