//! What the variants of a product become.

use std::collections::HashSet;

use jiff::Timestamp;

use super::elsewhere::{Elsewhere, Place};
use super::wanted::Wanted;
use crate::config::MappingOptions;
use crate::klaviyo::catalog::identifier;
use crate::mapping::Skip;
use crate::mapping::product::{Listing, Product, Variant, compound_id};
use crate::resources::catalog_jobs::write_of;
use crate::run::documents::{Documents, Found};
use crate::run::state::{EntryName, Note};

/// The index of the deletion of what is then created under another item, among the endpoints of variants: after
/// creating and updating.
const MOVE: usize = 2;

/// What Klaviyo has of a product.
pub(super) struct InKlaviyo<'a> {
    /// The variants of its item, by compound id; `None` if Klaviyo does not have the item.
    pub(super) of_item: Option<&'a HashSet<String>>,
    /// Where skus are that its item does not have.
    pub(super) elsewhere: &'a Elsewhere,
}

impl InKlaviyo<'_> {
    /// What there is of the product's variants, and whether one of them seems to be obsolete.
    pub(super) fn found(&self, product: &Product<'_>) -> Found {
        let known = self.of_item.into_iter().flatten();
        Found {
            parts: self.of_item.map_or(0, |known| known.len() as u64),
            has_obsolete: !product.obsolete(known.map(String::as_str)).is_empty(),
            ..Found::default()
        }
    }
}

/// How variants are mapped.
pub(super) struct Manner<'a> {
    /// The index of the first endpoint of variants.
    pub(super) endpoints: usize,
    /// Whether those that are sent, and those that are not, have been counted before.
    pub(super) are_counted: bool,
    pub(super) now: Timestamp,
    pub(super) options: &'a MappingOptions,
}

/// The name of a variant among those of its product: its sku, if it has one.
fn name_of(variant: &Variant<'_>) -> String {
    let number = || format!("variant {}", variant.number().unwrap_or_default());
    variant.sku().map_or_else(number, str::to_owned)
}

/// Whether any variant of the product is wanted.
pub(super) fn is_any(product: &Product<'_>, wanted: &Wanted) -> bool {
    let mut variants = product.variants();
    variants.any(|variant| wanted.variant(product.id(), &name_of(variant)))
}

/// Maps the wanted variants of a product.
pub(super) fn map(
    product: &Product<'_>,
    in_klaviyo: &InKlaviyo<'_>,
    is_wanted: impl Fn(&str) -> bool,
    manner: &Manner<'_>,
    documents: &mut Documents,
) {
    let (known, endpoints) = (in_klaviyo.of_item, manner.endpoints);
    let listing = match known {
        None if !manner.are_counted => Err(Skip::ItemNotInKlaviyo),
        _ => Listing::of(product, manner.now, manner.options),
    };
    for variant in product.variants() {
        let part = name_of(variant);
        if !is_wanted(&part) {
            continue;
        }
        let is_there = known.is_some_and(|known| known.contains(&compound_id(&part)));
        let (endpoint, write) = write_of(is_there);
        let start = documents.bytes.len();
        let place = match variant.sku() {
            Some(sku) if known.is_some() => in_klaviyo.elsewhere.place(product.id(), sku),
            _ => Place::Here,
        };
        let is_moved = matches!(place, Place::Moved);
        let entry = match place {
            Place::KeptBy(other) => Err(Skip::SkuOfAnotherProduct { other }),
            Place::Moved | Place::Here => listing.as_ref().map_err(Skip::clone),
        };
        let entry = entry.and_then(|listing| listing.variant(variant, write, &mut documents.bytes));
        documents.counted.parts += u64::from(manner.are_counted && entry.is_ok());
        match entry {
            Ok(_) if known.is_none() => {
                documents.bytes.truncate(start);
                documents.parts_skipped.push((part, Skip::ItemNotInKlaviyo));
            }
            // it is created once it is deleted where it is: what cannot be created stays there
            Ok(_) if is_moved => {
                documents.bytes.truncate(start);
                let holder = in_klaviyo.elsewhere.holder(&part);
                documents.displaced.extend(holder.map(|id| {
                    let part = Some(&*part);
                    EntryName { id, part }.to_string()
                }));
                push_deletion(endpoints + MOVE, &compound_id(&part), part, documents);
                documents.note_part(Note::VariantMoved);
            }
            Ok(_) => documents.push(endpoints + endpoint, start, Some(part)),
            Err(skip) => {
                documents.bytes.truncate(start);
                if !manner.are_counted {
                    documents.parts_skipped.push((part, skip));
                }
            }
        }
    }
}

/// Adds the deletion of a variant.
pub(super) fn push_deletion(endpoint: usize, id: &str, part: String, documents: &mut Documents) {
    let start = documents.bytes.len();
    let identifier = identifier("catalog-variant", id);
    documents
        .bytes
        .extend_from_slice(identifier.get().as_bytes());
    documents.push(endpoint, start, Some(part));
}
