//! The first phase: imports products as catalog items.

use std::collections::HashSet;
use std::rc::Rc;

use super::phase::Phase;
use super::reading::{PRODUCTS, ProductPage};
use super::variants::Variants;
use crate::error::Error;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::catalog::listing::{CatalogCollection, existing};
use crate::klaviyo::catalog::{CREATE_ITEMS, UPDATE_ITEMS};
use crate::mapping::product::{Listing, Product, compound_id};
use crate::ports::LocalFuture;
use crate::resources::catalog_jobs::{self, JOBS_A_GROUP, write_of};
use crate::resources::collection::Collection;
use crate::resources::context::Context;
use crate::run::import::{Import, JobAnswer};
use crate::run::page::{Page, PageQuery};
use crate::run::state::{Job, Note, RunOptions};
use crate::time::Deadline;

static ITEM_ENDPOINTS: [&BulkEndpoint; 2] = [&CREATE_ITEMS, &UPDATE_ITEMS];

/// The name of this phase in the cursor.
const ITEMS: &str = "items";

/// Products that are not published: neither sent nor deleted, only counted.
/// All products, published or not. They are counted without a predicate, because commercetools counts no more than 10,000
/// with one.
const ALL_PRODUCTS: Collection = Collection {
    operation: "count all products",
    path: "products",
    parameters: &[],
};

/// The first phase: items are created and updated.
pub(super) struct Items(pub(super) Phase);

impl Import for Items {
    fn bulk_endpoints(&self) -> &'static [&'static BulkEndpoint] {
        &ITEM_ENDPOINTS
    }

    fn batches_a_group(&self) -> usize {
        JOBS_A_GROUP
    }

    fn phase(&self) -> Option<String> {
        Some(ITEMS.to_owned())
    }

    fn unread_notes(
        &self,
        options: &RunOptions,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Vec<(Note, u64)>, Error>> {
        let (client, options) = (self.0.context.commercetools.clone(), options.clone());
        Box::pin(async move {
            if options.ids.is_some() || options.since.is_some() {
                return Ok(Vec::new());
            }
            let published = PRODUCTS.total(&client, &options, deadline).await?;
            match ALL_PRODUCTS.total(&client, &options, deadline).await {
                Ok(all) if all <= published => Ok(Vec::new()),
                Ok(all) => Ok(vec![(Note::UnpublishedLeftAlone, all - published)]),
                // the token may have the scope for published products only
                Err(error) if error.status() == Some(403) => Ok(Vec::new()),
                Err(error) => Err(error),
            }
        })
    }

    fn phase_position(&self) -> Option<(u64, u64)> {
        Some((0, 2))
    }

    fn next_phase(&self) -> Option<Rc<dyn Import>> {
        Some(Rc::new(Variants(self.0.clone())))
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
            let Context {
                klaviyo,
                catalog,
                options,
                ..
            } = context;
            let (ids, categories) = {
                let products: Vec<Product<'_>> = page.products().collect();
                let ids: Vec<String> = products
                    .iter()
                    .map(|product| product.id().to_owned())
                    .collect();
                let categories: HashSet<String> =
                    products.iter().flat_map(Product::category_ids).collect();
                (ids, categories.into_iter().collect())
            };
            let categories = catalog.categories(categories, deadline);
            let known = existing(&klaviyo, CatalogCollection::Items, &ids, deadline);
            let (categories, known) = futures_util::future::try_join(categories, known).await?;
            Ok(page.into_page(move |product, documents| {
                let (endpoint, write) = write_of(known.contains(&compound_id(product.id())));
                let listing = Listing::of(product, now, &options)?;
                let entry = listing.item(&categories, write, &mut documents.bytes)?;
                documents.push(endpoint, 0, None);
                if product.has_unread_prices() {
                    documents.notes.push(Note::StandalonePricesUnread);
                }
                if product.has_unread_stock() {
                    documents.notes.push(Note::StockUnread);
                }
                Ok(entry.id)
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
                &ITEM_ENDPOINTS,
                CatalogCollection::Items,
                job,
                deadline,
            )
            .await
        })
    }
}
