//! An order becomes events.
//!
//! Most of an order's bytes go into its events as they stand: the whole order into Placed, Fulfilled and Cancelled
//! Order, each line item into an Ordered Product. One walk finds the order's members and those of its line items, and
//! the order is written once, however many events are made of it.

mod events;
mod record;

use std::borrow::Cow;

use foldhash::fast::RandomState;
use indexmap::IndexSet;

use self::events::Events;
use self::record::Order;
use super::json::Part;
use super::pieces::Pieces;
use super::{Options, Skip};
use crate::config::sync::SyncConfig;

/// The categories of products, as `Categories` lists them. What the catalogue knows was fetched before.
pub trait CategoryPaths {
    /// The [`paths`] of each of the product's current categories, one after the other, each once; `None` where the product is gone.
    fn paths(&self, product_id: &str) -> Option<&[String]>;
}

/// Every path prefix of a category, from the root down, by the localized names of its ancestors (root first) and its
/// own: `Women`, `Women > Pants`, `Women > Pants > Jeans`.
pub fn paths(names: &[String]) -> impl Iterator<Item = String> {
    (1..=names.len()).map(|depth| names[..depth].join(" > "))
}

/// The ids of the products that an order's line items are of, each once, in order of appearance.
#[must_use]
pub fn product_ids<'a>(order: impl Into<Part<'a>>) -> Vec<String> {
    let mut ids = Texts::default();
    order.into().walk().object(|key, walk| {
        if key == "lineItems" {
            ids.clear();
            walk.array(|walk| {
                let (_, [id]) = walk.pick(["productId"]);
                ids.extend(id.and_then(Part::id));
            });
        }
    });
    ids.into_iter().map(Cow::into_owned).collect()
}

/// Texts, each once, in order of appearance.
type Texts<'a> = IndexSet<Cow<'a, str>, RandomState>;

/// The events of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderEvents {
    /// The order's id.
    pub id: String,
    /// Whose events they are, as JSON text: `{"type":"profile","attributes":{...}}`.
    pub profile: String,
    /// The events, in the order of their times.
    pub events: Vec<OrderEvent>,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderEvent {
    /// Which of the order's events it is.
    pub kind: EventKind,
    /// Where it stands in the buffer that it was appended to.
    pub place: Pieces,
}

/// The events that orders become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Each order.
    PlacedOrder,
    /// Each line item.
    OrderedProduct,
    /// An order in one of the states that count as fulfilled.
    FulfilledOrder,
    /// An order in one of the states that count as cancelled.
    CancelledOrder,
}

impl EventKind {
    /// The name of its metric, as configured.
    #[must_use]
    pub fn metric(self, sync: &SyncConfig) -> &str {
        let metrics = &sync.order.metrics;
        match self {
            Self::PlacedOrder => &metrics.placed,
            Self::OrderedProduct => &metrics.ordered_product,
            Self::FulfilledOrder => &metrics.fulfilled,
            Self::CancelledOrder => &metrics.cancelled,
        }
    }
}

/// Appends all events of an order to `out`, each `{"type":"event","attributes":{...}}`, an entry of
/// `event-bulk-create-jobs`: Placed Order, an Ordered Product for each line item, then Fulfilled and Cancelled Order as
/// the order's state has it, each a second after the one before.
///
/// With `trigger_flows` they set off the flows of the account, as events of today do; without, they are history
/// (`"backfill": true`).
///
/// # Errors
/// Where the order has no profile, lacks what its events need, or one of them breaks a limit of Klaviyo's: then nothing
/// is appended, for an order is imported whole or not at all.
pub fn events<'a>(
    order: impl Into<Part<'a>>,
    catalogue: &dyn CategoryPaths,
    options: &Options,
    trigger_flows: bool,
    out: &mut Vec<u8>,
) -> Result<OrderEvents, Skip> {
    let start = out.len();
    let events = Order::read(order.into()).and_then(|order| {
        let profile = order.profile()?;
        let events = Events::new(&order, &profile, options, trigger_flows, out);
        let events = events.write(catalogue)?;
        Ok(OrderEvents {
            id: order.id.into_owned(),
            profile,
            events,
        })
    });
    if events.is_err() {
        out.truncate(start);
    }
    events
}
