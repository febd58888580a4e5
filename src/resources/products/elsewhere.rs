//! Skus that are not where they should be: under another item in Klaviyo, or in two products of the project.
//!
//! A variant belongs to its item from its creation on, and its id is taken in the whole account. So one whose sku has
//! moved to another product, or whose product was made anew, has to be deleted and created again
//! (<https://developers.klaviyo.com/en/reference/update_catalog_variant>). Klaviyo does not say which item a variant is
//! of: one that is there and that its own item does not list is under another item.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::completion::separate_variants;
use crate::commercetools;
use crate::commercetools::query::{MAX_LIMIT, Query, value_in};
use crate::error::Error;
use crate::klaviyo;
use crate::klaviyo::catalog::listing::{CatalogCollection, Extent, existing, variants_of_items};
use crate::mapping::product::{Product, compound_id, external_id};
use crate::resources::context::Context;
use crate::time::Deadline;

/// Skus of one query for their products: few, as a product can have megabytes.
const SKUS_A_QUERY: usize = 5;
/// The largest response of such a query, in bytes. If the products of one sku are larger, they are taken not to share it.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// Where the variant of a sku is to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Under this product, where it is to be created or updated.
    Here,
    /// It is under another item: it is deleted there first.
    Moved,
    /// Another product has the sku too, and keeps it: that with the first id.
    KeptBy(String),
}

/// What is known of the skus of a page.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    /// Skus that Klaviyo has, and not under the item of their product.
    there: HashSet<String>,
    /// The ids of the published products with a sku, as far as they were looked up.
    products: HashMap<String, BTreeSet<String>>,
    /// Products under whose item Klaviyo has a sku that is another product's, too, by sku.
    holders: HashMap<String, String>,
}

impl Elsewhere {
    /// Looks up the skus that `wanted` has by product, and that `known` does not have for the item; both have compound
    /// ids of variants. Those that turn out to be the item's are added to `known`. `is_modular` says whether there are
    /// products whose variants are resources of their own.
    ///
    /// # Errors
    /// If one of the APIs does not respond or rejects the request.
    pub(super) async fn find(
        context: &Context,
        is_modular: bool,
        wanted: &HashMap<String, Vec<String>>,
        known: &mut HashMap<String, HashSet<String>>,
        deadline: Deadline,
    ) -> Result<Self, Error> {
        let mut found = Self::default();
        found.note_shared(wanted);
        let mut unlisted = BTreeSet::new();
        for (product, wanted) in wanted {
            let Some(known) = known.get(&compound_id(product)) else {
                continue;
            };
            let lacking = wanted.iter().filter(|id| !known.contains(*id));
            unlisted.extend(lacking.map(|id| external_id(id).to_owned()));
        }
        let unlisted: Vec<String> = unlisted.into_iter().collect();
        let client = &context.klaviyo;
        let there = existing(client, CatalogCollection::Variants, &unlisted, deadline).await?;
        if there.is_empty() {
            return Ok(found);
        }
        // a job may have created them since the items were read, and an item may have been listed without its variants:
        // those that their item has when it is asked for them are not elsewhere
        let affected = wanted.iter().filter_map(|(product, ids)| {
            let ids = ids.iter().filter(|id| there.contains(*id));
            let ids: Vec<String> = ids.cloned().collect();
            (!ids.is_empty()).then(|| (product.clone(), ids))
        });
        let affected: HashMap<String, Vec<String>> = affected.collect();
        let own = variants_of_items(client, &affected, Extent::Wanted, deadline).await?;
        for (product, ids) in &affected {
            let own = own.get(&compound_id(product));
            let is_elsewhere = |id: &&String| own.is_none_or(|own| !own.contains(*id));
            let skus = ids
                .iter()
                .filter(is_elsewhere)
                .map(|id| external_id(id).to_owned());
            found.there.extend(skus);
        }
        for (item, variants) in own {
            known.entry(item).or_default().extend(variants);
        }
        let contested: Vec<String> = found.there.iter().cloned().collect();
        found
            .note_owners(context, is_modular, &contested, deadline)
            .await?;
        let holders = found.note_holders(&context.klaviyo, &contested, wanted, deadline);
        holders.await?;
        Ok(found)
    }

    /// Looks up whether other products have the skus that `known` has for an item and `wanted` does not have for its
    /// product.
    ///
    /// # Errors
    /// If commercetools does not respond or rejects the request.
    pub(super) async fn of_obsolete(
        context: &Context,
        is_modular: bool,
        wanted: &HashMap<String, Vec<String>>,
        known: &HashMap<String, HashSet<String>>,
        deadline: Deadline,
    ) -> Result<Self, Error> {
        let mut found = Self::default();
        let mut obsolete = BTreeSet::new();
        for (product, wanted) in wanted {
            let wanted: HashSet<&str> = wanted.iter().map(String::as_str).collect();
            let known = known.get(&compound_id(product)).into_iter().flatten();
            let surplus = known.filter(|id| !wanted.contains(id.as_str()));
            obsolete.extend(surplus.map(|id| external_id(id).to_owned()));
        }
        let obsolete: Vec<String> = obsolete.into_iter().collect();
        found
            .note_owners(context, is_modular, &obsolete, deadline)
            .await?;
        Ok(found)
    }

