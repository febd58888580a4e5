//! Writes the events of an order.

use std::ops::Range;

use jiff::fmt::temporal::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};

use super::categories::CategoryPaths;
use super::event::{EventKind, OrderEvent};
use super::record::{LineItem, Order};
use crate::config::MappingOptions;
use crate::json::pieces::Pieces;
use crate::json::{self, ObjectWriter};
use crate::mapping::properties::Properties;
use crate::mapping::{Skip, limits, money};

/// The usual size of an event without its properties, in bytes.
const USUAL_FRAME: usize = 320;

/// The end of an event, after its properties.
const TAIL: &str = "}}";

/// Writes the events of one order: the properties of the order once, then for each event what is its own.
pub(super) struct Events<'o, 'a> {
    order: &'o Order<'a>,
    profile: &'o str,
    options: &'o MappingOptions,
    trigger_flows: bool,
    out: &'o mut Vec<u8>,
    tail: Range<usize>,
    done: Vec<OrderEvent>,
}

impl<'o, 'a> Events<'o, 'a> {
    pub(super) fn new(
        order: &'o Order<'a>,
        profile: &'o str,
        options: &'o MappingOptions,
        trigger_flows: bool,
        out: &'o mut Vec<u8>,
    ) -> Self {
        out.reserve(order.json.len() + (order.line_items.len() + 2) * USUAL_FRAME);
        let tail = append(out, TAIL);
        Self {
            order,
            profile,
            options,
            trigger_flows,
            out,
            tail,
            done: Vec::with_capacity(order.line_items.len() + 2),
        }
    }

    pub(super) fn write(mut self, catalog: &dyn CategoryPaths) -> Result<Vec<OrderEvent>, Skip> {
        let order = self.order;
        let properties = order.properties(catalog, self.options);
        limits::check_count(properties.len())?;
        properties.values().try_for_each(limits::check_strings)?;
        // before anything of it is written: it may be several times as large as the order
        limits::check_size(properties.values().map(str::len).sum())?;
        let (whole, line_items) = self.properties(&properties);

        self.event(EventKind::PlacedOrder, None, whole.clone())?;
        for item in &order.line_items {
            limits::check_count(item.properties)?;
            limits::check_strings(item.json)?;
            let place = match line_items {
                Some(start) => start + item.place.start..start + item.place.end,
                None => append(self.out, item.json),
            };
            self.event(EventKind::OrderedProduct, Some(item), place)?;
        }
        let states = &self.options.sync.order.states;
        for (kind, states) in [
            (EventKind::FulfilledOrder, &states.fulfilled),
            (EventKind::CancelledOrder, &states.cancelled),
        ] {
            if order.is_in(states) {
                self.event(kind, None, whole.clone())?;
            }
        }
        Ok(self.done)
    }

    /// Appends the properties of the order. Returns their range, and the index where the value of `lineItems` starts,
    /// unless that property is excluded by the configuration.
    fn properties(&mut self, properties: &Properties<'_>) -> (Range<usize>, Option<usize>) {
        let start = self.out.len();
        let mut line_items = None;
        properties.write_noting(self.out, |place, value| {
            if self
                .order
                .line_items_json()
                .is_some_and(|json| std::ptr::eq(json, value))
            {
                line_items = Some(place);
            }
        });
        (start..self.out.len(), line_items)
    }

    /// Adds an event of the order or of one of its line items, whose properties have been appended before.
    fn event(
        &mut self,
        kind: EventKind,
        item: Option<&LineItem<'_>>,
        properties: Range<usize>,
    ) -> Result<(), Skip> {
        let head = self.head(kind, item)?;
        let pieces = Pieces::from([head, properties, self.tail.clone()]);
        limits::check_size(pieces.len() + self.profile.len())?;
        self.done.push(OrderEvent { kind, pieces });
        Ok(())
    }

    /// Appends an event up to its properties.
    fn head(&mut self, kind: EventKind, item: Option<&LineItem<'_>>) -> Result<Range<usize>, Skip> {
        let seconds = i64::try_from(self.done.len()).unwrap_or(i64::MAX);
        let placed_at = Timestamp::from_second(self.order.placed_at.as_second());
        let time = placed_at
            .and_then(|placed_at| placed_at.checked_add(SignedDuration::from_secs(seconds)))
            .map_err(|_| Skip::Malformed {
                missing: "createdAt",
            })?;
        let (unique_id, price) = match item {
            Some(item) => (&item.id, item.total_price),
            None => (&self.order.id, self.order.total_price()),
        };

        let start = append(self.out, r#"{"type":"event","attributes":"#).start;
        let mut attributes = ObjectWriter::open(self.out);
        let out = attributes.key("metric");
        append(out, r#"{"data":{"type":"metric","attributes":{"name":""#);
        append(out, &json::escape(kind.metric(&self.options.sync)));
        append(out, r#""}}}"#);
        let out = attributes.key("time");
        out.push(b'"');
        let printed = DateTimePrinter::new().print_timestamp(&time, &mut *out);
        printed.expect("memory takes all that is written");
        out.push(b'"');
        if let Some((value, currency)) = price.and_then(money::read) {
            attributes.json("value", &value);
            attributes.string("value_currency", &json::escape(&currency));
        }
        attributes.string("unique_id", &json::escape(unique_id));
        if !self.trigger_flows {
            attributes.json("backfill", "true");
        }
        attributes.key("properties");
        Ok(start..self.out.len())
    }
}

/// Appends text and returns its range.
fn append(out: &mut Vec<u8>, text: &str) -> Range<usize> {
    let start = out.len();
    out.extend_from_slice(text.as_bytes());
    start..out.len()
}
