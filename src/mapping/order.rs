//! An order becomes events.
//!
//! Most of an order's bytes go into its events as they stand: the whole order into Placed, Fulfilled and Cancelled
//! Order, each line item into an Ordered Product. One pass finds the order's members, one more those of a line item.

use std::collections::HashSet;
use std::ops::Range;

use indexmap::IndexSet;
use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;

use super::json::{self, Object, ObjectWriter, Text};
use super::properties::{self, Properties};
use super::{Options, Skip, limits, locale, money};
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
pub fn product_ids(order: &RawValue) -> Vec<String> {
    let [items] = json::pick(order, ["lineItems"]).unwrap_or_default();
    let ids: IndexSet<String> = json::array(items)
        .into_iter()
        .filter_map(|item| json::pick(item, ["productId"]))
        .filter_map(|[id]| json::id(id))
        .collect();
    ids.into_iter().collect()
}

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
    pub range: Range<usize>,
    /// With profile and metric, what makes Klaviyo count it once: the id of the order or of the line item.
    pub unique_id: String,
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
pub fn events(
    order: &RawValue,
    catalogue: &dyn CategoryPaths,
    options: &Options,
    trigger_flows: bool,
    out: &mut Vec<u8>,
) -> Result<OrderEvents, Skip> {
    let start = out.len();
    let events = Order::read(order).and_then(|order| {
        let profile = order.profile()?;
        let mut events = Events {
            order: &order,
            profile: &profile,
            options,
            trigger_flows,
            out,
            done: Vec::new(),
        };
        events.write(catalogue)?;
        let events = events.done;
        Ok(OrderEvents {
            id: order.id,
            profile,
            events,
        })
    });
    if events.is_err() {
        out.truncate(start);
    }
    events
}

/// An order, as far as it is looked at.
struct Order<'a> {
    id: String,
    placed_at: Timestamp,
    members: Object<'a>,
    line_items: Vec<LineItem<'a>>,
}

/// A line item, as far as it is looked at.
struct LineItem<'a> {
    json: &'a str,
    properties: usize,
    id: String,
    product_id: Option<String>,
    name: Option<&'a RawValue>,
    total_price: Option<&'a RawValue>,
}

impl<'a> Order<'a> {
    fn read(order: &'a RawValue) -> Result<Self, Skip> {
        let members = json::object(order).ok_or(Skip::Malformed {
            missing: "an order",
        })?;
        let id = json::id(members.get("id").copied()).ok_or(Skip::Malformed { missing: "id" })?;
        let placed_at = members
            .get("createdAt")
            .and_then(|created_at| Text::read(created_at))
            .and_then(|created_at| created_at.decoded().parse::<Timestamp>().ok())
            .ok_or(Skip::Malformed {
                missing: "createdAt",
            })?;
        let line_items = json::array(members.get("lineItems").copied())
            .into_iter()
            .map(LineItem::read)
            .collect::<Result<Vec<_>, _>>()?;
        // Klaviyo refuses a request that names an event twice.
        let mut ids = HashSet::new();
        if !line_items.iter().all(|item| ids.insert(&item.id)) {
            return Err(Skip::Malformed {
                missing: "lineItems[].id (each its own)",
            });
        }
        Ok(Self {
            id,
            placed_at,
            members,
            line_items,
        })
    }

    fn text(&self, key: &str) -> Option<Text<'a>> {
        Text::read_filled(self.members.get(key).copied())
    }

    fn profile(&self) -> Result<String, Skip> {
        let (email, customer) = (self.text("customerEmail"), self.text("customerId"));
        if email.is_none() && customer.is_none() {
            return Err(Skip::NoIdentifier);
        }
        let member = |key: &str, text: Option<Text<'_>>| {
            text.map(|text| format!(r#""{key}":"{}""#, text.escaped()))
        };
        let attributes: Vec<String> = [member("email", email), member("external_id", customer)]
            .into_iter()
            .flatten()
            .collect();
        Ok(format!(
            r#"{{"type":"profile","attributes":{{{}}}}}"#,
            attributes.join(",")
        ))
    }

    /// The allowed properties of the order, then its custom fields beside them, then the lists.
    fn properties<'o>(&self, catalogue: &dyn CategoryPaths, options: &'o Options) -> Properties<'o>
    where
        'a: 'o,
    {
        let rules = &options.sync.order;
        let mut properties = Properties::default();
        properties.add_allowed(&self.members, &rules.properties);
        if let Some(fields) = properties::custom_fields(self.members.get("custom").copied()) {
            properties.add_allowed(&fields, &rules.custom_fields);
        }
        properties.set(
            "ItemNames",
            self.item_names(options.preferred_locale.as_deref()),
        );
        properties.set("Categories", self.categories(catalogue));
        properties
    }

    fn item_names(&self, preferred_locale: Option<&str>) -> String {
        let custom_line_items = json::array(self.members.get("customLineItems").copied());
        let custom_names = custom_line_items
            .into_iter()
            .filter_map(|item| json::pick(item, ["name"]))
            .filter_map(|[name]| name);
        let names: IndexSet<&str> = self
            .line_items
            .iter()
            .filter_map(|item| item.name)
            .chain(custom_names)
            .filter_map(|name| locale::localized(name, preferred_locale))
            .map(Text::escaped)
            .collect();
        list(names)
    }

    /// Products stand in the order of their ids, as in the answers of the queries that fetch them.
    fn categories(&self, catalogue: &dyn CategoryPaths) -> String {
        let mut products: Vec<&str> = self
            .line_items
            .iter()
            .filter_map(|item| item.product_id.as_deref())
            .collect();
        products.sort_unstable();
        products.dedup();
        let paths: IndexSet<&str> = products
            .into_iter()
            .filter_map(|id| catalogue.paths(id))
            .flatten()
            .map(String::as_str)
            .collect();
        list(paths.into_iter().map(json::escape))
    }

    fn is_in(&self, states: &[String]) -> bool {
        self.text("orderState")
            .is_some_and(|state| states.iter().any(|name| *name == state.decoded()))
    }
}