    /// Looks up the published products with these skus.
    async fn note_owners(
        &mut self,
        context: &Context,
        is_modular: bool,
        contested: &[String],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut left: Vec<&[String]> = contested.chunks(SKUS_A_QUERY).collect();
        while let Some(skus) = left.pop() {
            let client = &context.commercetools;
            match self.note_products(client, skus, deadline).await {
                // one large product is no reason to know nothing of the others' skus
                Err(error) if error.is_too_large() && skus.len() > 1 => left.extend(skus.chunks(1)),
                Err(error) if error.is_too_large() => {}
                noted => noted?,
            }
        }
        if is_modular {
            let lookups = context.catalog.lookups();
            for (product, sku) in separate_variants(lookups, contested, deadline).await? {
                self.products.entry(sku).or_default().insert(product);
            }
        }
        Ok(())
    }

    /// Looks up where Klaviyo has skus that `wanted` products are to take: under the items of which others that have them.
    async fn note_holders(
        &mut self,
        klaviyo: &klaviyo::Client,
        contested: &[String],
        wanted: &HashMap<String, Vec<String>>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let mut others: HashMap<String, Vec<String>> = HashMap::new();
        for sku in contested {
            let mut products = self.products.get(sku).into_iter().flatten();
            let is_taken = products.next().is_some_and(|id| wanted.contains_key(id));
            for other in products.filter(|_| is_taken) {
                let of_other = others.entry(other.clone()).or_default();
                of_other.push(compound_id(sku));
            }
        }
        let listed = variants_of_items(klaviyo, &others, Extent::Wanted, deadline).await?;
        for (other, ids) in others {
            let of_item = listed.get(&compound_id(&other));
            let is_held = |id: &&String| of_item.is_some_and(|listed| listed.contains(*id));
            let held = ids.iter().filter(is_held).map(|id| external_id(id));
            self.holders
                .extend(held.map(|sku| (sku.to_owned(), other.clone())));
        }
        Ok(())
    }

    /// Skus that several products of the page have.
    fn note_shared(&mut self, wanted: &HashMap<String, Vec<String>>) {
        let mut products: HashMap<&str, BTreeSet<String>> = HashMap::new();
        for (product, variants) in wanted {
            for variant in variants {
                let of_sku = products.entry(external_id(variant)).or_default();
                of_sku.insert(product.clone());
            }
        }
        products.retain(|_, products| products.len() > 1);
        let shared = products.into_iter();
        self.products
            .extend(shared.map(|(sku, products)| (sku.to_owned(), products)));
    }

    /// The published products with one of these skus.
    async fn note_products(
        &mut self,
        commercetools: &commercetools::Client,
        skus: &[String],
        deadline: Deadline,
    ) -> Result<(), Error> {
        let sku = value_in("sku", skus);
        let predicate = format!("masterVariant({sku}) or variants({sku})");
        let parameters = [("staged", "false"), ("where", predicate.as_str())];
        let query = Query {
            limit: MAX_LIMIT,
            parameters: &parameters,
            ..Query::all("query products by sku", "product-projections", MAX_BYTES)
        };
        for product in &commercetools.page(&query, deadline).await? {
            let Ok(product) = Product::read(product.part()) else {
                continue;
            };
            for sku in product
                .skus()
                .filter(|sku| skus.iter().any(|one| one == sku))
            {
                let of_sku = self.products.entry(sku.to_owned()).or_default();
                of_sku.insert(product.id().to_owned());
            }
        }
        Ok(())
    }

    /// Where the variant of a product's sku is to be.
    pub(super) fn place(&self, product: &str, sku: &str) -> Place {
        let first = self.products.get(sku).and_then(BTreeSet::first);
        match first {
            Some(first) if first.as_str() < product => Place::KeptBy(first.clone()),
            _ if self.there.contains(sku) => Place::Moved,
            _ => Place::Here,
        }
    }

    /// The product that has to give up a sku that is to be moved, where that is another one's as well.
    pub(super) fn holder(&self, sku: &str) -> Option<&str> {
        self.holders.get(sku).map(String::as_str)
    }

    /// Whether another product has the sku of a variant that this one no longer has: then that product moves it.
    pub(super) fn is_of_another(&self, product: &str, sku: &str) -> bool {
        let products = self.products.get(sku).into_iter().flatten();
        products.into_iter().any(|other| other != product)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_product_keeps_a_sku_and_what_is_under_another_item_is_moved() {
        let mut elsewhere = Elsewhere::default();
        elsewhere.there.insert("moved".to_owned());
        let of = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect();
        elsewhere
            .products
            .insert("shared".to_owned(), of(&["b", "a"]));
        elsewhere.products.insert("moved".to_owned(), of(&["b"]));
        assert_eq!(elsewhere.place("a", "shared"), Place::Here);
        assert_eq!(
            elsewhere.place("b", "shared"),
            Place::KeptBy("a".to_owned())
        );
        assert_eq!(elsewhere.place("b", "moved"), Place::Moved);
        assert_eq!(elsewhere.place("b", "other"), Place::Here);
        assert!(elsewhere.is_of_another("a", "moved"));
        assert!(!elsewhere.is_of_another("b", "moved"));
        assert!(!elsewhere.is_of_another("a", "gone"));
    }

    #[test]
    fn a_sku_of_two_products_of_a_page_is_known_without_a_query() {
        let mut elsewhere = Elsewhere::default();
        let wanted = [("a", vec!["X", "Y"]), ("b", vec!["X"])];
        let wanted = wanted.map(|(product, skus)| {
            let skus = skus.into_iter().map(compound_id).collect();
            (product.to_owned(), skus)
        });
        elsewhere.note_shared(&wanted.into());
        assert_eq!(elsewhere.place("b", "X"), Place::KeptBy("a".to_owned()));
        assert_eq!(elsewhere.place("a", "Y"), Place::Here);
    }
}
