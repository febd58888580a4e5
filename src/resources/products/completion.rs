//! Reads what commercetools keeps beside product projections, and completes the records of a page with it.

use std::cell::RefCell;

use jiff::Timestamp;

use crate::commercetools::scope::{VIEW_PRODUCTS, VIEW_STANDALONE_PRICES};
use crate::error::{Error, Peer};
use crate::json::{Json, Part};
use crate::mapping::product::{Completion, PriceMode, Product};
use crate::ports::TransportError;
use crate::resources::collection::Records;
use crate::resources::context::Context;
use crate::resources::lookup::Lookups;
use crate::resources::paged_lookup::{Member, PagedLookup};
use crate::run::page::Record;
use crate::time::Deadline;

/// The published variants of products of a project with the catalog model `Modular`
/// (<https://docs.commercetools.com/api/projects/variant-projections>).
const VARIANTS: PagedLookup = PagedLookup {
    operation: "query variants of products",
    path: "variant-projections",
    parameters: &[("staged", "false")],
    member: Member::ReferencedBy("product"),
    unseen_bytes: 4_000,
};
/// The same, by sku.
const VARIANTS_BY_SKU: PagedLookup = PagedLookup {
    operation: "query variants by sku",
    member: Member::Own("sku"),
    ..VARIANTS
};
/// Prices by sku (<https://docs.commercetools.com/api/projects/standalone-prices>).
const PRICES: PagedLookup = PagedLookup {
    operation: "query standalone prices",
    path: "standalone-prices",
    parameters: &[],
    member: Member::Own("sku"),
    unseen_bytes: 1_500,
};
/// Stock by sku (<https://docs.commercetools.com/api/projects/inventory>).
const STOCK: PagedLookup = PagedLookup {
    operation: "query stock",
    path: "inventory",
    parameters: &[],
    member: Member::Own("sku"),
    unseen_bytes: 1_000,
};

/// Completes the products of a page: those without variants get their variants and stock from resources of their own,
/// and those of the price mode `Standalone` their prices that matter at `now`. Other products cost no request. Returns
/// whether there are products whose variants are resources of their own.
///
/// # Errors
/// If commercetools does not respond or rejects a request; [`TransportError::TooLarge`] if there is more to hold than
/// `max_bytes`, so that the page is read again with fewer products.
pub(super) async fn complete(
    context: &Context,
    records: &mut Records,
    now: Timestamp,
    max_bytes: usize,
    deadline: Deadline,
) -> Result<bool, Error> {
    let (modular, mut skus) = what_lacks(records.present());
    if modular.is_empty() && skus.is_empty() {
        return Ok(false);
    }
    let client = &context.commercetools;
    let may_read_prices = client.may(VIEW_STANDALONE_PRICES, deadline).await?;
    let may_read_stock = client.may(VIEW_PRODUCTS, deadline).await?;
    let completion = RefCell::new(Completion::new(now, may_read_prices, may_read_stock));
    let lookups = context.catalog.lookups();
    let within_memory = |operation| match completion.borrow().bytes() > max_bytes {
        true => {
            let error = TransportError::TooLarge { limit: max_bytes };
            Err(Error::transport(Peer::Commercetools, operation, error))
        }
        false => Ok(()),
    };
    let variants = lookups.pages(&VARIANTS, &modular, deadline, |variant| {
        let noted = completion.borrow_mut().note_variant(variant.part());
        noted.map_err(|skip| {
            let expected = format!("variants: {skip}");
            Error::unreadable(Peer::Commercetools, VARIANTS.operation, expected)
        })?;
        within_memory(VARIANTS.operation)
    });
    variants.await?;
    let of_modular: Vec<String> = completion.borrow().skus().map(str::to_owned).collect();
    skus.extend(of_modular.iter().cloned());
    let prices = async {
        if !may_read_prices {
            return Ok(());
        }
        let take = |price: &Json| {
            completion.borrow_mut().note_price(price.part());
            within_memory(PRICES.operation)
        };
        lookups.pages(&PRICES, &skus, deadline, take).await
    };
    let stock = async {
        if !may_read_stock {
            return Ok(());
        }
        let take = |entry: &Json| {
            completion.borrow_mut().note_stock(entry.part());
            within_memory(STOCK.operation)
        };
        lookups.pages(&STOCK, &of_modular, deadline, take).await
    };
    futures_util::future::try_join(prices, stock).await?;
    let completion = completion.into_inner();
    for record in &mut records.list {
        if let Record::Present(product) = record
            && let Some(complete) = completion.complete(product.part())
        {
            *product = complete;
        }
    }
    Ok(!modular.is_empty())
}

/// The published variants with one of these skus that are resources of their own, as product and sku.
///
/// # Errors
/// If commercetools does not respond or rejects a request.
pub(super) async fn separate_variants(
    lookups: &Lookups,
    skus: &[String],
    deadline: Deadline,
) -> Result<Vec<(String, String)>, Error> {
    let mut found = Vec::new();
    let noted = lookups.pages(&VARIANTS_BY_SKU, skus, deadline, |variant| {
        let [product, sku] = variant.part().pick(["product", "sku"]).unwrap_or_default();
        let product = product.and_then(|product| product.pick(["id"])?[0]?.id());
        found.extend(
            product
                .zip(sku.and_then(Part::id))
                .map(|(product, sku)| (product.into_owned(), sku.into_owned())),
        );
        Ok(())
    });
    noted.await?;
    Ok(found)
}

/// The ids of the products without variants, and the skus of those with standalone prices.
fn what_lacks<'a>(products: impl Iterator<Item = Part<'a>>) -> (Vec<String>, Vec<String>) {
    let (mut modular, mut skus) = (Vec::new(), Vec::new());
    for product in products.filter_map(|product| Product::read(product).ok()) {
        if product.is_without_variants() {
            modular.push(product.id().to_owned());
        } else if product.price_mode() == PriceMode::Standalone {
            skus.extend(product.skus().map(str::to_owned));
        }
    }
    (modular, skus)
}
