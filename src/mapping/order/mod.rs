//! Maps an order to events.
//!
//! Most of an order's bytes are copied into its events unchanged: the whole order into Placed, Fulfilled and Cancelled
//! Order, each line item into an Ordered Product. One pass finds the order's members and those of its line items, and
//! the order is written once, for all of its events.

mod categories;
mod event;
mod events;
mod record;
mod refund;

use std::borrow::Cow;

use foldhash::fast::RandomState;
use indexmap::IndexSet;

pub use self::categories::{CategoryPaths, paths};
pub use self::event::{EventKind, OrderEvent, OrderEvents};
use self::events::{Events, Written};
use self::record::{Order, OrderProfile};
pub use self::refund::{PaymentRefunds, Refund, payment_ids, refund_of};
use super::Skip;
use crate::config::MappingOptions;
use crate::json::Part;

/// The ids of the products of an order's line items, each once, in order of appearance.
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

/// Appends all events of an order to `out`, each `{"type":"event","attributes":{...}}`, an entry of
/// `event-bulk-create-jobs`: Placed Order, an Ordered Product for each line item, then Fulfilled Order and Cancelled
/// Order if the order's state counts as such. Each is one second later than the one before; the
/// first has the order's `createdAt`, or its `completedAt`, which only an imported order has: when it was placed in the
/// shop that it comes from. With a `refund` there is a Refunded Order, at its own moment.
///
/// An event that exceeds a limit of Klaviyo's is left out: Klaviyo would drop it without telling anybody.
///
/// With `trigger_flows` the events trigger the account's flows, as current events do; without, they are history
/// (`"backfill": true`).
///
/// # Errors
/// If the order has no profile, lacks a member that its events need, or all events exceed a limit of Klaviyo's. Then
/// nothing is appended.
pub fn events<'a>(
    order: impl Into<Part<'a>>,
    catalog: &dyn CategoryPaths,
    options: &MappingOptions,
    trigger_flows: bool,
    refund: Option<&Refund>,
    out: &mut Vec<u8>,
) -> Result<OrderEvents, Skip> {
    let start = out.len();
    let events = Order::read(order.into()).and_then(|order| {
        let OrderProfile {
            json: profile,
            email_left_out,
            is_of_tests,
        } = order.profile()?;
        let events = Events::new(&order, &profile, options, trigger_flows, out);
        let Written {
            events,
            skipped,
            left_out,
        } = events.write(catalog, refund)?;
        Ok(OrderEvents {
            id: order.id.into_owned(),
            profile,
            email_left_out,
            is_of_tests,
            events,
            skipped,
            left_out,
        })
    });
    if events.is_err() {
        out.truncate(start);
    }
    events
}
