//! `cargo bench-nights`: the nights of a large catalog in virtual time: a prune of a clean catalog, the import of what has
//! changed of it in a day, and a prune of what is gone. It prints times and calls, and does not judge: only a wrong ledger
//! ends it.
//!
//! Computing takes no time here, but calls take as long as they are told to, and jobs as long as recorded ones, or none.

use std::time::Duration;

use clap::{Parser, ValueEnum};
use jiff::Timestamp;
use klaviyo_bulk_import::run::state::{Resource, RunDocument, Status};
use native::shop::run;
use native::{CONTAINER, Operator, Setup, Shop};
use sim::klaviyo::{JobTimes, Operation};
use sim::seed::Kind;

#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Products; seven of eight are published
    #[arg(long, default_value_t = 23_000)]
    products: u32,
    /// Categories
    #[arg(long, default_value_t = 200)]
    categories: u32,
    /// How long jobs take; both if absent
    #[arg(long)]
    times: Option<Times>,
    /// The mean time of a call
    #[arg(long, default_value_t = 300)]
    latency_ms: u64,
    /// Decides which of the recorded times jobs take
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Prints the calls by method and path
    #[arg(long)]
    paths: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Times {
    /// None
    None,
    /// The recorded times under a minute
    Usual,
}

/// What one run was like.
#[derive(Default)]
struct Measured {
    took: f64,
    /// Jobs that were posted to Klaviyo.
    jobs: u64,
    /// Requests that asked for them.
    job_reads: u64,
    /// All other requests to either API that read something.
    reads: u64,
    /// All others: run documents, and a token now and then.
    writes: u64,
    paths: Vec<(String, u64)>,
}

/// The resources of the catalog, in the order of a plan.
const CATALOG: [Resource; 2] = [Resource::Categories, Resource::Products];

fn main() {
    let arguments = Arguments::parse();
    println!(
        "{:<6} {:<24} {:>7} {:>5} {:>9} {:>11} {:>12}",
        "times", "what", "took s", "jobs", "job reads", "other reads", "other writes"
    );
    let chosen = match arguments.times {
        Some(times) => vec![times],
        None => vec![Times::None, Times::Usual],
    };
    for times in chosen {
        measure(&arguments, times);
    }
}

fn measure(arguments: &Arguments, times: Times) {
    let sizes = (arguments.categories, arguments.products);
    let mut setup = Setup::catalog(sizes.0, sizes.1).latency_ms(arguments.latency_ms);
    setup.check_contract = false;
    setup.longest = Duration::from_hours(48);
    setup.klaviyo.seed = arguments.seed;
    let (name, job_times) = match times {
        Times::None => ("none", JobTimes::taking(Duration::ZERO)),
        Times::Usual => ("usual", JobTimes::USUAL),
    };
    setup.klaviyo.job_times = job_times;
    run(setup, async |shop| {
        for (what, body) in [
            ("import", "{}"),
            ("prune, clean", r#"{"prune": true}"#),
            ("nightly", r#"{"since": "lastRun"}"#),
            ("prune", r#"{"prune": true}"#),
        ] {
            if what == "nightly" {
                shop.pass(Duration::from_hours(20)).await;
                let changed = sim::day::pass(&shop.world);
                println!("{name:<6} a day: {changed} products change");
                shop.pass(Duration::from_hours(1)).await;
            }
            for resource in CATALOG {
                let measured = one(&shop, resource, body).await;
                print(
                    name,
                    &format!("{what}: {resource}"),
                    &measured,
                    arguments.paths,
                );
            }
            // what was deleted goes with the prune
            if what != "nightly" {
                let checked = shop.world.check_ledger_of(&[Kind::Category, Kind::Product]);
                assert!(checked.is_ok(), "{checked:?}");
            }
        }
    });
}

fn print(times: &str, what: &str, measured: &Measured, with_paths: bool) {
    let Measured {
        took,
        jobs,
        job_reads,
        reads,
        writes,
        paths,
    } = measured;
    println!("{times:<6} {what:<24} {took:>7.1} {jobs:>5} {job_reads:>9} {reads:>11} {writes:>12}");
    for (path, calls) in paths.iter().filter(|_| with_paths) {
        println!("  {calls:>6} {path}");
    }
}

/// One run, watched from within commercetools, so that nobody but the app calls anybody.
async fn one(shop: &Shop, resource: Resource, body: &str) -> Measured {
    let before = counted(shop);
    let begun = shop.world.clock().now();
    shop.start(resource.name(), body).await;
    let ended = loop {
        if let Some(ended) = ended(shop, resource) {
            break ended;
        }
        shop.pass(Duration::from_millis(500)).await;
    };
    let after = counted(shop);
    let earlier = |path: &str| before.paths.iter().find(|(one, _)| one == path);
    let paths = after.paths.into_iter().map(|(path, calls)| {
        let earlier = earlier(&path).map_or(0, |(_, calls)| *calls);
        (path, calls - earlier)
    });
    Measured {
        took: ended.duration_since(begun).as_secs_f64(),
        jobs: after.jobs - before.jobs,
        job_reads: after.job_reads - before.job_reads,
        reads: after.reads - before.reads,
        writes: after.writes - before.writes,
        paths: paths.filter(|(_, calls)| *calls > 0).collect(),
    }
}

/// When the run has ended, if it has.
fn ended(shop: &Shop, resource: Resource) -> Option<Timestamp> {
    let stored = shop.world.commercetools(|project| {
        let stored = project.custom_object(CONTAINER, resource.name());
        stored.map(|stored| stored.value.clone())
    })?;
    let document: RunDocument = serde_json::from_value(stored).expect("a run document");
    if document.status == Status::Running {
        return None;
    }
    assert_eq!(
        document.status,
        Status::Completed,
        "{:?}",
        document.last_error
    );
    document.finished_at
}

/// The calls so far.
fn counted(shop: &Shop) -> Measured {
    let mut counted = Measured::default();
    let traffic = shop
        .world
        .klaviyo(|klaviyo| klaviyo.ledger().all_traffic().collect::<Vec<_>>());
    for (operation, traffic) in traffic {
        let of = match operation {
            Operation::StartJob(_) => &mut counted.jobs,
            Operation::GetJob(_) | Operation::ListJobs(_) => &mut counted.job_reads,
            Operation::CreateCategory => &mut counted.writes,
            _ => &mut counted.reads,
        };
        *of += traffic.calls;
        counted.note(format!("Klaviyo {operation}"), traffic.calls);
    }
    for ((call, _), calls) in shop.world.commercetools_server().calls() {
        let of = match call.starts_with("GET") || call.ends_with("/graphql") {
            true => &mut counted.reads,
            false => &mut counted.writes,
        };
        *of += calls;
        counted.note(call, calls);
    }
    counted
}

impl Measured {
    fn note(&mut self, call: String, calls: u64) {
        match self.paths.iter_mut().find(|(one, _)| *one == call) {
            Some((_, all)) => *all += calls,
            None => self.paths.push((call, calls)),
        }
    }
}
