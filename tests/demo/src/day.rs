//! What a day of changes and the nights after it come to.

pub(crate) use sim::day::pass;

use crate::testbed::Run;

/// The runs whose records are as the shop is now, whatever of it is gone: an order keeps the categories of a product that
/// has been deleted.
pub(crate) fn of_catalogue(runs: Vec<Run>) -> Vec<Run> {
    let runs = runs.into_iter();
    runs.filter(|run| run.resource.is_catalogue()).collect()
}

/// Prints how many calls of either API a night took beside posting jobs and polling them.
pub(crate) fn calls(run: &Run) {
    use sim::klaviyo::Operation::{GetJob, ListJobs, StartJob};
    let of_jobs: u64 = run
        .traffic
        .iter()
        .filter(|(operation, _)| matches!(operation, StartJob(_) | GetJob(_) | ListJobs(_)))
        .map(|(_, traffic)| traffic.calls)
        .sum();
    let klaviyo = run.klaviyo.values().sum::<u64>() - of_jobs;
    let commercetools: u64 = run.commercetools.values().sum();
    println!(
        "{:<11} {klaviyo} calls of Klaviyo beside {of_jobs} for jobs, {commercetools} of commercetools",
        crate::report::name(run),
    );
}
