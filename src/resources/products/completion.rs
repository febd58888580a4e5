//! Reads what commercetools keeps beside product projections, and completes the records of a page with it.

use std::cell::RefCell;

use jiff::Timestamp;

use crate::commercetools::scope::{VIEW_PRODUCTS, VIEW_STANDALONE_PRICES};
use crate::error::{Error, Peer};
use crate::json::{Json, Part};
use crate::mapping::Skip;
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
/// Those of them that their products have first.
const DEFAULT_VARIANTS: PagedLookup = PagedLookup {
    operation: "query the default variant of a product",
    parameters: &[("staged", "false"), ("where", "default = true")],
    ..VARIANTS
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

/// The most variants of a product that are read at a time, and sent together: a product of a Modular project may have 10,000
/// (<https://docs.commercetools.com/api/limits>). One with more is read in portions, on a page of its own.
pub(super) const PORTION: usize = 500;

/// What there is to say of products that have been completed.
#[derive(Debug, Default)]
pub(super) struct Completed {
    /// Whether there are products whose variants are resources of their own.
    pub(super) is_modular: bool,
    /// Whether the only product has a portion of its variants.
    pub(super) is_portion: bool,
    /// The id of the last variant of the portion, where more may follow.
    pub(super) rest: Option<String>,
}

/// Completes the products of a page: those without variants get their variants and stock from resources of their own,
/// and those of the price mode `Standalone` their prices that matter at `now`. Other products cost no request. A single
/// product with very many variants gets a [`PORTION`] of them: those after the one with the id `after`.
///
/// # Errors
/// If commercetools does not respond or rejects a request; [`TransportError::TooLarge`] if there is more to hold than
/// `max_bytes`, or one of several products has more variants than a portion, so that the page is read again with fewer
/// products.
pub(super) async fn complete(
    context: &Context,
    records: &mut Records,
    now: Timestamp,
    max_bytes: usize,
    after: Option<&str>,
    deadline: Deadline,
) -> Result<Completed, Error> {
    let (modular, mut skus) = what_lacks(records.present());
    if modular.is_empty() && skus.is_empty() {
        return Ok(Completed::default());
    }
    let client = &context.commercetools;
    let may_read_prices = client.may(VIEW_STANDALONE_PRICES, deadline).await?;
    let may_read_stock = client.may(VIEW_PRODUCTS, deadline).await?;
    let beside = Beside {
        lookups: context.catalog.lookups(),
        completion: RefCell::new(Completion::new(now, may_read_prices, may_read_stock)),
        max_bytes,
        deadline,
    };
    let completed = match &*modular {
        [product] if records.present().count() == 1 => {
            beside.add_portion_of_variants(product, after).await?
        }
        _ => {
            beside.add_variants(&modular).await?;
            Completed {
                is_modular: !modular.is_empty(),
                ..Completed::default()
            }
        }
    };
    let of_modular: Vec<String> = {
        let completion = beside.completion.borrow();
        completion.skus().map(str::to_owned).collect()
    };
    skus.extend(of_modular.iter().cloned());
    let prices = async {
        match may_read_prices {
            true => beside.add_prices(&skus).await,
            false => Ok(()),
        }
    };
    let stock = async {
        match may_read_stock {
            true => beside.add_stock(&of_modular).await,
            false => Ok(()),
        }
    };
    futures_util::future::try_join(prices, stock).await?;
    let completion = beside.completion.into_inner();
    for record in &mut records.list {
        if let Record::Present(product) = record
            && let Some(complete) = completion.complete(product.part())
        {
            *product = complete;
        }
    }
    Ok(completed)
}

/// Reads what is beside the products of a page.
struct Beside<'a> {
    lookups: &'a Lookups,
    completion: RefCell<Completion>,
    max_bytes: usize,
    deadline: Deadline,
}

impl Beside<'_> {
    fn within_memory(&self, operation: &'static str) -> Result<(), Error> {
        match self.completion.borrow().bytes() > self.max_bytes {
            true => Err(too_large(operation, self.max_bytes)),
            false => Ok(()),
        }
    }

    /// Adds all variants of these products.
    async fn add_variants(&self, products: &[String]) -> Result<(), Error> {
        let note = |variant: &Json| {
            let noted = self.completion.borrow_mut().note_variant(variant.part());
            let of_product = noted.map_err(|skip| unreadable_variant(&skip))?;
            if of_product > PORTION {
                return Err(too_large(VARIANTS.operation, self.max_bytes));
            }
            self.within_memory(VARIANTS.operation)
        };
        let variants = self.lookups.pages(&VARIANTS, products, self.deadline, note);
        variants.await
    }

    /// Adds a portion of the variants of a product: those after the one with the id `after`.
    async fn add_portion_of_variants(
        &self,
        product: &str,
        after: Option<&str>,
    ) -> Result<Completed, Error> {
        let Self {
            lookups, deadline, ..
        } = *self;
        let note = |variant: &Json| {
            let noted = self.completion.borrow_mut().note_variant(variant.part());
            noted.map_err(|skip| unreadable_variant(&skip))?;
            self.within_memory(VARIANTS.operation)
        };
        let portion = lookups.portion(&VARIANTS, product, after, PORTION, deadline, note);
        let rest = portion.await?;
        let is_portion = after.is_some() || rest.is_some();
        if is_portion {
            self.completion.borrow_mut().is_portion();
            if after.is_none() {
                self.add_default_variant(product).await?;
            }
        }
        Ok(Completed {
            is_modular: true,
            is_portion,
            rest,
        })
    }

    /// Adds the default variant of a product that is read in portions, for its item: it may be in any of them.
    async fn add_default_variant(&self, product: &str) -> Result<(), Error> {
        let Self {
            lookups, deadline, ..
        } = *self;
        let note = |variant: &Json| {
            let mut completion = self.completion.borrow_mut();
            let noted = completion.note_default_variant(variant.part());
            noted.map_err(|skip| unreadable_variant(&skip))
        };
        let found = lookups.portion(&DEFAULT_VARIANTS, product, None, 1, deadline, note);
        match found.await {
            Ok(_) => Ok(()),
            // that variants can be selected by this member is not documented: all of them are read
            Err(error) if error.is_rejection() => {
                let products = [product.to_owned()];
                lookups.pages(&VARIANTS, &products, deadline, note).await
            }
            Err(error) => Err(error),
        }
    }

    /// Adds the prices of these skus.
    async fn add_prices(&self, skus: &[String]) -> Result<(), Error> {
        let note = |price: &Json| {
            self.completion.borrow_mut().note_price(price.part());
            self.within_memory(PRICES.operation)
        };
        let prices = self.lookups.pages(&PRICES, skus, self.deadline, note);
        prices.await
    }

    /// Adds the stock of these skus.
    async fn add_stock(&self, skus: &[String]) -> Result<(), Error> {
        let note = |entry: &Json| {
            self.completion.borrow_mut().note_stock(entry.part());
            self.within_memory(STOCK.operation)
        };
        let stock = self.lookups.pages(&STOCK, skus, self.deadline, note);
        stock.await
    }
}

fn too_large(operation: &'static str, limit: usize) -> Error {
    Error::transport(
        Peer::Commercetools,
        operation,
        TransportError::TooLarge { limit },
    )
}

fn unreadable_variant(skip: &Skip) -> Error {
    let expected = format!("variants: {skip}");
    Error::unreadable(Peer::Commercetools, VARIANTS.operation, expected)
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
