//! Orders as events.

use std::collections::HashSet;
use std::rc::Rc;

use super::catalogue::Catalogue;
use super::page::{Collection, Page};
use super::{Import, JobAnswer, PageQuery};
use crate::api::App;
use crate::commercetools;
use crate::error::Error;
use crate::klaviyo::batch::Lane;
use crate::klaviyo::events;
use crate::mapping::json::Part;
use crate::mapping::order::{self, CategoryPaths};
use crate::mapping::{self, Skip};
use crate::ports::{Deadline, LocalFuture};
use crate::run::cursor::Job;
use crate::run::group::{Document, Documents};
use crate::run::state::Order;

static LANES: [&Lane; 1] = [&events::LANE];

const ORDERS: Collection = Collection {
    operation: "query orders",
    path: "orders",
    parameters: &[],
};

/// The import of orders.
pub struct Orders {
    commercetools: Rc<commercetools::Client>,
    catalogue: Rc<Catalogue>,
    options: Rc<mapping::Options>,
    trigger_flows: bool,
}

impl Orders {
    /// With the clients and options of the app, as the start asked for.
    #[must_use]
    pub fn new(app: &App, order: &Order) -> Self {
        Self {
            commercetools: app.commercetools.clone(),
            catalogue: app.catalogue.clone(),
            options: app.options.clone(),
            trigger_flows: order.trigger_flows,
        }
    }
}

impl Import for Orders {
    fn lanes(&self) -> &'static [&'static Lane] {
        &LANES
    }

    fn batches_a_group(&self) -> usize {
        // events have no jobs to trace back, and an order's events may be spread over two requests: larger groups leave
        // less room in them unused
        4
    }

    fn total(&self, order: &Order, deadline: Deadline) -> LocalFuture<'static, Result<u64, Error>> {
        let (client, order) = (self.commercetools.clone(), order.clone());
        Box::pin(async move { ORDERS.total(&client, &order, deadline).await })
    }

    fn fetch(
        &self,
        query: PageQuery,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Page, Error>> {
        let (client, catalogue, options) = (
            self.commercetools.clone(),
            self.catalogue.clone(),
            self.options.clone(),
        );
        let trigger_flows = self.trigger_flows;
        Box::pin(async move {
            let records = ORDERS.read(&client, &query, deadline).await?;
            let products: HashSet<String> =
                records.present().flat_map(order::product_ids).collect();
            let paths = catalogue.paths(products, deadline).await?;
            Ok(records.into_page(Box::new(move |record, out| {
                documents(record, &paths, &options, trigger_flows, out)
            })))
        })
    }

    fn ask(
        &self,
        _job: Job,
        _deadline: Deadline,
    ) -> LocalFuture<'static, Result<JobAnswer, Error>> {
        // Klaviyo answers a bulk creation of events with a bare 202: there is no job to ask
        Box::pin(async { Ok(JobAnswer::Unknown) })
    }
}

/// Adds the events of an order to the documents; gives its id.
///
/// # Errors
/// As [`order::events`].
pub fn documents(
    record: Part<'_>,
    catalogue: &dyn CategoryPaths,
    options: &mapping::Options,
    trigger_flows: bool,
    out: &mut Documents,
) -> Result<String, Skip> {
    let events = order::events(record, catalogue, options, trigger_flows, &mut out.bytes)?;
    let profile: Rc<str> = events.profile.into();
    let documents = events.events.into_iter().map(|event| Document {
        lane: 0,
        profile: Some(profile.clone()),
        place: event.place,
        part: None,
    });
    out.list.extend(documents);
    Ok(events.id)
}
