//! What a phase looks for, and what it does about it.

use std::cell::Cell;
use std::rc::Rc;

use jiff::Timestamp;

use crate::klaviyo::catalog::listing::CatalogCollection;
use crate::resources::context::Context;

/// How entries are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// commercetools names products that are not published and were modified at this time or later.
    Unpublished(Timestamp),
    /// Klaviyo lists its catalog.
    Listing,
}

/// What is done about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// They are counted.
    Counting,
    /// They are deleted.
    Deleting,
}

/// A phase.
#[derive(Clone)]
pub(in crate::resources) struct Withdrawal {
    pub(super) context: Context,
    /// Items or categories.
    pub(super) collection: CatalogCollection,
    pub(super) source: Source,
    pub(super) step: Step,
    /// With `pruneUnmarked`.
    pub(super) takes_unmarked: bool,
    /// How commercetools is asked, of the ways that there are.
    pub(super) way: Rc<Cell<usize>>,
}
