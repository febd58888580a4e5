//! What Klaviyo has too much of an item with very many variants: its variants are listed a few pages at a time, and looked
//! up in commercetools, as neither side's fit into memory together.

use std::collections::{HashMap, HashSet};

use super::completion::separate_variants;
use super::elsewhere::Elsewhere;
use crate::error::Error;
use crate::klaviyo::catalog::listing::list_variants_of;
use crate::mapping::product::{compound_id, external_id};
use crate::resources::context::Context;
use crate::time::Deadline;

/// Pages of Klaviyo's listing, of 100 variants each, that are compared together.
const PAGES: usize = 5;

/// A part of the variants that Klaviyo has of an item.
pub(super) struct Surplus {
    /// Those that the product does not have, by compound id.
    pub(super) obsolete: Vec<String>,
    /// Which of them other products have.
    pub(super) elsewhere: Elsewhere,
    /// The path of the next page.
    pub(super) next: Option<String>,
}

impl Surplus {
    /// Compares the next variants of the item of a product whose variants are resources of their own. `path` is the `next`
    /// of those before.
    ///
    /// # Errors
    /// If one of the APIs does not respond or rejects the request.
    pub(super) async fn find(
        context: &Context,
        product: &str,
        path: Option<&str>,
        deadline: Deadline,
    ) -> Result<Self, Error> {
        let mut listed: HashSet<String> = HashSet::new();
        let mut next = path.map(str::to_owned);
        for _ in 0..PAGES {
            let page = list_variants_of(&context.klaviyo, product, next.as_deref(), deadline);
            let page = page.await?;
            listed.extend(page.ids);
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        let skus: Vec<String> = listed.iter().map(|id| external_id(id).to_owned()).collect();
        let lookups = context.catalog.lookups();
        let owners = separate_variants(lookups, &skus, deadline).await?;
        let own = owners.into_iter().filter(|(owner, _)| owner == product);
        let own: HashSet<String> = own.map(|(_, sku)| compound_id(&sku)).collect();
        let mut obsolete: Vec<String> = listed.difference(&own).cloned().collect();
        obsolete.sort_unstable();
        let wanted = HashMap::from([(product.to_owned(), own.into_iter().collect())]);
        let known = HashMap::from([(compound_id(product), listed)]);
        let elsewhere = Elsewhere::of_obsolete(context, true, &wanted, &known, deadline).await?;
        Ok(Self {
            obsolete,
            elsewhere,
            next,
        })
    }
}
