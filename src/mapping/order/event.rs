//! The events of an order.

use crate::config::sync::SyncConfig;
use crate::json::pieces::Pieces;
use crate::mapping::Skip;

/// The events of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderEvents {
    /// The order's id.
    pub id: String,
    /// The profile that the events belong to, as JSON text: `{"type":"profile","attributes":{...}}`.
    pub profile: String,
    /// Whether the order has an email that was left out, because it is longer than Klaviyo accepts.
    pub email_left_out: bool,
    /// Whether Klaviyo drops the events because of the email's domain.
    pub is_of_tests: bool,
    /// The events, sorted by time.
    pub events: Vec<OrderEvent>,
    /// Why Placed Order is not among them, if it exceeds a limit of Klaviyo's: then the order counts as skipped.
    pub skipped: Option<Skip>,
    /// How many others are not among them, because they exceed a limit of Klaviyo's.
    pub left_out: usize,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderEvent {
    /// The kind of event.
    pub kind: EventKind,
    /// Its bytes in the buffer that it was appended to.
    pub pieces: Pieces,
}

/// The kinds of events that an order is mapped to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// For each order.
    PlacedOrder,
    /// For each line item.
    OrderedProduct,
    /// For an order in one of the states that count as fulfilled.
    FulfilledOrder,
    /// For an order in one of the states that count as cancelled.
    CancelledOrder,
    /// For an order with successful refunds, if these are wanted.
    RefundedOrder,
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
            Self::RefundedOrder => &metrics.refunded,
        }
    }
}
