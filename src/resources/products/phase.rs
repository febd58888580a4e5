//! What both phases have in common: the products that they go through, and the moment that decides which prices apply.

use jiff::Timestamp;

use crate::error::Error;
use crate::ports::LocalFuture;
use crate::resources::collection::Collection;
use crate::resources::context::Context;
use crate::run::state::RunOptions;
use crate::time::Deadline;

/// What is published, as it is published.
pub(super) const PRODUCTS: Collection = Collection {
    operation: "query products",
    path: "product-projections",
    parameters: &[("staged", "false")],
};

/// What both phases need.
#[derive(Clone)]
pub(super) struct Phase {
    pub(super) context: Context,
    /// The moment that decides which prices apply: the start of the run.
    pub(super) now: Timestamp,
}

impl Phase {
    /// How many products a run has to read; each phase goes through all of them.
    pub(super) fn total(
        &self,
        options: &RunOptions,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<u64, Error>> {
        let (client, options) = (self.context.commercetools.clone(), options.clone());
        Box::pin(async move { PRODUCTS.total(&client, &options, deadline).await })
    }
}
