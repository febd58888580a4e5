//! `cargo bench-import`: a large import, measured against what Klaviyo's rate limits allow. It prints and does not judge: only
//! an import that fails or a wrong ledger makes it fail.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use import::figures::{duration, grouped, megabytes, percent};
use import::operator::{Document, Resource};
use import::progress::Progress;
use jiff::Timestamp;
use sim::klaviyo::{JobKind, Operation, Rate};
use sim::ledger::Traffic;

use crate::catalog;
use crate::day;
use crate::report;
use crate::settings::Settings;
use crate::testbed::{Errand, Run, Testbed, until_interrupted};

/// How often the status is looked at, in real time: seldom, as looking costs, too.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The most bytes of a bulk request's body (Klaviyo's API reference: 5 MB).
const MOST_BYTES: f64 = 5e6;
const MINUTE: i64 = 60;

#[derive(clap::Args)]
#[command(
    mut_arg("customers", |arg| arg.default_value("100000")),
    mut_arg("orders", |arg| arg.default_value("100000")),
    mut_arg("products", |arg| arg.default_value("2000")),
    mut_arg("latency_ms", |arg| arg.default_value("300")),
)]
pub(crate) struct Arguments {
    /// Import everything a second time
    #[arg(long)]
    again: bool,
    /// Let one per cent of the products change, and measure the night after that and a prune
    #[arg(long)]
    then_changes: bool,
    /// Delete the catalogue from Klaviyo at the end
    #[arg(long)]
    delete: bool,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    until_interrupted(measure(&arguments)).await
}

async fn measure(arguments: &Arguments) -> Result<bool> {
    let Arguments { settings, .. } = arguments;
    let testbed = Testbed::start(settings, false, false).await?;
    let progress = Progress::new();
    let begun = Instant::now();
    let run = async |resources: &[Resource], errand| {
        testbed.run(resources, errand, LOOK_EVERY, &progress).await
    };
    let mut runs = run(&settings.resources, Errand::Import).await?;
    if arguments.again {
        runs.extend(run(&settings.resources, Errand::Import).await?);
    }
    println!();
    let mut is_as_expected = report::ledger(&testbed, &runs);
    if arguments.then_changes {
        let nights = testbed.nights(&settings.resources, LOOK_EVERY, &progress);
        let nights = day::of_catalogue(nights.await?);
        is_as_expected &= report::ledger(&testbed, &nights);
        runs.extend(nights);
    }
    if arguments.delete {
        // what was imported last goes first: items refer to categories
        let resources = settings.resources.iter().rev().copied();
        let catalogue: Vec<_> = resources
            .filter(|resource| resource.is_catalogue())
            .collect();
        let deletions = run(&catalogue, Errand::Delete).await?;
        is_as_expected &= report::emptiness(&testbed, &deletions);
        runs.extend(deletions);
    }
    let took = begun.elapsed().as_secs_f64();
    println!();
    report::runs(&runs);
    println!();
    for run in &runs {
        throughput(run);
    }
    catalog::print(&runs);
    report::calls(&runs);
    report::guest(&testbed, settings.memory_limit_mib);
    println!(
        "clock       {} real at a speed of {}",
        duration(took),
        settings.speed
    );
    let well = report::verdict(&testbed, &runs, is_as_expected);
    testbed.end().await;
    Ok(well)
}

/// Prints what an import sent a second, and how much of what Klaviyo would have taken in its time that is.
fn throughput(run: &Run) {
    let Document {
        started_at: Some(from),
        finished_at: Some(to),
        ref counts,
        ..
    } = *run.status
    else {
        return;
    };
    let seconds = to.duration_since(from).as_secs_f64().max(1e-3);
    let name = report::name(run);
    for &(operation, traffic) in &run.traffic {
        let Some(batch) = documents_a_call(operation) else {
            continue;
        };
        // Entries of the catalogue go through several operations, and nobody counts them by operation.
        let documents = if matches!(operation, Operation::StartJob(JobKind::Catalog(..))) {
            None
        } else {
            Some(counts.documents)
        };
        let allowed = allowed_calls(operation.rate(), from, to) as f64;
        let needed = needed_calls(traffic, documents, batch);
        println!(
            "{name:<11} {operation}: {} calls, {:.1} % of them 429; {:.1} MB, {:.2} MB/s{}",
            grouped(traffic.calls),
            100.0 * traffic.throttled as f64 / traffic.calls as f64,
            megabytes(traffic.bytes),
            megabytes(traffic.bytes) / seconds,
            documents.map_or_else(String::new, |documents| {
                let rate = (documents as f64 / seconds).round() as u64;
                format!(", {} documents/s", grouped(rate))
            }),
        );
        let taken = traffic.calls - traffic.throttled;
        println!(
            "{:<11}   of the {allowed} calls that the limits allow in that time: {} made, {} needed at least for \
             these bytes and documents",
            "",
            percent(taken as f64, allowed),
            percent(needed, allowed),
        );
    }
}

/// How many documents a call of an operation that writes in bulk may hold (Klaviyo's API reference).
fn documents_a_call(operation: Operation) -> Option<f64> {
    match operation {
        Operation::StartJob(JobKind::ProfileImport) => Some(10_000.0),
        Operation::StartJob(JobKind::Catalog(..)) => Some(100.0),
        Operation::BulkCreateEvents => Some(1_000.0),
        _ => None,
    }
}

/// The fewest calls that could have held what was sent, as a share of a call where the last one is not full. Bytes of
/// refused calls count, too: without 429s there are none.
fn needed_calls(traffic: Traffic, documents: Option<u64>, batch: f64) -> f64 {
    let by_documents = documents.map_or(0.0, |documents| documents as f64 / batch);
    by_documents.max(traffic.bytes as f64 / MOST_BYTES)
}

/// How many calls fixed windows of a second and of a minute allow between two moments, both seconds included.
fn allowed_calls(rate: Rate, from: Timestamp, to: Timestamp) -> u64 {
    let (from, to) = (from.as_second(), to.as_second());
    let (first, last) = (from.div_euclid(MINUTE), to.div_euclid(MINUTE));
    (first..=last)
        .map(|minute| {
            let begin = from.max(minute * MINUTE);
            let end = (to + 1).min((minute + 1) * MINUTE);
            let by_second = u64::from(rate.burst) * (end - begin).max(0).unsigned_abs();
            by_second.min(rate.steady.into())
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        burst: 10,
        steady: 150,
    };

    fn allowed(from: &str, to: &str) -> u64 {
        let at = |time: &str| format!("2026-07-15T{time}Z").parse().unwrap();
        allowed_calls(RATE, at(from), at(to))
    }

    #[test]
    fn a_minute_allows_its_steady_limit_and_a_second_its_burst() {
        assert_eq!(allowed("10:00:00", "10:00:59"), 150);
        assert_eq!(allowed("10:00:30", "10:00:30"), 10);
        assert_eq!(allowed("10:00:30", "10:00:33"), 40);
    }

    #[test]
    fn every_minute_begun_has_its_own_limit() {
        assert_eq!(allowed("10:00:55", "10:01:04"), 50 + 50);
        assert_eq!(allowed("10:00:00", "10:02:30"), 450);
    }

    #[test]
    fn bytes_or_documents_decide_whichever_asks_for_more() {
        let traffic = Traffic {
            bytes: 10_000_000,
            ..Traffic::default()
        };
        assert_eq!(needed_calls(traffic, Some(1_000), 1_000.0), 2.0);
        assert_eq!(needed_calls(traffic, Some(9_000), 1_000.0), 9.0);
        assert_eq!(needed_calls(traffic, None, 100.0), 2.0);
    }
}
