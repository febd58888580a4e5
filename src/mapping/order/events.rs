//! Writes the events of an order.

use std::ops::Range;

use jiff::fmt::temporal::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};

use super::categories::CategoryPaths;
use super::event::{EventKind, OrderEvent};
use super::record::{LineItem, Order};
use super::refund::Refund;
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
    /// How many seconds the next event is later than the first.
    seconds: i64,
}

/// What was written of an order.
pub(super) struct Written {
    pub(super) events: Vec<OrderEvent>,
    /// Why Placed Order is not among them.
    pub(super) skipped: Option<Skip>,
    /// How many others are not among them.
    pub(super) left_out: usize,
}

impl<'o, 'a> Events<'o, 'a> {
    pub(super) fn new(
        order: &'o Order<'a>,
        profile: &'o str,
        options: &'o MappingOptions,
        trigger_flows: bool,
        out: &'o mut Vec<u8>,
    ) -> Self {
        // a larger order is not written as a whole
        let whole = order.json.len().min(limits::MAX_PAYLOAD_BYTES);
        out.reserve(whole + (order.line_items.len() + 2) * USUAL_FRAME);
        let tail = append(out, TAIL);
        Self {
            order,
            profile,
            options,
            trigger_flows,
            out,
            tail,
            done: Vec::with_capacity(order.line_items.len() + 2),
            seconds: 0,
        }
    }

    /// Writes the events. One that exceeds a limit is left out, and the others keep their times.
    ///
    /// # Errors
    /// If the profile exceeds a limit, or if there is no event left.
    pub(super) fn write(
        mut self,
        catalog: &dyn CategoryPaths,
        refund: Option<&Refund>,
    ) -> Result<Written, Skip> {
        limits::check_profile(self.profile.len())?;
        let order = self.order;
        let properties = order.properties(catalog, self.options);
        let whole = check_whole(&properties).map(|()| self.properties(&properties));
        let line_items = whole.as_ref().map_or(None, |(_, start)| *start);
        if line_items.is_none() {
            let bytes = order.line_items.iter().map(|item| item.json.len());
            self.out
                .reserve_exact(bytes.sum::<usize>() + order.line_items.len() * USUAL_FRAME);
        }
        let whole = whole.map(|(place, _)| place);
        let mut left_out = 0;
        let placed = whole
            .clone()
            .and_then(|place| self.event(EventKind::PlacedOrder, None, place));
        let skipped = placed.err();
        if let Some(skip @ Skip::Malformed { .. }) = skipped {
            return Err(skip);
        }
        self.seconds += 1;
        for item in &order.line_items {
            let written = self
                .line_item(item, line_items)
                .and_then(|place| self.event(EventKind::OrderedProduct, Some(item), place));
            left_out += left_out_of(written)?;
            self.seconds += 1;
        }
        let states = &self.options.sync.order.states;
        // what is wrong with the whole order has been said of Placed Order
        for (kind, states) in [
            (EventKind::FulfilledOrder, &states.fulfilled),
            (EventKind::CancelledOrder, &states.cancelled),
        ] {
            if order.is_in(states) {
                if let Ok(place) = &whole {
                    let written = self.event(kind, None, place.clone());
                    left_out += left_out_of(written)?;
                }
                self.seconds += 1;
            }
        }
        if let (Some(refund), Ok(place)) = (refund, &whole) {
            let written = self.refund(refund, place.clone());
            left_out += left_out_of(written)?;
        }
        match (self.done.is_empty(), skipped) {
            (true, Some(skip)) => Err(skip),
            (_, skipped) => Ok(Written {
                events: self.done,
                skipped,
                left_out,
            }),
        }
    }

    /// The properties of a line item's event: within those of the order, whose `lineItems` begin at `within`, or appended
    /// where the order has none.
    fn line_item(
        &mut self,
        item: &LineItem<'_>,
        within: Option<usize>,
    ) -> Result<Range<usize>, Skip> {
        limits::check_count(item.properties)?;
        limits::check_strings(item.json)?;
        Ok(match within {
            // its values have been checked with the order's, where they are two levels deeper
            Some(start) => start + item.place.start..start + item.place.end,
            None => {
                limits::check_value(item.json, 0)?;
                limits::check_size(item.json.len())?;
                append(self.out, item.json)
            }
        })
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
        let placed_at = Timestamp::from_second(self.order.placed_at.as_second());
        let time = placed_at
            .and_then(|placed_at| placed_at.checked_add(SignedDuration::from_secs(self.seconds)))
            .map_err(|_| Skip::Malformed {
                missing: "createdAt",
            })?;
        let (unique_id, price) = match item {
            Some(item) => (&item.id, item.total_price),
            None => (&self.order.id, self.order.total_price()),
        };
        let value = price.and_then(money::read);
        let value = value
            .as_ref()
            .map(|(value, currency)| (&**value, &**currency));
        let head = self.head(kind, unique_id, time, value)?;
        self.add(kind, head, properties)
    }

    /// Adds the event of a refund.
    fn refund(&mut self, refund: &Refund, properties: Range<usize>) -> Result<(), Skip> {
        let at = refund.at.unwrap_or(self.order.modified_at());
        let value = Some((&*refund.amount, &*refund.currency));
        let head = self.head(EventKind::RefundedOrder, &self.order.id, at, value)?;
        self.add(EventKind::RefundedOrder, head, properties)
    }

    fn add(
        &mut self,
        kind: EventKind,
        head: Range<usize>,
        properties: Range<usize>,
    ) -> Result<(), Skip> {
        let pieces = Pieces::from([head, properties, self.tail.clone()]);
        limits::check_size(pieces.len() + self.profile.len())?;
        self.done.push(OrderEvent { kind, pieces });
        Ok(())
    }

    /// Appends an event up to its properties.
    fn head(
        &mut self,
        kind: EventKind,
        unique_id: &str,
        time: Timestamp,
        value: Option<(&str, &str)>,
    ) -> Result<Range<usize>, Skip> {
        limits::check_id(unique_id)?;
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
        if let Some((value, currency)) = value {
            attributes.json("value", value);
            attributes.string("value_currency", &json::escape(currency));
        }
        attributes.string("unique_id", &json::escape(unique_id));
        if !self.trigger_flows {
            attributes.json("backfill", "true");
        }
        attributes.key("properties");
        Ok(start..self.out.len())
    }
}

/// 1 for an event that exceeds a limit, and so is left out.
fn left_out_of(written: Result<(), Skip>) -> Result<usize, Skip> {
    match written {
        Ok(()) => Ok(0),
        Err(skip @ Skip::Malformed { .. }) => Err(skip),
        Err(_) => Ok(1),
    }
}

/// Checks the properties of the events that have the whole order.
fn check_whole(properties: &Properties<'_>) -> Result<(), Skip> {
    limits::check_count(properties.len())?;
    properties.values().try_for_each(|value| {
        limits::check_strings(value)?;
        limits::check_value(value, 1)
    })?;
    // before anything of it is written: it may be several times as large as the order
    limits::check_size(properties.values().map(str::len).sum())
}

/// Appends text and returns its range.
fn append(out: &mut Vec<u8>, text: &str) -> Range<usize> {
    let start = out.len();
    out.extend_from_slice(text.as_bytes());
    start..out.len()
}
