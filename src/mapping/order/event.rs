//! The events that an order becomes.

use crate::config::sync::SyncConfig;
use crate::json::pieces::Pieces;

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
    /// Which bytes it has of the buffer that it was appended to.
    pub pieces: Pieces,
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
