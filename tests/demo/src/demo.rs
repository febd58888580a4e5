//! `cargo demo`: an import of a simulated shop into a simulated Klaviyo, to watch.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use import::progress::Progress;

use crate::day;
use crate::report;
use crate::settings::Settings;
use crate::testbed::{Errand, Testbed, until_interrupted};

/// How often the status is looked at, in real time.
const LOOK_EVERY: Duration = Duration::from_millis(300);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Check all traffic against the APIs' OpenAPI descriptions (in the folder CONTRACTS_DIR), which costs time
    #[arg(long)]
    check_contract: bool,
    /// Let a day of changes pass after the import, and show the night after it and a prune
    #[arg(long)]
    then_changes: bool,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    until_interrupted(demonstrate(&arguments)).await
}

async fn demonstrate(arguments: &Arguments) -> Result<bool> {
    let Arguments { settings, .. } = arguments;
    let testbed = Testbed::start(settings, arguments.check_contract, true).await?;
    let sharing = sim::stores::open(&testbed.world);
    println!(
        "the shop    imported orders and refunds among its orders, and {} customers of a store who share an email with another",
        import::figures::grouped(sharing as u64)
    );
    let progress = Progress::new();
    let mut runs = testbed
        .run(&settings.resources, Errand::Import, LOOK_EVERY, &progress)
        .await?;
    println!();
    let mut is_equal = report::ledger(&testbed, &runs);
    if arguments.then_changes {
        let nights = testbed.nights(&settings.resources, LOOK_EVERY, &progress);
        let nights = day::of_catalogue(nights.await?);
        is_equal &= report::ledger(&testbed, &nights);
        runs.extend(nights);
    }
    println!();
    report::runs(&runs);
    println!();
    report::calls(&runs);
    report::guest(&testbed, settings.memory_limit_mib);
    report::plugin(&runs, settings.latency());
    let well = report::verdict(&testbed, &runs, is_equal);
    testbed.end().await;
    Ok(well)
}
