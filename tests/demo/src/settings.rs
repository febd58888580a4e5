//! What both commands let choose.

use std::path::PathBuf;
use std::time::Duration;

use clock::Clock;
use host::Wasi;
use import::operator::Resource;
use sim::klaviyo::{JobTimes, Recorded};
use sim::seed::{Seed, Shop, Sizes};

/// Which of the recorded times jobs take.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum JobLength {
    Usual,
    Recorded,
}

/// Arguments of `demo` and `bench`. The defaults are the demo's; the bench has its own sizes.
#[derive(clap::Args)]
pub(crate) struct Settings {
    /// The application's manifest
    #[arg(long, default_value = "spin.toml")]
    pub(crate) manifest: PathBuf,
    /// The WASI version that the component is built for
    #[arg(long, value_name = "VERSION", default_value = "0.2", value_parser = host::values::wasi)]
    pub(crate) wasi: Wasi,
    /// What to import, in this order
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "categories,products,customers,orders"
    )]
    pub(crate) resources: Vec<Resource>,
    /// Customers in the shop
    #[arg(long, default_value_t = 5_000)]
    customers: u32,
    /// Orders in the shop
    #[arg(long, default_value_t = 5_000)]
    orders: u32,
    /// Categories in the shop
    #[arg(long, default_value_t = 200)]
    categories: u32,
    /// Products in the shop
    #[arg(long, default_value_t = 1_000)]
    products: u32,
    /// About how long an order is on average
    #[arg(long, value_name = "BYTES", default_value_t = 8_000)]
    order_bytes: usize,
    /// How long the APIs take to answer on average, half as much more or less
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 150)]
    latency_ms: u64,
    /// How long Klaviyo's jobs take: `usual` draws from the recorded times under a minute, `recorded` from all of them
    #[arg(long, value_enum, default_value_t = JobLength::Usual)]
    job_times: JobLength,
    /// The jobs' times are multiplied by this
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    job_scale: f64,
    /// Jobs on a page of Klaviyo's list of jobs. At most 100 are documented; how many there are was never recorded
    #[arg(long, value_name = "JOBS", default_value_t = 100)]
    pub(crate) jobs_a_page: usize,
    /// Decides the records and the jitter of the answers
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The most memory that an instance may hold
    #[arg(long, value_name = "MIB", default_value_t = 128)]
    pub(crate) memory_limit_mib: usize,
    /// How long a window works [default: the manifest's]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) window_seconds: Option<u32>,
    /// Simulated seconds in a real one; the limits and pauses of the APIs shrink with it, the work to do does not
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = host::values::speed)]
    pub(crate) speed: f64,
    /// How the shop keeps variants and prices
    #[arg(long = "shop", value_name = "KIND", value_enum, default_value_t = ShopKind::Usual)]
    pub(crate) shop_kind: ShopKind,
    /// The value of one more of the component's variables
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = host::values::variable)]
    pub(crate) variables: Vec<(String, String)>,
    /// Show the component's log on standard error
    #[arg(long)]
    pub(crate) log: bool,
}

/// How a shop keeps the variants and prices of its products.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum ShopKind {
    /// In the products
    Usual,
    /// Prices are standalone
    Standalone,
    /// The catalog model Modular: variants, prices and stock are resources of their own
    Modular,
    /// Some products of each kind, as while a project migrates
    Mixed,
}

impl From<ShopKind> for Shop {
    fn from(kind: ShopKind) -> Self {
        match kind {
            ShopKind::Usual => Self::Usual,
            ShopKind::Standalone => Self::Standalone,
            ShopKind::Modular => Self::Modular,
            ShopKind::Mixed => Self::Mixed,
        }
    }
}

impl Settings {
    /// The records of the simulated shop.
    pub(crate) fn shop(&self) -> Seed {
        Seed {
            number: self.seed,
            sizes: Sizes {
                customers: self.customers,
                orders: self.orders,
                categories: self.categories,
                products: self.products,
            },
            order_mean_bytes: self.order_bytes,
            shop: self.shop_kind.into(),
        }
    }

    /// How long either API takes to answer on average.
    pub(crate) fn latency(&self) -> Duration {
        Duration::from_millis(self.latency_ms)
    }

    /// How long Klaviyo's jobs take.
    pub(crate) fn job_times(&self) -> JobTimes {
        JobTimes::Recorded {
            which: match self.job_times {
                JobLength::Usual => Recorded::Usual,
                JobLength::Recorded => Recorded::All,
            },
            scale: self.job_scale,
        }
    }

    /// The time of the simulated world and of the component.
    pub(crate) fn clock(&self) -> Clock {
        Clock::new(self.speed)
    }
}
