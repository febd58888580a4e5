//! An order becomes events.
//!
//! Most of an order's bytes go into its events as they stand: the whole order into Placed, Fulfilled and Cancelled
//! Order, each line item into an Ordered Product. One walk finds the order's members and those of its line items, and
//! the order is written once, however many events are made of it.

mod categories;
mod event;
mod events;
mod record;

use std::borrow::Cow;

use foldhash::fast::RandomState;
use indexmap::IndexSet;

pub use self::categories::{CategoryPaths, paths};
pub use self::event::{EventKind, OrderEvent, OrderEvents};
use self::events::Events;
use self::record::Order;
use super::Skip;
use crate::config::MappingOptions;
use crate::json::Part;

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
    catalog: &dyn CategoryPaths,
    options: &MappingOptions,
    trigger_flows: bool,
    out: &mut Vec<u8>,
) -> Result<OrderEvents, Skip> {
    let start = out.len();
    let events = Order::read(order.into()).and_then(|order| {
        let profile = order.profile()?;
        let events = Events::new(&order, &profile, options, trigger_flows, out);
        let events = events.write(catalog)?;
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
