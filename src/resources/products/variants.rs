//! The second phase: imports the variants of products as catalog variants.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::elsewhere::{Elsewhere, Place};
use super::phase::Phase;
use super::reading::ProductPage;
use crate::config::MappingOptions;
use crate::error::Error;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::catalog::listing::{CatalogCollection, variants_of_items};
use crate::klaviyo::catalog::{
    CREATE_VARIANTS, DELETE_VARIANTS, MOVE_VARIANTS, UPDATE_VARIANTS, identifier,
};
use crate::mapping::Skip;
use crate::mapping::product::{Listing, Product, Write, compound_id, external_id};
use crate::ports::LocalFuture;
use crate::resources::catalog_jobs::{self, JOBS_A_GROUP, write_of};
use crate::run::documents::Documents;
use crate::run::import::{Import, JobAnswer};
use crate::run::page::{Page, PageQuery};
use crate::run::state::{EntryName, Job, Note, RunOptions};
use crate::time::Deadline;

static VARIANT_ENDPOINTS: [&BulkEndpoint; 4] = [
    &CREATE_VARIANTS,
    &UPDATE_VARIANTS,
    &DELETE_VARIANTS,
    &MOVE_VARIANTS,
];
/// The index of the deletion in [`VARIANT_ENDPOINTS`].
const DELETE: usize = 2;
/// The index of the deletion of what is then created under another item.
const MOVE: usize = 3;

/// The name of this phase in the cursor.
pub(super) const VARIANTS: &str = "variants";

/// The second phase: variants are created and updated, and deleted if the product no longer has them.
pub(super) struct Variants(pub(super) Phase);

impl Import for Variants {
    fn bulk_endpoints(&self) -> &'static [&'static BulkEndpoint] {
        &VARIANT_ENDPOINTS
    }

    fn batches_a_group(&self) -> usize {
        JOBS_A_GROUP
    }

    fn phase(&self) -> Option<String> {
        Some(VARIANTS.to_owned())
    }

    fn phase_position(&self) -> Option<(u64, u64)> {
        Some((1, 2))
    }

    fn counts_variants(&self) -> bool {
        true
    }

    fn total(
        &self,
        options: &RunOptions,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<u64, Error>> {
        self.0.total(options, deadline)
    }

    fn fetch(
        &self,
        query: PageQuery,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Page, Error>> {
        let Phase { context, now } = self.0.clone();
        Box::pin(async move {
            let page = ProductPage::read(&context, &query, now, deadline).await?;
            // the first phase has counted the ids that do not exist
            let page = page.without_missing();
            let skus: HashMap<String, Vec<String>> = page
                .products()
                .map(|product| {
                    (
                        product.id().to_owned(),
                        product.skus().map(compound_id).collect(),
                    )
                })
                .collect();
            let known = variants_of_items(&context.klaviyo, &skus, deadline).await?;
            let is_modular = page.is_modular;
            let elsewhere = Elsewhere::find(&context, is_modular, &skus, &known, deadline).await?;
            let options = context.options;
            let again: HashSet<String> = query.range.entries.into_iter().collect();
            // a dry run has created no items: their variants are mapped as if it had
            let known_without_item = query.options.dry_run.then(HashSet::new);
            Ok(page.into_page(move |product, documents| {
                let is_wanted = |part: &str| {
                    let name = EntryName {
                        id: product.id(),
                        part: Some(part),
                    };
                    again.is_empty() || again.contains(&name.to_string())
                };
                map(
                    product,
                    known
                        .get(&compound_id(product.id()))
                        .or(known_without_item.as_ref()),
                    &elsewhere,
                    is_wanted,
                    (now, &options),
                    documents,
                );
                Ok(product.id().to_owned())
            }))
        })
    }

    fn poll_job(
        &self,
        job: Job,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<JobAnswer, Error>> {
        let client = self.0.context.klaviyo.clone();
        Box::pin(async move {
            catalog_jobs::poll(
                &client,
                &VARIANT_ENDPOINTS,
                CatalogCollection::Variants,
                job,
                deadline,
            )
            .await
        })
    }
}

/// Maps the wanted variants of a product. `known` has the variants that Klaviyo has, by compound id; `None` if it does
/// not have the item.
fn map(
    product: &Product<'_>,
    known: Option<&HashSet<String>>,
    elsewhere: &Elsewhere,
    is_wanted: impl Fn(&str) -> bool,
    (now, options): (Timestamp, &MappingOptions),
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
        let (endpoint, write): (usize, Write) = write_of(is_there);
        let start = documents.bytes.len();
        let place = match variant.sku() {
            Some(sku) if known.is_some() => elsewhere.place(product.id(), sku),
            _ => Place::Here,
        };
        let entry = match place {
            Place::KeptBy(other) => Err(Skip::SkuOfAnotherProduct { other }),
            Place::Moved if listing.is_ok() => {
                push_deletion(MOVE, &compound_id(&part), part, documents);
                documents.notes.push(Note::VariantMoved);
                continue;
            }
            Place::Moved | Place::Here => listing.as_ref().map_err(Skip::clone),
        };
        match entry.and_then(|listing| listing.variant(variant, write, &mut documents.bytes)) {
            Ok(_) => documents.push(endpoint, start, Some(part)),
            Err(skip) => skipped.push((part, skip)),
        }
    }
    for id in product.obsolete(known.into_iter().flatten().map(String::as_str)) {
        let part = external_id(id);
        if is_wanted(part) && !elsewhere.is_of_another(product.id(), part) {
            push_deletion(DELETE, id, part.to_owned(), documents);
            documents.notes.push(Note::ObsoleteVariantDeleted);
        }
    }
    documents.parts_skipped = Some(skipped);
}

fn push_deletion(endpoint: usize, id: &str, part: String, documents: &mut Documents) {
    let start = documents.bytes.len();
    let identifier = identifier("catalog-variant", id);
    documents
        .bytes
        .extend_from_slice(identifier.get().as_bytes());
    documents.push(endpoint, start, Some(part));
}
