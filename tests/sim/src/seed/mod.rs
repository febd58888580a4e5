//! What the simulated commercetools project holds: every record made on demand from (seed, kind, index), the
//! same each time, and as awkward as real ones.

mod attributes;
mod beside;
mod category;
mod customer;
pub mod expected;
mod numbering;
mod order;
mod product;
mod prose;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use uuid::{Builder, Uuid};

use crate::json::Json;

pub(crate) use self::attributes::is_defined as is_attribute;
pub(crate) use self::beside::take_apart;
pub use self::beside::{Beside, Shop, refund};
pub use self::product::CHANNEL;

/// What kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A customer.
    Customer,
    /// An order.
    Order,
    /// A category.
    Category,
    /// A product.
    Product,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Customer, Self::Order, Self::Category, Self::Product];

    /// The `typeId` of references to such a record.
    pub fn type_id(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Order => "order",
            Self::Category => "category",
            Self::Product => "product",
        }
    }
}

/// How many records of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Customers.
    pub customers: u32,
    /// Orders.
    pub orders: u32,
    /// Categories.
    pub categories: u32,
    /// Products, published or not.
    pub products: u32,
}

impl Sizes {
    /// The number of records of `kind`.
    pub fn of(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Customer => self.customers,
            Kind::Order => self.orders,
            Kind::Category => self.categories,
            Kind::Product => self.products,
        }
    }
}

/// A whole project as a few numbers.
#[derive(Clone, Copy, Debug)]
pub struct Seed {
    /// Two seeds with the same number hold the same records.
    pub number: u64,
    /// How many records of each kind.
    pub sizes: Sizes,
    /// About how long an order is on average, in bytes of JSON; an order has 5 KB to 200 KB.
    pub order_mean_bytes: usize,
    /// How variants and prices are kept.
    pub shop: Shop,
}

impl Default for Seed {
    fn default() -> Self {
        Self {
            number: 1,
            sizes: Sizes::default(),
            order_mean_bytes: 8_000,
            shop: Shop::default(),
        }
    }
}

/// What a random stream is for; streams of one record do not depend on each other.
#[derive(Clone, Copy)]
enum Stream {
    Id = 1,
    Dates,
    Body,
    /// Traits other records or queries ask for without making the record.
    Traits,
    /// The attributes of products.
    Attributes,
}

/// Seconds in which records are created: the years 2020 to mid 2026.
const FIRST_CREATION: i64 = 1_577_836_800;
const CREATION_SPAN: i64 = 205_000_000;

