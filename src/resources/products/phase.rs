//! What both phases share: the products that they read, and the time that decides which prices apply.

use jiff::Timestamp;

use super::reading::PRODUCTS;
use crate::error::Error;
use crate::ports::LocalFuture;
use crate::resources::context::Context;
use crate::run::state::RunOptions;
use crate::time::Deadline;

/// What both phases need.
#[derive(Clone)]
pub(super) struct Phase {
    pub(super) context: Context,
    /// The time that decides which prices apply: the start of the run.
    pub(super) now: Timestamp,
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
}
