//! Runs of the catalogue beside what a perfect client would need for them.

use std::time::Duration;

use import::figures::{duration, grouped};
use sim::klaviyo::{JobKind, Operation, Windows, perfect_time};
use sim::world::World;

use crate::report;
use crate::testbed::Run;

/// The container of the run documents: the default of the variable of that name.
const CONTAINER: &str = "klaviyo-bulk-import";

/// What a run of the catalogue was like.
pub(crate) struct Catalogue {
    /// How many seconds it took, from the request to start it to the end that its document tells, where it has ended.
    pub(crate) took: Option<f64>,
    /// Its jobs in the order of their submission, with how long they took.
    pub(crate) jobs: Vec<(JobKind, Duration)>,
    /// The most that its document took up, in bytes, as often as it was looked at.
    pub(crate) document_bytes: usize,
    /// The most memory that an instance held, in bytes.
    pub(crate) peak_memory: usize,
}

/// What a resource's run document takes up, in bytes.
pub(crate) fn document_bytes(world: &World, resource: &str) -> usize {
    world.commercetools(|project| {
        let stored = project.custom_object(CONTAINER, resource);
        stored.map_or(0, |stored| stored.value.to_string().len())
    })
}

/// Prints how long the runs of the catalogue took, and a perfect client with the same jobs: it knows all records at the
/// beginning, reads for free, and posts each job the moment that Klaviyo's limits and the jobs that it depends on allow.
pub(crate) fn print(runs: &[Run]) {
    let of_catalogue = runs.iter().filter(|run| run.resource.is_catalogue());
    for run in of_catalogue {
        let Catalogue {
            took: Some(took),
            jobs,
            document_bytes,
            peak_memory,
        } = &run.catalogue
        else {
            continue;
        };
        let bound = perfect_time(jobs, Windows::FromStart).as_secs_f64();
        let ratio = match bound {
            0.0 => String::new(),
            bound => format!(", {:.2} times that", took / bound),
        };
        println!(
            "{:<11} {}; a perfect client {}{ratio}; at most {:.1} MiB in one instance and {} KB of run document",
            report::name(run),
            duration(*took),
            duration(bound),
            *peak_memory as f64 / f64::from(1 << 20),
            document_bytes.div_ceil(1_000),
        );
        println!("{:<11}   {}", "", calls(run));
    }
}

/// How often Klaviyo's catalog was called, by what for.
fn calls(run: &Run) -> String {
    let of = |what: &str, is_it: fn(Operation) -> bool| {
        let traffic = run.traffic.iter().filter(|(one, _)| is_it(*one));
        let calls = traffic.map(|(_, traffic)| traffic.calls).sum();
        format!("{} {what}", grouped(calls))
    };
    [
        of("jobs", |one| matches!(one, Operation::StartJob(_))),
        of("reads of one job", |one| {
            matches!(one, Operation::GetJob(_))
        }),
        of("reads of a page of jobs", |one| {
            matches!(one, Operation::ListJobs(_))
        }),
        of("reads of entries", |one| {
            matches!(
                one,
                Operation::ListCatalog(_) | Operation::ListVariantsOfItem
            )
        }),
    ]
    .join(", ")
}
