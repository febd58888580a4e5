//! Looks up the shop's categories with their names and ancestors, for catalog categories and items, and the categories
//! of products, for the events of orders.
//!
//! Products and categories are fetched by id, in chunks, and cached in the instance within a memory limit: many orders
//! are of the same few products, and many categories have the same ancestors.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use super::cache::{Cache, Kept};
use super::lookup::{Lookup, Lookups, Source};
use super::product_categories::{Found, ProductCategories};
use crate::commercetools::Client;
use crate::commercetools::query::IDS_A_QUERY;
use crate::config::MappingOptions;
use crate::error::{Error, Peer};
use crate::klaviyo::bulk::MAX_REQUEST_BYTES;
use crate::mapping;
use crate::mapping::category::{Category, CategoryNames};
use crate::mapping::order::{self, CategoryPaths};
use crate::mapping::product::CategoryAncestors;
use crate::memory::Memory;
use crate::ports::{Ports, TransportError};
use crate::time::Deadline;
use indexmap::IndexSet;

/// The most category ids that are kept to be shared; each takes about 100 bytes.
const MOST_IDS: usize = 20_000;
/// The assumed size of a category in bytes, before any has been read.
const UNSEEN_BYTES: usize = 40_000;
/// The operation that errors name.
const CATEGORIES_BY_ID: &str = "query categories by id";

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

/// Categories that have been looked up, with their ancestors.
#[derive(Default)]
pub struct Nodes(HashMap<Rc<str>, Rc<Node>>);

impl Nodes {
    /// Adds others.
    pub(super) fn add(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Those that have a name, with their ancestors, root first.
    pub(super) fn named(&self) -> impl Iterator<Item = (&Rc<str>, &str, &[Rc<str>])> {
        let nodes = self.0.iter();
        nodes.filter_map(|(id, node)| Some((id, node.name.as_deref()?, &*node.ancestors)))
    }
}

impl CategoryNames for Nodes {
    fn name(&self, category_id: &str) -> Option<&str> {
        self.0.get(category_id)?.name.as_deref()
    }
}

impl CategoryAncestors for Nodes {
    fn ancestors(&self, category_id: &str) -> Option<&[Rc<str>]> {
        self.0.get(category_id).map(|node| &*node.ancestors)
    }

    fn is_sent(&self, category_id: &str) -> bool {
        self.name(category_id).is_some()
    }
}

const CATEGORIES: Lookup = Lookup {
    operation: CATEGORIES_BY_ID,
    source: Source::Endpoint {
        path: "categories",
        parameters: &[],
    },
    ids_a_query: IDS_A_QUERY,
    unseen_bytes: UNSEEN_BYTES,
};

/// Looks up categories and products by id.
pub struct ShopCatalog {
    ports: Ports,
    options: Rc<MappingOptions>,
    lookups: Lookups,
    products: ProductCategories,
    categories: RefCell<Cache<KnownNode>>,
    category_ids: RefCell<HashSet<Rc<str>>>,
}

/// The category paths of the products of one page.
#[derive(Default)]
pub struct PagePaths {
    paths: HashMap<String, Vec<String>>,
    too_large: HashSet<String>,
    perhaps_unpublished: HashSet<String>,
}

impl PagePaths {
    /// Whether one of these products is too large to be looked up, so that its categories are not known.
    #[must_use]
    pub fn has_too_large(&self, products: &[String]) -> bool {
        !self.too_large.is_empty() && products.iter().any(|id| self.too_large.contains(id))
    }

    /// Whether one of these products was not found among the published ones, while this API client may not read the
    /// others.
    #[must_use]
    pub fn may_lack(&self, products: &[String]) -> bool {
        let mut products = products.iter();
        products.any(|id| self.perhaps_unpublished.contains(id))
    }

    /// Whether all products could be looked up, and all are known.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.too_large.is_empty() && self.perhaps_unpublished.is_empty()
    }
}

impl CategoryPaths for PagePaths {
    fn paths(&self, product_id: &str) -> Option<&[String]> {
        self.paths.get(product_id).map(Vec::as_slice)
    }
}

impl ShopCatalog {
    /// An empty catalog, for an instance with this much memory.
    #[must_use]
    pub fn new(
        ports: Ports,
        client: Rc<Client>,
        options: Rc<MappingOptions>,
        memory: &Memory,
    ) -> Self {
        let most = memory.cache();
        Self {
            lookups: Lookups::new(ports.clone(), client, memory.lookups()),
            products: ProductCategories::new(ports.clone(), most),
            ports,
            options,
            categories: RefCell::new(Cache::of_at_most(most)),
            category_ids: RefCell::default(),
        }
    }

    /// What looks up other records.
    pub(super) fn lookups(&self) -> &Lookups {
        &self.lookups
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
        let Found {
            categories,
            too_large,
            perhaps_unpublished,
        } = self.products.of(&self.lookups, products, deadline).await?;
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
            perhaps_unpublished,
        })
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
            let taken = self.lookups.run(&CATEGORIES, &unknown, deadline, |record| {
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
                    limit: self.lookups.most(),
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
}
