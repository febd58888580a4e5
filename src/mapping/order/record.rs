//! An order, with the members that the mapping reads.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use foldhash::fast::RandomState;
use indexmap::IndexSet;
use jiff::Timestamp;

use super::categories::CategoryPaths;
use crate::config::MappingOptions;
use crate::json::{self, Object, ObjectWriter, Part, Text, Walk};
use crate::mapping::email::{self, Email};
use crate::mapping::properties::{self, Properties};
use crate::mapping::{Skip, locale};

/// An order, with the members that the mapping reads.
pub(super) struct Order<'a> {
    pub(super) json: &'a str,
    pub(super) id: Cow<'a, str>,
    pub(super) placed_at: Timestamp,
    pub(super) line_items: Vec<LineItem<'a>>,
    members: Object<'a>,
}

/// A line item, with the members that the mapping reads.
pub(super) struct LineItem<'a> {
    pub(super) json: &'a str,
    /// Its range within the text of the order's `lineItems`.
    pub(super) place: Range<usize>,
    /// The number of its properties.
    pub(super) properties: usize,
    pub(super) id: Cow<'a, str>,
    pub(super) total_price: Option<Part<'a>>,
    product_id: Option<Cow<'a, str>>,
    name: Option<Part<'a>>,
}

/// The profile of an order's events.
pub(super) struct OrderProfile {
    /// Its JSON text.
    pub(super) json: String,
    /// Whether its email is left out.
    pub(super) email_left_out: bool,
    /// Whether Klaviyo drops the events because of the email's domain.
    pub(super) is_of_tests: bool,
}

const LINE_ITEMS: &str = "lineItems";

// Initial capacities that are enough for most orders: members, and bytes of a profile and of a list.
const USUAL_MEMBERS: usize = 48;
const USUAL_PROFILE: usize = 160;
const USUAL_LIST: usize = 256;

impl<'a> Order<'a> {
    pub(super) fn read(order: Part<'a>) -> Result<Self, Skip> {
        let mut members = Object::with_capacity_and_hasher(USUAL_MEMBERS, RandomState::default());
        let mut line_items = Ok(Vec::new());
        order.walk().object(|key, walk| {
            let value = if key == LINE_ITEMS {
                let (value, items) = LineItem::read_all(walk);
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
        let moment = |key: &str| {
            let time = members.get(key).copied().and_then(Part::text)?;
            time.decoded().parse().ok()
        };
        // only an imported order has `completedAt`; its `createdAt` is the day of that import
        let placed_at = moment("completedAt").or_else(|| moment("createdAt"));
        let order = Self {
            json: order.get(),
            id: id.ok_or(missing("id"))?,
            placed_at: placed_at.ok_or(missing("createdAt"))?,
            line_items: line_items?,
            members,
        };
        // Klaviyo rejects a request that has an event twice
        let count = order.line_items.len();
        let mut ids = HashSet::with_capacity_and_hasher(count, RandomState::default());
        if !order.line_items.iter().all(|item| ids.insert(&*item.id)) {
            return Err(missing("lineItems[].id (each its own)"));
        }
        Ok(order)
    }

    fn member(&self, key: &str) -> Option<Part<'a>> {
        self.members.get(key).copied()
    }

    /// The JSON text of `lineItems`.
    pub(super) fn line_items_json(&self) -> Option<&'a str> {
        self.member(LINE_ITEMS).map(Part::get)
    }

    pub(super) fn total_price(&self) -> Option<Part<'a>> {
        self.member("totalPrice")
    }

    /// When it was last modified, or else placed.
    pub(super) fn modified_at(&self) -> Timestamp {
        let modified = self.text("lastModifiedAt");
        let modified = modified.and_then(|time| time.decoded().parse().ok());
        modified.unwrap_or(self.placed_at)
    }

