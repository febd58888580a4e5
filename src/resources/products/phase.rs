//! What both phases share: the products that they read, and the time that decides which prices apply.

use jiff::Timestamp;

use super::completion::complete;
use crate::error::Error;
use crate::ports::LocalFuture;
use crate::resources::collection::{Collection, Records};
use crate::resources::context::Context;
use crate::run::page::PageQuery;
use crate::run::state::RunOptions;
use crate::time::Deadline;

/// The published products, in their published projection.
pub(super) const PRODUCTS: Collection = Collection {
    operation: "query products",
    path: "product-projections",
    parameters: &[("staged", "false")],
};

/// What both phases need.
#[derive(Clone)]
pub(super) struct Phase {
    pub(super) context: Context,
    /// The time that decides which prices apply: the start of the run.
    pub(super) now: Timestamp,
}

impl Phase {
    /// Reads the next page, its products with all that is mapped of them, and whether variants of this project are
    /// resources of their own.
    ///
    /// # Errors
    /// If commercetools does not respond or rejects a request.
    pub(super) async fn read(
        &self,
        query: &PageQuery,
        deadline: Deadline,
    ) -> Result<(Records, bool), Error> {
        let client = &self.context.commercetools;
        let mut records = PRODUCTS.read(client, query, deadline).await?;
        let most = query.max_bytes;
        let is_modular = complete(&self.context, &mut records, self.now, most, deadline).await?;
        Ok((records, is_modular))
    }

    /// The number of products that a run has to read; each phase reads all of them.
    pub(super) fn total(
        &self,
        options: &RunOptions,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<u64, Error>> {
        PRODUCTS.total(&self.context.commercetools, options, deadline)
    }
}
