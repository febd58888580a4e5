//! The one place that reads pages of products: from a query to products that are ready to be mapped.
//!
//! What a projection does not have itself is read here as well, between the page and its products: whoever maps
//! them gets [`Product`]s, and does not see where their parts are from.

use std::collections::HashMap;

use jiff::Timestamp;

use super::completion::{Completed, complete};
use super::wanted::Wanted;
use crate::commercetools::Client;
use crate::error::Error;
use crate::klaviyo::catalog::listing::Extent;
use crate::mapping::product::{Product, compound_id};
use crate::mapping::{self, Skip};
use crate::resources::changes::Selection;
use crate::resources::collection::{Collection, Records};
use crate::resources::context::Context;
use crate::run::documents::Documents;
use crate::run::page::{Page, PageQuery, Record};
use crate::run::state::{IdRange, Only};
use crate::time::Deadline;

/// The published products, in their published projection.
pub(super) const PRODUCTS: Collection = Collection {
    operation: "query products",
    path: "product-projections",
    parameters: &[("staged", "false")],
};

/// A page of products.
pub(super) struct ProductPage {
    records: Records,
    completed: Completed,
    range: IdRange,
}

impl ProductPage {
    /// Reads the next products of a range, with everything that mapping them at `now` needs of commercetools' products.
    ///
    /// # Errors
    /// If commercetools does not respond or rejects the request, and if a record in the response has no id.
    pub(super) async fn read(
        context: &Context,
        selection: &Selection,
        query: &PageQuery,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Self, Error> {
        let client = &context.commercetools;
        context.catalog.lookups().note_page_cap(query.page_cap);
        let mut page = Self::read_bare(client, selection, query, deadline).await?;
        let most = query.max_bytes;
        let after = query.range.parts_after.as_deref();
        page.completed = complete(context, &mut page.records, now, most, after, deadline).await?;
        Ok(page)
    }

    /// The same without what commercetools keeps beside its products.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(super) async fn read_bare(
        client: &Client,
        selection: &Selection,
        query: &PageQuery,
        deadline: Deadline,
    ) -> Result<Self, Error> {
        let mut records = selection.read(client, &PRODUCTS, query, deadline).await?;
        let wanted = Wanted::of(&query.range);
        records.list.retain(|record| match record {
            Record::Present(record) => {
                let id = mapping::id(record.part());
                id.is_none_or(|id| !wanted.nothing_of(&id))
            }
            Record::Missing(_) => true,
        });
        Ok(Self {
            records,
            completed: Completed::default(),
            range: query.range.clone(),
        })
    }

    /// Whether there are products whose variants are resources of their own.
    pub(super) fn is_modular(&self) -> bool {
        self.completed.is_modular
    }

    /// What of the products' variants is looked up in Klaviyo.
    pub(super) fn extent(&self) -> Extent {
        match self.completed.is_portion {
            true => Extent::Wanted,
            false => Extent::All,
        }
    }

    /// Where the rest of its variants is read, if there is only a portion of them.
    pub(super) fn rest(&self) -> Option<IdRange> {
        // where only records are read, their parts are sent by others
        let after = self.completed.rest.clone();
        let are_alone = self.range.only.is_some_and(Only::are_records_alone);
        let after = after.filter(|_| !are_alone)?;
        let product = self.products().next()?;
        let is_named = Wanted::of(&self.range).is_named(product.id());
        Some(self.range.rest_of(product.id(), is_named, after))
    }

    /// The page without the ids that were requested and do not exist, but for those that are `counted`.
    pub(super) fn without_missing(mut self, counted: impl Fn(&str) -> bool) -> Self {
        self.records.list.retain(|record| match record {
            Record::Present(_) => true,
            Record::Missing(id) => counted(id),
        });
        self
    }

    /// The compound ids of the variants that the products have, by the products' ids.
    pub(super) fn skus(&self) -> HashMap<String, Vec<String>> {
        let products = self.products();
        products
            .map(|product| {
                let skus = product.skus().map(compound_id).collect();
                (product.id().to_owned(), skus)
            })
            .collect()
    }

    /// The products that can be read.
    pub(super) fn products(&self) -> impl Iterator<Item = Product<'_>> {
        let records = self.records.present();
        records.filter_map(|record| Product::read(record).ok())
    }

    /// The page for the window. `map` adds the documents of a product and returns its id, or the reason why it is not
    /// sent.
    pub(super) fn into_page(
        self,
        map: impl Fn(&Product<'_>, &mut Documents) -> Result<String, Skip> + 'static,
    ) -> Page {
        self.records.into_page(Box::new(move |record, documents| {
            map(&Product::read(record)?, documents)
        }))
    }
}
