//! Which records are made of something: products of their skus or their categories, orders of their payments.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::json::Json;
use crate::mapping;
use crate::mapping::category::Category;
use crate::mapping::product::Product;
use crate::resources::context::Context;
use crate::resources::paged_lookup::{Member, PagedLookup};
use crate::time::Deadline;

/// Published products, in their published projection.
const BY_SKU: PagedLookup = PagedLookup {
    operation: "query products by sku",
    path: "product-projections",
    parameters: &[("staged", "false")],
    member: Member::OfVariants("sku"),
    unseen_bytes: 20_000,
};
/// Those in a category.
const BY_CATEGORY: PagedLookup = PagedLookup {
    operation: "query products by category",
    member: Member::ReferencedBy("categories"),
    ..BY_SKU
};
/// Published variants of products of a project with the catalog model `Modular`.
const VARIANTS_BY_SKU: PagedLookup = PagedLookup {
    operation: "query variants by sku",
    path: "variant-projections",
    parameters: &[("staged", "false")],
    member: Member::Own("sku"),
    unseen_bytes: 4_000,
};
/// Orders by their payments.
const BY_PAYMENT: PagedLookup = PagedLookup {
    operation: "query orders by payment",
    path: "orders",
    parameters: &[],
    member: Member::ReferencedWithin("paymentInfo", "payments"),
    unseen_bytes: 20_000,
};
/// Categories below others.
const BELOW: PagedLookup = PagedLookup {
    operation: "query categories by their ancestors",
    path: "categories",
    parameters: &[],
    member: Member::ReferencedBy("ancestors"),
    unseen_bytes: 4_000,
};

async fn ids(
    context: &Context,
    lookup: &PagedLookup,
    values: &[String],
    deadline: Deadline,
    id: impl Fn(&Json) -> Option<String>,
) -> Result<BTreeSet<String>, Error> {
    let mut found = BTreeSet::new();
    let lookups = context.catalog.lookups();
    let taken = lookups.pages(lookup, values, deadline, |record| {
        found.extend(id(record));
        Ok(())
    });
    taken.await?;
    Ok(found)
}

/// The ids of the published products with one of these skus.
///
/// # Errors
/// If commercetools does not respond or rejects a request.
pub(super) async fn of_skus(
    context: &Context,
    skus: &BTreeSet<String>,
    deadline: Deadline,
) -> Result<BTreeSet<String>, Error> {
    let mut found = BTreeSet::new();
    let mut left = skus.clone();
    let asked: Vec<String> = skus.iter().cloned().collect();
    let lookups = context.catalog.lookups();
    let taken = lookups.pages(&BY_SKU, &asked, deadline, |record| {
        if let Ok(product) = Product::read(record.part()) {
            for sku in product.skus() {
                left.remove(sku);
            }
            found.insert(product.id().to_owned());
        }
        Ok(())
    });
    taken.await?;
    // those of unpublished products, and of variants that are resources of their own
    let left: Vec<String> = left.into_iter().collect();
    let product = |variant: &Json| {
        let [product] = variant.part().pick(["product"])?;
        mapping::id(product?)
    };
    match ids(context, &VARIANTS_BY_SKU, &left, deadline, product).await {
        Ok(products) => found.extend(products),
        // a project whose variants are part of its products may not know them
        Err(error) if error.is_rejection() => {}
        Err(error) => return Err(error),
    }
    Ok(found)
}

/// The ids of the categories below these.
///
/// # Errors
/// If commercetools does not respond or rejects a request.
pub(super) async fn below(
    context: &Context,
    categories: &BTreeSet<String>,
    deadline: Deadline,
) -> Result<BTreeSet<String>, Error> {
    let asked: Vec<String> = categories.iter().cloned().collect();
    let id = |category: &Json| {
        note(context, category);
        mapping::id(category.part())
    };
    ids(context, &BELOW, &asked, deadline, id).await
}

/// A category is as it is now, whatever was known of it.
pub(super) fn note(context: &Context, category: &Json) {
    if let Ok(category) = Category::read(category.part()) {
        context.catalog.note(&[category]);
    }
}

/// The ids of the orders with one of these payments.
///
/// # Errors
/// If commercetools does not respond or rejects a request.
pub(super) async fn of_payments(
    context: &Context,
    payments: &BTreeSet<String>,
    deadline: Deadline,
) -> Result<BTreeSet<String>, Error> {
    let asked: Vec<String> = payments.iter().cloned().collect();
    let id = |order: &Json| mapping::id(order.part());
    ids(context, &BY_PAYMENT, &asked, deadline, id).await
}

/// The ids of the published products in one of these categories.
///
/// # Errors
/// If commercetools does not respond or rejects a request.
pub(super) async fn of_categories(
    context: &Context,
    categories: &BTreeSet<String>,
    deadline: Deadline,
) -> Result<BTreeSet<String>, Error> {
    let asked: Vec<String> = categories.iter().cloned().collect();
    let id = |product: &Json| mapping::id(product.part());
    ids(context, &BY_CATEGORY, &asked, deadline, id).await
}
