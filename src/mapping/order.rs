//! An order becomes events.
//!
//! Most of an order's bytes go into its events as they stand: the whole order into Placed, Fulfilled and Cancelled
//! Order, each line item into an Ordered Product. One walk finds the order's members and those of its line items.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use indexmap::IndexSet;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};

use super::json::{self, Object, ObjectWriter, Part, Text, Walk};
use super::properties::{self, Properties};
use super::{Options, Skip, limits, locale, money};
use crate::config::sync::SyncConfig;

/// The categories of products, as `Categories` lists them. What the catalogue knows was fetched before.
pub trait CategoryPaths {
    /// The [`paths`] of each of the product's current categories, one after the other; `None` where the product is gone.
    fn paths(&self, product_id: &str) -> Option<&[String]>;
}

/// Every path prefix of a category, from the root down, by the localized names of its ancestors (root first) and its
/// own: `Women`, `Women > Pants`, `Women > Pants > Jeans`.
#[must_use]
pub fn paths(names: &[String]) -> Vec<String> {
    (1..=names.len())
        .map(|depth| names[..depth].join(" > "))
        .collect()
}

/// The ids of the products that an order's line items are of, each once, in order of appearance.
#[must_use]
pub fn product_ids<'a>(order: impl Into<Part<'a>>) -> Vec<String> {
    let mut ids = Texts::new();
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
type Texts<'a> = IndexSet<Cow<'a, str>>;

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
    json: &'a str,
    id: String,
    placed_at: Timestamp,
    members: Object<'a>,
    line_items: Vec<LineItem<'a>>,
}

/// A line item, as far as it is looked at.
struct LineItem<'a> {
    json: &'a str,
    properties: usize,
    id: Cow<'a, str>,
    product_id: Option<Cow<'a, str>>,
    name: Option<Part<'a>>,
    total_price: Option<Part<'a>>,
}

/// How many members most orders have at most.
const USUAL_MEMBERS: usize = 48;

impl<'a> Order<'a> {
    fn read(order: Part<'a>) -> Result<Self, Skip> {
        let mut members = Object::with_capacity(USUAL_MEMBERS);
        let mut line_items = Ok(Vec::new());
        order.walk().object(|key, walk| {
            let value = if key == "lineItems" {
                let (items, value) = LineItem::read_all(walk);
                line_items = items;
                value
            } else {
                walk.value()
            };
            members.insert(key, value);
        });
        let missing = |missing| Skip::Malformed { missing };
        if !order.is_object() {
            return Err(missing("an order"));
        }
        let id = members.get("id").copied().and_then(Part::id);
        let id = id.ok_or(missing("id"))?.into_owned();
        let created_at = members.get("createdAt").and_then(|part| part.text());
        let placed_at = created_at
            .and_then(|created_at| created_at.decoded().parse::<Timestamp>().ok())
            .ok_or(missing("createdAt"))?;
        let line_items = line_items?;
        // Klaviyo refuses a request that names an event twice.
        let mut ids: HashSet<&str> = HashSet::new();
        if !line_items.iter().all(|item| ids.insert(&item.id)) {
            return Err(missing("lineItems[].id (each its own)"));
        }
        Ok(Self {
            json: order.get(),
            id,
            placed_at,
            members,
            line_items,
        })
    }

    fn text(&self, key: &str) -> Option<Text<'a>> {
        self.members.get(key).and_then(|part| part.filled_text())
    }

    fn profile(&self) -> Result<String, Skip> {
        let (email, customer) = (self.text("customerEmail"), self.text("customerId"));
        if email.is_none() && customer.is_none() {
            return Err(Skip::NoIdentifier);
        }
        let mut profile = br#"{"type":"profile","attributes":"#.to_vec();
        let mut attributes = ObjectWriter::open(&mut profile);
        attributes.text("email", email);
        attributes.text("external_id", customer);
        attributes.close();
        profile.push(b'}');
        Ok(String::from_utf8(profile).expect("what is put together from strings is UTF-8"))
    }

    /// The allowed properties of the order, then its custom fields beside them, then the lists.
    fn properties<'o>(&self, catalogue: &dyn CategoryPaths, options: &'o Options) -> Properties<'o>
    where
        'a: 'o,
    {
        let rules = &options.sync.order;
        let mut properties = Properties::default();
        properties.add_allowed(&self.members, &rules.properties);
        let custom = self.members.get("custom").copied();
        if let Some(fields) = custom.and_then(properties::custom_fields) {
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
        let of_items = self.line_items.iter().filter_map(|item| item.name);
        let names: Texts<'_> = of_items
            .chain(self.custom_line_item_names())
            .filter_map(|name| locale::localized(name, preferred_locale))
            .map(|name| Cow::Borrowed(name.escaped()))
            .collect();
        list(names)
    }

    fn custom_line_item_names(&self) -> Vec<Part<'a>> {
        let mut names = Vec::new();
        if let Some(items) = self.members.get("customLineItems") {
            items.walk().array(|walk| {
                let (_, [name]) = walk.pick(["name"]);
                names.extend(name);
            });
        }
        names
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
    /// The line items that the value here lists, none where it is no array; and the value itself.
    fn read_all(walk: &mut Walk<'a>) -> (Result<Vec<Self>, Skip>, Part<'a>) {
        let mut items = Ok(Vec::new());
        let value = walk.array(|walk| {
            if let Ok(read) = &mut items {
                match Self::read(walk) {
                    Ok(item) => read.push(item),
                    Err(skip) => items = Err(skip),
                }
            }
        });
        (items, value)
    }

    fn read(walk: &mut Walk<'a>) -> Result<Self, Skip> {
        let [mut id, mut product_id, mut name, mut total_price] = [None; 4];
        let mut properties = 0;
        let item = walk.object(|key, walk| {
            properties += 1;
            let member = match &*key {
                "id" => &mut id,
                "productId" => &mut product_id,
                "name" => &mut name,
                "totalPrice" => &mut total_price,
                _ => return,
            };
            *member = Some(walk.value());
        });
        let missing = |missing| Skip::Malformed { missing };
        if !item.is_object() {
            return Err(missing("lineItems[]"));
        }
        let id = id.and_then(Part::id);
        Ok(Self {
            json: item.get(),
            properties,
            id: id.ok_or(missing("lineItems[].id"))?,
            product_id: product_id.and_then(Part::id),
            name,
            total_price,
        })
    }
}