impl Seed {
    fn rng(&self, kind: Kind, index: u32, stream: Stream) -> Rng {
        let mut mixed = self.number;
        for part in [kind as u64, u64::from(index), stream as u64] {
            mixed = splitmix(mixed ^ part.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        }
        Rng::with_seed(mixed)
    }

    /// The id of the record `index` of `kind`.
    pub fn id(&self, kind: Kind, index: u32) -> Uuid {
        random_uuid(&mut self.rng(kind, index, Stream::Id))
    }

    /// When the record was created, in whole milliseconds.
    pub fn created_at(&self, kind: Kind, index: u32) -> Timestamp {
        self.dates(kind, index).0
    }

    /// When the record was last changed, in whole milliseconds.
    pub fn last_modified_at(&self, kind: Kind, index: u32) -> Timestamp {
        self.dates(kind, index).1
    }

    fn dates(&self, kind: Kind, index: u32) -> (Timestamp, Timestamp) {
        let mut rng = self.rng(kind, index, Stream::Dates);
        let created = FIRST_CREATION * 1000 + rng.i64(0..CREATION_SPAN * 1000);
        let created = Timestamp::from_millisecond(created).unwrap_or(Timestamp::UNIX_EPOCH);
        let changed = if rng.u8(..4) == 0 {
            created
        } else {
            created
                .checked_add(SignedDuration::from_millis(rng.i64(0..2_592_000_000)))
                .unwrap_or(created)
        };
        (created, changed)
    }

    /// The record as JSON text, references not expanded.
    pub fn record(&self, kind: Kind, index: u32) -> String {
        match kind {
            Kind::Customer => customer::record(self, index),
            Kind::Order => order::record(self, index),
            Kind::Category => category::record(self, index),
            Kind::Product => product::record(self, index),
        }
    }

    /// Whether the product `index` is published.
    pub fn is_published(&self, index: u32) -> bool {
        product::is_published(self, index)
    }

    /// The projection of the product `index` as JSON text: what is published, or what is staged, with the attributes whose
    /// names `keeps` says.
    pub(crate) fn product_projection(
        &self,
        index: u32,
        staged: bool,
        keeps: &dyn Fn(&str) -> bool,
    ) -> String {
        product::projection(self, index, staged, keeps)
    }

    /// The members every resource begins with.
    fn base(&self, json: &mut Json, kind: Kind, index: u32) {
        let (created, changed) = self.dates(kind, index);
        json.text("id", &self.id(kind, index).to_string());
        json.int("version", if created == changed { 1 } else { 7 });
        json.text("createdAt", &timestamp(created));
        json.text("lastModifiedAt", &timestamp(changed));
    }
}

/// A payment as the expansion of a reference to it: nothing but the id is known of it.
pub(crate) fn payment(id: Uuid) -> String {
    let mut json = Json::with_capacity(700);
    let mut rng = Rng::with_seed(id.as_u64_pair().0);
    json.element_object(|json| {
        let moment = "2024-01-01T00:00:00.000Z";
        json.text("id", &id.to_string());
        json.int("version", 3);
        json.text("createdAt", moment);
        json.text("lastModifiedAt", moment);
        json.object("amountPlanned", |json| {
            cent_precision(json, rng.i64(100..90_000), "EUR");
        });
        json.object("paymentMethodInfo", |json| {
            json.text("paymentInterface", "sim");
        });
        json.object("paymentStatus", |_| {});
        json.array("transactions", |json| {
            let transaction = |json: &mut Json, rng: &mut Rng, kind: &str, state: &str| {
                json.element_object(|json| {
                    json.text("id", &random_uuid(rng).to_string());
                    if !one_in(rng, 8) {
                        let day = rng.u8(1..=28);
                        json.text("timestamp", &format!("2024-03-{day:02}T09:30:00.500Z"));
                    }
                    json.text("type", kind);
                    json.text("state", state);
                    json.object("amount", |json| {
                        let currency = pick(rng, &["EUR", "EUR", "USD"]);
                        cent_precision(json, rng.i64(100..90_000), currency);
                    });
                });
            };
            transaction(json, &mut rng, "Charge", "Success");
            for _ in 0..rng.u8(..4) {
                let state = pick(&mut rng, &["Success", "Success", "Pending", "Failure"]);
                transaction(json, &mut rng, "Refund", state);
            }
        });
        json.raw("interfaceInteractions", "[]");
    });
    json.into_text()
}

/// The members of an amount of cents.
fn cent_precision(json: &mut Json, cent_amount: i64, currency: &str) {
    json.text("type", "centPrecision");
    json.text("currencyCode", currency);
    json.int("centAmount", cent_amount);
    json.int("fractionDigits", fraction_digits(currency));
}

/// The members of an amount with `more` digits beyond the currency's own.
fn high_precision(json: &mut Json, precise_amount: i64, currency: &str, more: u32) {
    json.text("type", "highPrecision");
    json.text("currencyCode", currency);
    json.int("centAmount", precise_amount / 10_i64.pow(more));
    json.int("preciseAmount", precise_amount);
    json.int(
        "fractionDigits",
        fraction_digits(currency) + i64::from(more),
    );
}

fn fraction_digits(currency: &str) -> i64 {
    match currency {
        "JPY" => 0,
        "KWD" => 3,
        _ => 2,
    }
}

/// As commercetools writes a moment: UTC, always with milliseconds.
pub(crate) fn timestamp(moment: Timestamp) -> String {
    format!("{moment:.3}")
}

fn random_uuid(rng: &mut Rng) -> Uuid {
    Builder::from_random_bytes(rng.u128(..).to_be_bytes()).into_uuid()
}

/// True for one in `n`.
fn one_in(rng: &mut Rng, n: u32) -> bool {
    rng.u32(..n) == 0
}

/// Any of `from`, which is not empty.
fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}

/// One round of SplitMix64: neighbouring numbers give unrelated ones.
fn splitmix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
