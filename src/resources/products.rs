//! Products as catalog items, and then, when Klaviyo has all of these, their variants as catalog variants.
//!
//! Only what is published is read, from its published projection. What is in Klaviyo and no longer published is left
//! alone.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use jiff::Timestamp;

use super::catalogue::Catalogue;
use super::categories::{JOBS_A_GROUP, write_of};
use super::page::{Collection, Page, Record};
use super::{Import, JobAnswer, PageQuery, entries};
use crate::api::App;
use crate::commercetools;
use crate::error::Error;
use crate::klaviyo;
use crate::klaviyo::batch::Lane;
use crate::klaviyo::catalog::{
    self, CREATE_ITEMS, CREATE_VARIANTS, DELETE_VARIANTS, UPDATE_ITEMS, UPDATE_VARIANTS,
};
use crate::mapping::json::Part;
use crate::mapping::product::{Listing, Product, Write, compound_id, external_id};
use crate::mapping::{self, Skip};
use crate::ports::{Deadline, LocalFuture};
use crate::run::cursor::Job;
use crate::run::group::Documents;
use crate::run::names::EntryName;
use crate::run::state::{Order, RunDocument};

static ITEM_LANES: [&Lane; 2] = [&CREATE_ITEMS, &UPDATE_ITEMS];
static VARIANT_LANES: [&Lane; 3] = [&CREATE_VARIANTS, &UPDATE_VARIANTS, &DELETE_VARIANTS];
/// Where [`VARIANT_LANES`] has the deletion.
const DELETE: usize = 2;

const ITEMS: &str = "items";
const VARIANTS: &str = "variants";

const PRODUCTS: Collection = Collection {
    operation: "query products",
    path: "product-projections",
    parameters: &[("staged", "false")],
};

/// What is not published: neither sent nor deleted.
const UNPUBLISHED: Collection = Collection {
    operation: "count unpublished products",
    path: "products",
    parameters: &[("where", "masterData(published = false)")],
};

/// What both phases need.
#[derive(Clone)]
struct Shared {
    commercetools: Rc<commercetools::Client>,
    klaviyo: Rc<klaviyo::Client>,
    catalogue: Rc<Catalogue>,
    options: Rc<mapping::Options>,
    /// The moment that decides which prices apply: the start of the run.
    now: Timestamp,
}

/// The import of products, in the phase that the run is in.
#[must_use]
pub fn products(app: &App, run: &RunDocument) -> Rc<dyn Import> {
    let shared = Shared {
        commercetools: app.commercetools.clone(),
        klaviyo: app.klaviyo.clone(),
        catalogue: app.catalogue.clone(),
        options: app.options.clone(),
        now: run.started_at,
    };
    match run
        .cursor
        .as_ref()
        .and_then(|cursor| cursor.phase.as_deref())
    {
        Some(VARIANTS) => Rc::new(Variants(shared)),
        _ => Rc::new(Items(shared)),
    }
}

fn total(
    shared: &Shared,
    order: &Order,
    deadline: Deadline,
) -> LocalFuture<'static, Result<u64, Error>> {
    let (client, order) = (shared.commercetools.clone(), order.clone());
    Box::pin(async move { PRODUCTS.total(&client, &order, deadline).await })
}

/// The first phase: items are created and updated.
struct Items(Shared);

impl Import for Items {
    fn lanes(&self) -> &'static [&'static Lane] {
        &ITEM_LANES
    }

    fn batches_a_group(&self) -> usize {
        JOBS_A_GROUP
    }

    fn phase(&self) -> Option<String> {
        Some(ITEMS.to_owned())
    }

    fn left_alone(
        &self,
        order: &Order,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Vec<(String, u64)>, Error>> {
        let (client, order) = (self.0.commercetools.clone(), order.clone());
        Box::pin(async move {
            if order.ids.is_some() || order.since.is_some() {
                return Ok(Vec::new());
            }
            match UNPUBLISHED.total(&client, &order, deadline).await {
                Ok(0) => Ok(Vec::new()),
                Ok(count) => Ok(vec![("unpublished-left-alone".to_owned(), count)]),
                // published products can be read without the scope that counting the others needs
                Err(error) if error.status() == Some(403) => Ok(Vec::new()),
                Err(error) => Err(error),
            }
        })
    }

    fn place(&self) -> Option<(u64, u64)> {
        Some((0, 2))
    }

    fn next_phase(&self) -> Option<Rc<dyn Import>> {
        Some(Rc::new(Variants(self.0.clone())))
    }

    fn total(&self, order: &Order, deadline: Deadline) -> LocalFuture<'static, Result<u64, Error>> {
        total(&self.0, order, deadline)
    }

    fn fetch(
        &self,
        query: PageQuery,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Page, Error>> {
        let Shared {
            commercetools,
            klaviyo,
            catalogue,
            options,
            now,
        } = self.0.clone();
        Box::pin(async move {
            let records = PRODUCTS.read(&commercetools, &query, deadline).await?;
            let (ids, categories) = {
                let products: Vec<Product<'_>> = records
                    .present()
                    .filter_map(|record| Product::read(record).ok())
                    .collect();
                let ids: Vec<String> = products
                    .iter()
                    .map(|product| product.id().to_owned())
                    .collect();
                let categories: HashSet<String> =
                    products.iter().flat_map(Product::category_ids).collect();
                (ids, categories.into_iter().collect())
            };
            let categories = catalogue.categories(categories, deadline);
            let existing = catalog::existing(&klaviyo, catalog::Collection::Items, &ids, deadline);
            let (categories, existing) =
                futures_util::future::try_join(categories, existing).await?;
            Ok(
                records.into_page(Box::new(move |record: Part<'_>, documents| {
                    let product = Product::read(record)?;
                    let (lane, write) = write_of(existing.contains(&compound_id(product.id())));
                    let entry = Listing::of(&product, now, &options)?.item(
                        &categories,
                        write,
                        &mut documents.bytes,
                    )?;
                    documents.push(lane, 0, None);
                    Ok(entry.id)
                })),
            )
        })
    }

    fn ask(&self, job: Job, deadline: Deadline) -> LocalFuture<'static, Result<JobAnswer, Error>> {
        let client = self.0.klaviyo.clone();
        Box::pin(async move { entries::ask(&client, &ITEM_LANES, job, deadline).await })
    }
}

