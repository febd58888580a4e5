//! `host demo`: an import of a simulated shop into a simulated Klaviyo, to watch.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use sim::seed::{Seed, Sizes};

use super::operator::Errand;
use super::progress::Progress;
use super::report;
use super::testbed::{Settings, Shop, Testbed, until_interrupted};

/// How often the status is looked at, in real time.
const LOOK_EVERY: Duration = Duration::from_millis(300);

#[derive(clap::Args)]
pub(crate) struct Arguments {
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
    /// How long the APIs take to answer on average, half as much more or less
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 150)]
    latency_ms: u64,
    /// Check all traffic against the APIs' OpenAPI descriptions (in the folder CONTRACTS_DIR), which costs time
    #[arg(long)]
    check_contract: bool,
    #[command(flatten)]
    settings: Settings,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    until_interrupted(demonstrate(&arguments)).await
}

async fn demonstrate(arguments: &Arguments) -> Result<bool> {
    let Arguments { settings, .. } = arguments;
    let latency = Duration::from_millis(arguments.latency_ms);
    let shop = Shop {
        seed: Seed {
            number: settings.seed(),
            sizes: Sizes {
                customers: arguments.customers,
                orders: arguments.orders,
                categories: arguments.categories,
                products: arguments.products,
            },
            ..Seed::default()
        },
        latency,
        check_contract: arguments.check_contract,
    };
    let testbed = Testbed::start(settings, shop).await?;
    let progress = Progress::new();
    let runs = testbed
        .run(&settings.resources, Errand::Import, LOOK_EVERY, &progress)
        .await?;
    println!();
    report::runs(&runs);
    println!();
    report::calls(&runs);
    report::guest(&testbed, settings.memory_limit_mib);
    report::plugin(&runs, latency);
    let is_equal = report::ledger(&testbed, &runs);
    let well = report::verdict(&testbed, &runs, is_equal);
    testbed.end().await;
    Ok(well)
}
