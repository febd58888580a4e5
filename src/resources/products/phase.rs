//! What the phases share: the products that they read, the time that decides which prices apply, and the results of jobs.

use jiff::Timestamp;

use super::reading::{PRODUCTS, ProductPage};
use crate::error::Error;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::catalog::listing::CatalogCollection;
use crate::ports::LocalFuture;
use crate::resources::catalog_jobs::CatalogJobs;
use crate::resources::changes::Selection;
use crate::resources::context::Context;
use crate::resources::withdrawal::Withdrawal;
use crate::run::import::{Jobs, NextPhase};
use crate::run::page::PageQuery;
use crate::run::state::{RunDocument, RunOptions};
use crate::time::Deadline;

/// What the phases need.
#[derive(Clone)]
pub(super) struct Phase {
    pub(super) context: Context,
    /// The time that decides which prices apply: the start of the run.
    pub(super) now: Timestamp,
    /// Which products are read.
    pub(super) selection: Selection,
}

impl Phase {
    /// The number of products that a run has to read; each phase reads all of them.
    pub(super) fn total(
        &self,
        options: &RunOptions,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<u64, Error>> {
        PRODUCTS.total(&self.context.commercetools, options, deadline)
    }

    /// Reads the next page of a range.
    ///
    /// # Errors
    /// As [`ProductPage::read`].
    pub(super) async fn read(
        &self,
        query: &PageQuery,
        deadline: Deadline,
    ) -> Result<ProductPage, Error> {
        let Self {
            context,
            now,
            selection,
        } = self;
        ProductPage::read(context, selection, query, *now, deadline).await
    }

    /// Reads the next page of a range without what commercetools keeps beside its products.
    ///
    /// # Errors
    /// As [`ProductPage::read`].
    pub(super) async fn read_bare(
        &self,
        query: &PageQuery,
        deadline: Deadline,
    ) -> Result<ProductPage, Error> {
        let client = &self.context.commercetools;
        ProductPage::read_bare(client, &self.selection, query, deadline).await
    }

    /// What follows when no variant is left to be removed.
    pub(super) fn after_variants(&self, run: &RunDocument) -> NextPhase {
        Withdrawal::after_import(&self.context, run)
    }

    /// The jobs of these endpoints, which write to this collection.
    pub(super) fn jobs(
        &self,
        endpoints: &'static [&'static BulkEndpoint],
        collection: CatalogCollection,
    ) -> Box<dyn Jobs> {
        Box::new(CatalogJobs {
            client: self.context.klaviyo.clone(),
            endpoints,
            collection,
        })
    }
}