impl<'a> LineItem<'a> {
    fn read(item: &'a RawValue) -> Result<Self, Skip> {
        let ([id, product_id, name, total_price], properties) =
            json::pick_and_count(item, ["id", "productId", "name", "totalPrice"]).ok_or(
                Skip::Malformed {
                    missing: "lineItems[]",
                },
            )?;
        let id = json::id(id).ok_or(Skip::Malformed {
            missing: "lineItems[].id",
        })?;
        Ok(Self {
            json: item.get(),
            properties,
            id,
            product_id: json::id(product_id),
            name,
            total_price,
        })
    }
}

/// A list of strings, escaped already, as JSON text.
fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = texts
        .into_iter()
        .map(|text| format!("\"{}\"", text.as_ref()))
        .collect();
    format!("[{}]", texts.join(","))
}

/// Writes the events of one order.
struct Events<'o, 'a> {
    order: &'o Order<'a>,
    profile: &'o str,
    options: &'o Options,
    trigger_flows: bool,
    out: &'o mut Vec<u8>,
    done: Vec<OrderEvent>,
}

impl Events<'_, '_> {
    fn write(&mut self, catalogue: &dyn CategoryPaths) -> Result<(), Skip> {
        let order = self.order;
        let properties = order.properties(catalogue, self.options);
        limits::check_count(properties.len())?;
        properties.values().try_for_each(limits::check_strings)?;
        let mut written = Vec::new();
        properties.write(&mut written);

        self.event(EventKind::PlacedOrder, None, &written)?;
        for item in &order.line_items {
            limits::check_count(item.properties)?;
            limits::check_strings(item.json)?;
            self.event(EventKind::OrderedProduct, Some(item), item.json.as_bytes())?;
        }
        let states = &self.options.sync.order.states;
        if order.is_in(&states.fulfilled) {
            self.event(EventKind::FulfilledOrder, None, &written)?;
        }
        if order.is_in(&states.cancelled) {
            self.event(EventKind::CancelledOrder, None, &written)?;
        }
        Ok(())
    }

    /// Appends one event, of the order or of one of its line items.
    fn event(
        &mut self,
        kind: EventKind,
        item: Option<&LineItem<'_>>,
        properties: &[u8],
    ) -> Result<(), Skip> {
        let start = self.out.len();
        let seconds = i64::try_from(self.done.len()).unwrap_or(i64::MAX);
        let placed_at = Timestamp::from_second(self.order.placed_at.as_second());
        let time = placed_at
            .and_then(|placed_at| placed_at.checked_add(SignedDuration::from_secs(seconds)))
            .map_err(|_| Skip::Malformed {
                missing: "createdAt",
            })?;
        let unique_id = item.map_or(&self.order.id, |item| &item.id);
        let price = match item {
            Some(item) => item.total_price,
            None => self.order.members.get("totalPrice").copied(),
        };
        let metric = json::escape(kind.metric(&self.options.sync));

        self.out
            .extend_from_slice(br#"{"type":"event","attributes":"#);
        let mut attributes = ObjectWriter::open(self.out);
        attributes.json(
            "metric",
            &format!(r#"{{"data":{{"type":"metric","attributes":{{"name":"{metric}"}}}}}}"#),
        );
        attributes.string("time", &time.to_string());
        if let Some((value, currency)) = price.and_then(money::read) {
            attributes.json("value", &value);
            attributes.string("value_currency", &json::escape(&currency));
        }
        attributes.string("unique_id", &json::escape(unique_id));
        if !self.trigger_flows {
            attributes.json("backfill", "true");
        }
        attributes.key("properties").extend_from_slice(properties);
        attributes.close();
        self.out.push(b'}');

        limits::check_size(self.out.len() - start + self.profile.len())?;
        self.done.push(OrderEvent {
            kind,
            range: start..self.out.len(),
            unique_id: unique_id.clone(),
        });
        Ok(())
    }
}
