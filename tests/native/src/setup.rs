//! What a test's shop and app are like.

use std::collections::BTreeMap;
use std::time::Duration;

use clock::Clock;
use jiff::Timestamp;
use klaviyo_bulk_import::config::{Config, Problems, VARIABLES, Values};
use sim::klaviyo;
use sim::seed::expected::Rules;
use sim::seed::{Seed, Shop, Sizes};
use sim::server::Latency;
use sim::world::{World, WorldOptions};

use crate::TOKEN;

/// When virtual worlds begin: 2026-07-15T10:00:20Z.
pub const BEGINNING: Timestamp = Timestamp::constant(1_784_109_620, 0);

/// The longest that a test usually goes on, in the world's time.
pub const LONGEST_TEST: Duration = Duration::from_secs(24 * 3_600);

/// What a test's shop and app are like.
pub struct Setup {
    /// How many records commercetools has.
    pub sizes: Sizes,
    /// About how long an order is on average, in bytes.
    pub order_bytes: usize,
    /// How the shop keeps variants and prices.
    pub shop: Shop,
    /// Whether refunds are expected.
    pub refunds: bool,
    /// How long each call of an API takes on average.
    pub latency: Duration,
    /// What Klaviyo is like.
    pub klaviyo: klaviyo::Options,
    /// Variables of the app that differ from the world's.
    pub variables: BTreeMap<&'static str, String>,
    /// Whether requests and answers are held to the APIs' contracts.
    pub check_contract: bool,
    /// Whether each call of the app to itself is answered by an instance of its own, as where WASI 0.2 is served; else all
    /// by one.
    pub has_instance_per_call: bool,
    /// The longest that a test goes on, in the world's time: what takes longer goes on for ever.
    pub longest: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        Self::of(Sizes::default())
    }
}

impl Setup {
    /// A shop of this size.
    #[must_use]
    pub fn of(sizes: Sizes) -> Self {
        Self {
            sizes,
            order_bytes: Seed::default().order_mean_bytes,
            shop: Shop::default(),
            refunds: false,
            latency: Duration::ZERO,
            klaviyo: klaviyo::Options::default(),
            variables: BTreeMap::new(),
            check_contract: true,
            has_instance_per_call: false,
            longest: LONGEST_TEST,
        }
    }

    /// A shop of so many customers.
    #[must_use]
    pub fn customers(customers: u32) -> Self {
        Self::of(Sizes {
            customers,
            ..Sizes::default()
        })
    }

    /// A shop of so many categories and products.
    #[must_use]
    pub fn catalog(categories: u32, products: u32) -> Self {
        Self::of(Sizes {
            categories,
            products,
            ..Sizes::default()
        })
    }

    /// A shop of so many orders, and what they are of.
    #[must_use]
    pub fn orders(orders: u32) -> Self {
        Self::of(Sizes {
            customers: 50,
            orders,
            categories: 40,
            products: 60,
        })
    }

    /// Some of everything.
    #[must_use]
    pub fn everything() -> Self {
        Self::of(Sizes {
            customers: 30,
            orders: 40,
            categories: 8,
            products: 12,
        })
    }

    /// That keeps variants and prices like this.
    #[must_use]
    pub fn kept_as(mut self, shop: Shop) -> Self {
        self.shop = shop;
        self
    }

    /// With this variable.
    #[must_use]
    pub fn variable(mut self, name: &'static str, value: impl ToString) -> Self {
        self.variables.insert(name, value.to_string());
        self
    }

    /// As it is where a scheduler carries runs, and nothing calls itself.
    #[must_use]
    pub fn scheduled(self) -> Self {
        self.variable("continuation", "scheduler")
    }

    /// With calls that take so many milliseconds on average.
    #[must_use]
    pub fn latency_ms(mut self, latency: u64) -> Self {
        self.latency = Duration::from_millis(latency);
        self
    }

    /// The world and the app's variables that differ from it.
    #[must_use]
    pub fn into_parts(self, clock: Clock) -> (WorldOptions, BTreeMap<&'static str, String>) {
        let latency = |seed| Latency {
            mean: self.latency,
            jitter: self.latency / 2,
            seed,
        };
        let options = WorldOptions {
            seed: Seed {
                sizes: self.sizes,
                order_mean_bytes: self.order_bytes,
                shop: self.shop,
                ..Seed::default()
            },
            commercetools_latency: latency(1),
            klaviyo_latency: latency(2),
            klaviyo: self.klaviyo,
            rules: Rules {
                refunds: self.refunds,
                ..Rules::default()
            },
            clock,
            check_contract: self.check_contract,
            ..WorldOptions::default()
        };
        (options, self.variables)
    }
}

/// The variables of an app in this world, with these in the place of the world's.
#[must_use]
pub fn values(
    world: &World,
    variables: &BTreeMap<&'static str, String>,
) -> BTreeMap<String, String> {
    let mut values = world.variables();
    values.insert("api_token".to_owned(), TOKEN.to_owned());
    let own = variables.iter();
    values.extend(own.map(|(name, value)| ((*name).to_owned(), value.clone())));
    values
}

/// The configuration of an app with these variables; those that are not given are empty.
///
/// # Errors
/// As [`Config::parse`].
pub fn configuration(given: &BTreeMap<String, String>) -> Result<Config, Problems> {
    let values = VARIABLES.map(|name| (name, given.get(name).cloned().unwrap_or_default()));
    Config::parse(&Values::from(values))
}
