//! What is printed at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use import::figures::{duration, grouped, percent};
use import::operator::State;
use import::table;

use crate::testbed::{Errand, Run, Testbed};

/// The status of an answer to a call too many.
const TOO_MANY_REQUESTS: u16 = 429;

/// The Node plugin's bulk import, by the reading of its source: it sends one record a request, each after the other...
const PLUGIN_BATCH: u64 = 10;
/// ...and pauses so many seconds after each [`PLUGIN_BATCH`].
const PLUGIN_PAUSE_SECONDS: f64 = 2.0;

/// What a run is called.
pub(crate) fn name(run: &Run) -> String {
    match run.errand {
        Errand::Import => run.resource.name().to_owned(),
        Errand::Changes => format!("{}+", run.resource.name()),
        Errand::Prune => format!("{}-", run.resource.name()),
        Errand::Delete => format!("-{}", run.resource.name()),
    }
}

/// Prints what became of every run.
pub(crate) fn runs(runs: &[Run]) {
    println!("{}", table::head());
    for run in runs {
        for line in table::lines(&name(run), &run.status) {
            println!("{line}");
        }
    }
}

/// Prints how often the APIs were called.
pub(crate) fn calls(runs: &[Run]) {
    for run in runs {
        println!(
            "{:<11} commercetools {}; Klaviyo {}",
            name(run),
            answers(&run.commercetools),
            answers(&run.klaviyo),
        );
    }
}

fn answers(by_status: &BTreeMap<u16, u64>) -> String {
    let all: u64 = by_status.values().sum();
    let throttled = by_status
        .get(&TOO_MANY_REQUESTS)
        .copied()
        .unwrap_or_default();
    let share = percent(throttled as f64, all as f64);
    let errors: Vec<_> = by_status
        .iter()
        .filter(|(status, count)| **count > 0 && !matches!(**status, 200..300 | TOO_MANY_REQUESTS))
        .map(|(status, count)| format!(", {} x {status}", grouped(*count)))
        .collect();
    format!(
        "{} calls ({} x 429, {share}{})",
        grouped(all),
        grouped(throttled),
        errors.concat()
    )
}

/// Prints memory and instances.
pub(crate) fn guest(testbed: &Testbed, limit_mib: usize) {
    let stats = testbed.stats();
    println!(
        "guest       at most {:.1} of {limit_mib} MiB in one instance, {} instances, {} traps",
        stats.peak_memory as f64 / f64::from(1 << 20),
        grouped(stats.instances),
        grouped(stats.traps),
    );
}

/// Prints how long the Node plugin would have taken for the same records, and by which reckoning.
pub(crate) fn plugin(runs: &[Run], latency: Duration) {
    let records = runs.iter().map(|run| run.status.counts.read).sum();
    let ours: f64 = runs.iter().filter_map(|run| run.status.seconds()).sum();
    println!(
        "Node plugin about {} for these {} records, here {} (reckoned: one record a request, each of {} ms, one after \
         the other, and a pause of {PLUGIN_PAUSE_SECONDS} s for each {PLUGIN_BATCH} records)",
        duration(plugin_seconds(records, latency)),
        grouped(records),
        duration(ours),
        latency.as_millis(),
    );
}

fn plugin_seconds(records: u64, latency: Duration) -> f64 {
    let pauses = records / PLUGIN_BATCH;
    records as f64 * latency.as_secs_f64() + pauses as f64 * PLUGIN_PAUSE_SECONDS
}

/// Prints whether Klaviyo holds what it should. Gives whether it does.
pub(crate) fn ledger(testbed: &Testbed, runs: &[Run]) -> bool {
    let (is_equal, found) = testbed.ledger(runs);
    println!("ledger      {found}");
    is_equal
}

/// Prints whether Klaviyo holds nothing any more of what has been deleted. Gives whether that is so.
pub(crate) fn emptiness(testbed: &Testbed, runs: &[Run]) -> bool {
    let left: usize = runs.iter().map(|run| testbed.entries(run.resource)).sum();
    println!(
        "deletion    {} entries left in Klaviyo's catalogue",
        grouped(left as u64)
    );
    left == 0
}

/// Prints where traffic broke a contract and, where that or something else went wrong, the component's last words. Gives
/// whether all is well.
pub(crate) fn verdict(testbed: &Testbed, runs: &[Run], is_as_expected: bool) -> bool {
    let violations = testbed.world.violations();
    for violation in &violations {
        println!("contract    {violation}");
    }
    let completed = runs.iter().all(|run| run.status.status == State::Completed);
    let well = is_as_expected && completed && violations.is_empty();
    if !well {
        println!("the component's last lines:");
        for line in testbed.latest_lines() {
            println!("  {line}");
        }
    }
    well
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_pauses_after_each_batch() {
        let seconds = plugin_seconds(10_000, Duration::from_millis(150));
        assert!((seconds - 3_500.0).abs() < 1e-6, "{seconds}");
    }

    #[test]
    fn answers_tell_throttled_calls_from_errors() {
        let told = answers(&[(200, 97), (202, 1), (429, 1), (503, 1)].into());
        assert_eq!(told, "100 calls (1 x 429, 1.0 %, 1 x 503)");
    }
}
