//! Imports orders as events.

use std::collections::HashSet;
use std::rc::Rc;

use super::changes::{FindChanges, Selection};
use super::collection::Collection;
use super::context::Context;
use super::refunds::Refunds;
use super::shop_catalog::ShopCatalog;
use crate::commercetools;
use crate::config::MappingOptions;
use crate::error::Error;
use crate::json::Part;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::events;
use crate::mapping::Skip;
use crate::mapping::order::{self, CategoryPaths, Refund};
use crate::ports::LocalFuture;
use crate::run::documents::{Document, Documents, RecordOutcome};
use crate::run::import::Import;
use crate::run::page::{Page, PageQuery};
use crate::run::state::{IdRange, Note, PhaseName, Resource, RunDocument, RunOptions};
use crate::time::Deadline;

static ENDPOINTS: [&BulkEndpoint; 1] = [&events::BULK_CREATE];

const ORDERS: Collection = Collection {
    operation: "query orders",
    path: "orders",
    parameters: &[],
};

/// The import of orders, in the phase that the run is in.
#[must_use]
pub fn orders(context: &Context, run: &RunDocument) -> Rc<dyn Import> {
    // what changes an order without modifying it are refunds of its payments
    let has_begun = run.phase() == Some(PhaseName::Changes);
    let changes = FindChanges::of_run(context, run, orders);
    match changes.filter(|_| has_begun || context.options.refunds) {
        Some(phase) => Rc::new(phase),
        None => Rc::new(Orders::new(context, run)),
    }
}

/// The phase that sends events.
struct Orders {
    commercetools: Rc<commercetools::Client>,
    catalog: Rc<ShopCatalog>,
    options: Rc<MappingOptions>,
    trigger_flows: bool,
    /// Which orders are read.
    selection: Selection,
    /// Whether the run has more phases than this one.
    is_of_changes: bool,
}

impl Orders {
    fn new(context: &Context, run: &RunDocument) -> Self {
        Self {
            commercetools: context.commercetools.clone(),
            catalog: context.catalog.clone(),
            options: context.options.clone(),
            trigger_flows: run.options.trigger_flows,
            selection: Selection::of(run),
            is_of_changes: run.options.since.is_some()
                && (context.options.refunds || run.phase().is_some()),
        }
    }
}

impl Import for Orders {
    fn bulk_endpoints(&self) -> &'static [&'static BulkEndpoint] {
        &ENDPOINTS
    }

    fn batches_a_group(&self) -> usize {
        // events have no jobs that need to be traced back to a batch, and an order's events may be split over two
        // requests: larger groups fill the requests better
        4
    }

    fn phase(&self) -> Option<PhaseName> {
        let name = PhaseName::Records(Resource::Orders);
        self.is_of_changes.then_some(name)
    }

    fn ranges(&self, run: &RunDocument, configured: usize) -> Vec<IdRange> {
        Selection::ranges(run, configured)
    }

    fn total(
        &self,
        options: &RunOptions,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<u64, Error>> {
        ORDERS.total(&self.commercetools, options, deadline)
    }

    fn fetch(
        &self,
        query: PageQuery,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Page, Error>> {
        let (client, catalog, options) = (
            self.commercetools.clone(),
            self.catalog.clone(),
            self.options.clone(),
        );
        let (trigger_flows, selection) = (self.trigger_flows, self.selection.clone());
        catalog.lookups().note_page_cap(query.page_cap);
        Box::pin(async move {
            let records = selection.read(&client, &ORDERS, &query, deadline).await?;
            let products: HashSet<String> =
                records.present().flat_map(order::product_ids).collect();
            let refunds = async {
                match options.refunds {
                    true => Refunds::of(&catalog, &records, deadline).await,
                    false => Ok(Refunds::default()),
                }
            };
            let paths = catalog.paths(products, deadline);
            let (paths, refunds) = futures_util::future::try_join(paths, refunds).await?;
            Ok(records.into_page(Box::new(move |record, out| {
                if !paths.is_whole() {
                    let products = order::product_ids(record);
                    if paths.has_too_large(&products) {
                        return Err(Skip::ProductTooLarge);
                    }
                    if paths.may_lack(&products) {
                        out.notes.push(Note::UnpublishedProductsUnread);
                    }
                }
                let refund = refunds.of_order(record, out);
                let refund = refund.as_ref();
                documents(record, &paths, &options, trigger_flows, refund, out)
            })))
        })
    }
}

/// Adds the events of an order to the documents; returns the order's id.
///
/// # Errors
/// As [`order::events`].
pub fn documents(
    record: Part<'_>,
    catalog: &dyn CategoryPaths,
    options: &MappingOptions,
    trigger_flows: bool,
    refund: Option<&Refund>,
    out: &mut Documents,
) -> Result<String, Skip> {
    let bytes = &mut out.bytes;
    let events = order::events(record, catalog, options, trigger_flows, refund, bytes)?;
    let left_out = std::iter::repeat_n(Note::EventLeftOut, events.left_out);
    out.notes.extend(left_out);
    if events.is_of_tests {
        out.notes.push(Note::TestAddress);
    }
    if let Some(skip) = events.skipped {
        out.record = RecordOutcome::Skipped(skip);
    }
    if events.email_left_out {
        out.notes.push(Note::EmailLeftOut);
    }
    let profile: Rc<str> = events.profile.into();
    let documents = events.events.into_iter().map(|event| Document {
        endpoint: 0,
        profile: Some(profile.clone()),
        pieces: event.pieces,
        part: None,
        part_note: None,
    });
    out.list.extend(documents);
    Ok(events.id)
}