    fn text(&self, key: &str) -> Option<Text<'a>> {
        self.member(key).and_then(Part::filled_text)
    }

    /// The profile that the events belong to.
    pub(super) fn profile(&self) -> Result<OrderProfile, Skip> {
        let email = Email::read(self.member("customerEmail"));
        let customer = self.text("customerId");
        match email {
            Email::Absent if customer.is_none() => return Err(Skip::NoIdentifier),
            Email::TooLong if customer.is_none() => return Err(Skip::EmailTooLong),
            _ => {}
        }
        let mut profile = Vec::with_capacity(USUAL_PROFILE);
        profile.extend_from_slice(br#"{"type":"profile","attributes":"#);
        let mut attributes = ObjectWriter::open(&mut profile);
        if let Some(email) = email.sent() {
            attributes.string("email", email);
        }
        attributes.text("external_id", customer);
        attributes.close();
        profile.push(b'}');
        let profile =
            String::from_utf8(profile).expect("what is put together from strings is UTF-8");
        Ok(OrderProfile {
            json: profile,
            email_left_out: email == Email::TooLong,
            is_of_tests: email.sent().is_some_and(email::is_of_tests),
        })
    }

    /// The allowed properties of the order, then its allowed custom fields, then `ItemNames` and `Categories`.
    pub(super) fn properties<'o>(
        &self,
        catalog: &dyn CategoryPaths,
        options: &'o MappingOptions,
    ) -> Properties<'o>
    where
        'a: 'o,
    {
        let rules = &options.sync.order;
        let mut properties = Properties::default();
        properties.add_allowed(&self.members, &rules.properties);
        if let Some(fields) = self.member("custom").and_then(properties::custom_fields) {
            properties.add_allowed(&fields, &rules.custom_fields);
        }
        properties.set(
            "ItemNames",
            self.item_names(options.preferred_locale.as_deref()),
        );
        properties.set("Categories", self.categories(catalog));
        properties
    }

    fn item_names(&self, preferred_locale: Option<&str>) -> String {
        let custom_line_items = self.member("customLineItems").map(Part::array);
        let custom_names = custom_line_items
            .unwrap_or_default()
            .into_iter()
            .filter_map(|item| item.pick(["name"]))
            .filter_map(|[name]| name);
        let names: IndexSet<&str, RandomState> = self
            .line_items
            .iter()
            .filter_map(|item| item.name)
            .chain(custom_names)
            .filter_map(|name| locale::localized(name, preferred_locale))
            .map(Text::escaped)
            .collect();
        list(names)
    }

    /// Sorted by product id, as the products are in the responses of the queries that fetch them.
    fn categories(&self, catalog: &dyn CategoryPaths) -> String {
        let mut products: Vec<&str> = self
            .line_items
            .iter()
            .filter_map(|item| item.product_id.as_deref())
            .collect();
        products.sort_unstable();
        products.dedup();
        let paths: IndexSet<&str, RandomState> = products
            .into_iter()
            .filter_map(|id| catalog.paths(id))
            .flatten()
            .map(String::as_str)
            .collect();
        list(paths.into_iter().map(json::escape))
    }

    pub(super) fn is_in(&self, states: &[String]) -> bool {
        self.text("orderState")
            .is_some_and(|state| states.iter().any(|name| *name == state.decoded()))
    }
}

impl<'a> LineItem<'a> {
    /// The value here, and its elements as line items; none if it is no array.
    fn read_all(walk: &mut Walk<'a>) -> (Part<'a>, Result<Vec<Self>, Skip>) {
        let start = walk.place();
        let mut items = Ok(Vec::new());
        let value = walk.array(|walk| {
            if let Ok(read) = &mut items {
                match Self::read(walk, start) {
                    Ok(item) => read.push(item),
                    Err(skip) => items = Err(skip),
                }
            }
        });
        (value, items)
    }

    /// The line item here, in a list whose text starts at `start`.
    fn read(walk: &mut Walk<'a>, start: usize) -> Result<Self, Skip> {
        let place = walk.place() - start;
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
        let json = item.get();
        Ok(Self {
            json,
            place: place..place + json.len(),
            properties,
            id: id.and_then(Part::id).ok_or(missing("lineItems[].id"))?,
            total_price,
            product_id: product_id.and_then(Part::id),
            name,
        })
    }
}

/// A JSON array of strings that are escaped already.
fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let mut list = String::with_capacity(USUAL_LIST);
    list.push('[');
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