/// A list of strings, escaped already, as JSON text.
fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let mut list = String::from("[");
    for text in texts {
        if list.len() > 1 {
            list.push(',');
        }
        list.push('"');
        list.push_str(text.as_ref());
        list.push('"');
    }
    list.push(']');
    list
}

/// What an event has beside its properties, in bytes, as a rule.
const USUAL_FRAME: usize = 320;

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
        let states = &self.options.sync.order.states;
        let ends = [
            (EventKind::FulfilledOrder, &states.fulfilled),
            (EventKind::CancelledOrder, &states.cancelled),
        ]
        .into_iter()
        .filter(|(_, states)| order.is_in(states))
        .map(|(kind, _)| kind);
        self.reserve(1 + ends.clone().count());

        let mut placed = 0..0;
        self.event(EventKind::PlacedOrder, None, |out| {
            let start = out.len();
            properties.write(out);
            placed = start..out.len();
        })?;
        for item in &order.line_items {
            limits::check_count(item.properties)?;
            limits::check_strings(item.json)?;
            self.event(EventKind::OrderedProduct, Some(item), |out| {
                out.extend_from_slice(item.json.as_bytes());
            })?;
        }
        for kind in ends {
            self.event(kind, None, |out| out.extend_from_within(placed.clone()))?;
        }
        Ok(())
    }

    /// Makes room for all events at once, so many of them with the whole order.
    fn reserve(&mut self, whole: usize) {
        let items = &self.order.line_items;
        let frames = (whole + items.len()) * USUAL_FRAME;
        let items: usize = items.iter().map(|item| item.json.len()).sum();
        self.out
            .reserve(whole * self.order.json.len() + items + frames);
    }

    /// Appends one event, of the order or of one of its line items.
    fn event(
        &mut self,
        kind: EventKind,
        item: Option<&LineItem<'_>>,
        write_properties: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Skip> {
        let start = self.out.len();
        let seconds = i64::try_from(self.done.len()).unwrap_or(i64::MAX);
        let placed_at = Timestamp::from_second(self.order.placed_at.as_second());
        let time = placed_at
            .and_then(|placed_at| placed_at.checked_add(SignedDuration::from_secs(seconds)))
            .map_err(|_| Skip::Malformed {
                missing: "createdAt",
            })?;
        let unique_id = item.map_or(&*self.order.id, |item| &item.id);
        let price = match item {
            Some(item) => item.total_price,
            None => self.order.members.get("totalPrice").copied(),
        };
        let metric = json::escape(kind.metric(&self.options.sync));

        self.out
            .extend_from_slice(br#"{"type":"event","attributes":"#);
        let mut attributes = ObjectWriter::open(self.out);
        let out = attributes.key("metric");
        out.extend_from_slice(br#"{"data":{"type":"metric","attributes":{"name":""#);
        out.extend_from_slice(metric.as_bytes());
        out.extend_from_slice(br#""}}}"#);
        attributes.string("time", &DateTimePrinter::new().timestamp_to_string(&time));
        if let Some((value, currency)) = price.and_then(money::read) {
            attributes.json("value", &value);
            attributes.string("value_currency", &json::escape(&currency));
        }
        attributes.string("unique_id", &json::escape(unique_id));
        if !self.trigger_flows {
            attributes.json("backfill", "true");
        }
        write_properties(attributes.key("properties"));
        attributes.close();
        self.out.push(b'}');

        limits::check_size(self.out.len() - start + self.profile.len())?;
        self.done.push(OrderEvent {
            kind,
            range: start..self.out.len(),
            unique_id: unique_id.to_owned(),
        });
        Ok(())
    }
}