/// The second phase: variants are created, updated, and deleted where the product no longer has them.
struct Variants(Shared);

impl Import for Variants {
    fn lanes(&self) -> &'static [&'static Lane] {
        &VARIANT_LANES
    }

    fn batches_a_group(&self) -> usize {
        JOBS_A_GROUP
    }

    fn phase(&self) -> Option<String> {
        Some(VARIANTS.to_owned())
    }

    fn place(&self) -> Option<(u64, u64)> {
        Some((1, 2))
    }

    fn counts_variants(&self) -> bool {
        true
    }

    fn total(&self, order: &Order, deadline: Deadline) -> LocalFuture<'static, Result<u64, Error>> {
        total(&self.0, order, deadline)
    }

    fn fetch(
        &self,
        query: PageQuery,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Page, Error>> {
        let Shared {
            commercetools,
            klaviyo,
            options,
            now,
            ..
        } = self.0.clone();
        Box::pin(async move {
            let mut records = PRODUCTS.read(&commercetools, &query, deadline).await?;
            // what is not there has been counted by the first phase
            records
                .list
                .retain(|record| matches!(record, Record::Present(_)));
            let skus: HashMap<String, Vec<String>> = records
                .present()
                .filter_map(|record| Product::read(record).ok())
                .map(|product| {
                    (
                        product.id().to_owned(),
                        product.skus().map(compound_id).collect(),
                    )
                })
                .collect();
            let known = catalog::variants_of_items(&klaviyo, &skus, deadline).await?;
            let again: HashSet<String> = query.range.entries.into_iter().collect();
            // a dry run has created no items: it shows their variants as they would follow
            let known_without_item = query.order.dry_run.then(HashSet::new);
            Ok(
                records.into_page(Box::new(move |record: Part<'_>, documents| {
                    let product = Product::read(record)?;
                    let is_wanted = |part: &str| {
                        let name = EntryName {
                            id: product.id(),
                            part: Some(part),
                        };
                        again.is_empty() || again.contains(&name.to_string())
                    };
                    map(
                        &product,
                        known
                            .get(&compound_id(product.id()))
                            .or(known_without_item.as_ref()),
                        is_wanted,
                        (now, &options),
                        documents,
                    );
                    Ok(product.id().to_owned())
                })),
            )
        })
    }

    fn ask(&self, job: Job, deadline: Deadline) -> LocalFuture<'static, Result<JobAnswer, Error>> {
        let client = self.0.klaviyo.clone();
        Box::pin(async move { entries::ask(&client, &VARIANT_LANES, job, deadline).await })
    }
}

/// Maps the wanted variants of a product. `known` are those that Klaviyo has, by compound id; `None` where it does not
/// have the item.
fn map(
    product: &Product<'_>,
    known: Option<&HashSet<String>>,
    is_wanted: impl Fn(&str) -> bool,
    (now, options): (Timestamp, &mapping::Options),
    documents: &mut Documents,
) {
    let mut skipped = Vec::new();
    let listing = match known {
        Some(_) => Listing::of(product, now, options),
        None => Err(Skip::ItemNotInKlaviyo),
    };
    for variant in product.variants() {
        let number = || format!("variant {}", variant.number().unwrap_or_default());
        let part = variant.sku().map_or_else(number, str::to_owned);
        if !is_wanted(&part) {
            continue;
        }
        let is_there = known.is_some_and(|known| known.contains(&compound_id(&part)));
        let (lane, write): (usize, Write) = write_of(is_there);
        let start = documents.bytes.len();
        let entry = listing.as_ref().map_err(Skip::clone);
        match entry.and_then(|listing| listing.variant(variant, write, &mut documents.bytes)) {
            Ok(_) => documents.push(lane, start, Some(part)),
            Err(skip) => skipped.push((part, skip)),
        }
    }
    for id in product.obsolete(known.into_iter().flatten().map(String::as_str)) {
        let part = external_id(id);
        if is_wanted(part) {
            let start = documents.bytes.len();
            documents
                .bytes
                .extend_from_slice(catalog::identifier("catalog-variant", id).get().as_bytes());
            documents.push(DELETE, start, Some(part.to_owned()));
            documents.notes.push("obsolete-variants-deleted");
        }
    }
    documents.parts_skipped = Some(skipped);
}
