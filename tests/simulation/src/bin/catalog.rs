//! `cargo bench-catalog`: the import of a large catalog in virtual time, created, imported again and deleted, beside what
//! a perfect client would have needed with the same jobs. It prints and does not judge: only a wrong ledger ends it.
//!
//! Computing takes no time here, but calls take as long as they are told to, and jobs as long as recorded ones: what is
//! measured is how long the import waits for something that it could have avoided. `cargo bench-import` measures the
//! component itself.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use clap::{Parser, ValueEnum};
use http::Response;
use jiff::Timestamp;
use klaviyo_bulk_import::run::state::Resource;
use native::environment::{Answered, Destination};
use native::shop::run_with;
use native::{CONTAINER, Interceptor, Operator, Setup, Shop};
use serde_json::json;
use sim::commercetools::UnknownAttributes;
use sim::klaviyo::{JobKind, JobTimes, Operation, RateHeaders, Windows, perfect_time};
use sim::ledger::Traffic;
use sim::seed::{Kind, Shop as Kept};

/// The steps of a timeline.
const STEP: Duration = Duration::from_secs(5);

#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Products
    #[arg(long, default_value_t = 20_000)]
    products: u32,
    /// How often, each time with other times of jobs
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// How long jobs take; both if absent
    #[arg(long)]
    times: Option<Times>,
    /// Jobs on a page of Klaviyo's list of jobs. At most 100 are documented; how many there are was never recorded
    #[arg(long, default_value_t = 100)]
    jobs_a_page: usize,
    /// When jobs were submitted and how many were under way, every five seconds, and how often each kind was asked for
    #[arg(long)]
    timeline: bool,
    /// The mean time of a call
    #[arg(long, default_value_t = 300)]
    latency_ms: u64,
    /// How the shop keeps variants and prices
    #[arg(long, default_value = "usual")]
    shop: ShopKind,
    /// Whether commercetools ignores that no attributes are wanted, and products arrive with all of them
    #[arg(long)]
    with_attributes: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum ShopKind {
    /// In the products
    Usual,
    /// Prices are standalone
    Standalone,
    /// Variants, prices and stock are resources of their own
    Modular,
    /// Some products of each kind
    Mixed,
}

#[derive(Clone, Copy, ValueEnum)]
enum Times {
    /// The recorded times under a minute
    Usual,
    /// All recorded times
    Recorded,
}

/// What one import was like.
struct Measured {
    took: f64,
    bound: f64,
    /// The bound of a client that does not know where the windows begin.
    safe_bound: f64,
    jobs: u64,
    /// Pages of lists of finished jobs that were read.
    listed: u64,
    /// Reads of single jobs.
    polled: u64,
    other_calls: u64,
    throttled: u64,
    document: usize,
    /// Bytes of commercetools' responses.
    read_bytes: u64,
}

/// Counts the bytes of commercetools' responses.
#[derive(Default)]
struct ReadBytes(Cell<u64>);

impl Interceptor for ReadBytes {
    fn response(&self, to: Destination, _call: &str, response: Response<Bytes>) -> Answered {
        if to == Destination::Commercetools {
            self.0.set(self.0.get() + response.body().len() as u64);
        }
        Ok(response)
    }
}

fn main() {
    let arguments = Arguments::parse();
    println!(
        "{:<9} {:<7} {:>4} {:>8} {:>8} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>7} {:>4} {:>9} {:>7}",
        "times",
        "what",
        "seed",
        "took s",
        "bound s",
        "ratio",
        "safe s",
        "ratio",
        "jobs",
        "pages",
        "polls",
        "a job",
        "calls",
        "429",
        "document",
        "read MB"
    );
    let chosen = match arguments.times {
        Some(times) => vec![times],
        None => vec![Times::Usual, Times::Recorded],
    };
    for times in chosen {
        let mut ratios: [Vec<f64>; 3] = Default::default();
        for seed in 0..arguments.seeds {
            let measured = measure(&arguments, times, seed);
            for ((what, measured), ratios) in measured.into_iter().zip(&mut ratios) {
                ratios.push(measured.took / measured.bound);
                print(times, what, seed, &measured);
            }
        }
        let medians = ratios.map(|mut ratios| {
            ratios.sort_by(f64::total_cmp);
            ratios.get(ratios.len() / 2).copied().unwrap_or_default()
        });
        let [create, again, delete] = medians;
        let name = name(times);
        println!(
            "{name}: medians of the ratios: create {create:.3}, again {again:.3}, delete {delete:.3}"
        );
    }
}

fn name(times: Times) -> &'static str {
    match times {
        Times::Usual => "usual",
        Times::Recorded => "recorded",
    }
}

fn print(times: Times, what: &str, seed: u64, measured: &Measured) {
    let Measured {
        took,
        bound,
        safe_bound,
        jobs,
        listed,
        polled,
        other_calls,
        throttled,
        document,
        read_bytes,
    } = measured;
    let reads_a_job = (listed + polled) as f64 / (*jobs).max(1) as f64;
    println!(
        "{:<9} {what:<7} {seed:>4} {took:>8.1} {bound:>8.1} {:>6.3} {safe_bound:>6.1} {:>6.3} {jobs:>6} {listed:>6} {polled:>6} \
         {reads_a_job:>6.3} {other_calls:>7} {throttled:>4} {:>6} KB {:>7.1}",
        name(times),
        took / bound,
        took / safe_bound,
        document / 1000,
        *read_bytes as f64 / 1e6,
    );
}

/// Creates the catalog, imports it again, and deletes it.
fn measure(arguments: &Arguments, times: Times, seed: u64) -> Vec<(&'static str, Measured)> {
    let mut setup = Setup::catalog(0, arguments.products).latency_ms(arguments.latency_ms);
    setup.shop = match arguments.shop {
        ShopKind::Usual => Kept::Usual,
        ShopKind::Standalone => Kept::Standalone,
        ShopKind::Modular => Kept::Modular,
        ShopKind::Mixed => Kept::Mixed,
    };
    setup.check_contract = false;
    setup.longest = Duration::from_hours(24);
    setup.klaviyo.seed = seed;
    setup.klaviyo.jobs_a_page = arguments.jobs_a_page;
    setup.klaviyo.rate_headers = RateHeaders::Recorded;
    setup.klaviyo.job_times = match times {
        Times::Usual => JobTimes::USUAL,
        Times::Recorded => JobTimes::RECORDED,
    };
    let deletion = json!({"deleteAll": true, "confirmDeletion": "products"}).to_string();
    let has_timeline = arguments.timeline;
    let read = Rc::new(ReadBytes::default());
    let with_attributes = arguments.with_attributes;
    run_with(setup, read.clone(), async move |shop| {
        if with_attributes {
            let how = UnknownAttributes::Ignored;
            shop.world
                .commercetools(|project| project.answer_unknown_attributes(how));
        }
        let mut all = Vec::new();
        for (what, body) in [("create", ""), ("again", ""), ("delete", &deletion)] {
            read.0.set(0);
            let measured = one(&shop, body, has_timeline).await;
            let read_bytes = read.0.get();
            let measured = Measured {
                read_bytes,
                ..measured
            };
            all.push((what, measured));
            if what != "delete" {
                let checked = shop.world.check_ledger_of(&[Kind::Product]);
                assert!(checked.is_ok(), "{checked:?}");
            }
        }
        all
    })
}

async fn one(shop: &Shop, body: &str, has_timeline: bool) -> Measured {
    let before = shop.world.klaviyo(|klaviyo| klaviyo.jobs());
    let traffic = traffic(shop);
    let begun = shop.world.clock().now();
    shop.start("products", body).await;
    let mut document = 0;
    let mut lines = shop.log().len();
    let status = loop {
        document = document.max(document_bytes(shop));
        if has_timeline {
            let after = shop.world.clock().now().duration_since(begun).as_secs_f64();
            for line in shop.log().split_off(lines) {
                println!("  {after:.1} s: {line}");
                lines += 1;
            }
        }
        let status = shop.status("products").await;
        if status["status"] != "running" {
            break status;
        }
        shop.pass(Duration::from_millis(500)).await;
    };
    assert_eq!(status["status"], "completed", "{status}");
    let ended: Timestamp = native::operator::moment(&status["finishedAt"]);
    let jobs = shop.world.klaviyo(|klaviyo| klaviyo.jobs_after(before));
    let times: Vec<_> = jobs.iter().map(|&(kind, _, takes)| (kind, takes)).collect();
    if has_timeline {
        print_timeline(begun, ended, &jobs);
        print_reads(&traffic, &self::traffic(shop));
    }
    let of = |is_it: fn(Operation) -> bool| {
        let calls = self::traffic(shop).into_iter();
        let calls: u64 = calls
            .filter(|(one, _)| is_it(*one))
            .map(|(_, of)| of.calls)
            .sum();
        let earlier = traffic.iter().filter(|(one, _)| is_it(*one));
        calls - earlier.map(|(_, of)| of.calls).sum::<u64>()
    };
    let is_poll = |one| matches!(one, Operation::GetJob(JobKind::Catalog(..)));
    let is_list = |one| matches!(one, Operation::ListJobs(JobKind::Catalog(..)));
    let is_job = |one| matches!(one, Operation::StartJob(_));
    let throttled =
        |of: &[(Operation, Traffic)]| of.iter().map(|(_, of)| of.throttled).sum::<u64>();
    Measured {
        took: ended.duration_since(begun).as_secs_f64(),
        bound: perfect_time(&times, Windows::FromStart).as_secs_f64(),
        safe_bound: perfect_time(&times, Windows::Unknown).as_secs_f64(),
        jobs: of(is_job),
        listed: of(is_list),
        polled: of(is_poll),
        other_calls: of(|_| true) - of(is_job) - of(is_list) - of(is_poll),
        throttled: throttled(&self::traffic(shop)) - throttled(&traffic),
        document,
        read_bytes: 0,
    }
}

fn traffic(shop: &Shop) -> Vec<(Operation, Traffic)> {
    shop.world
        .klaviyo(|klaviyo| klaviyo.ledger().all_traffic().collect())
}

/// How often each kind of jobs was submitted, listed and polled.
fn print_reads(before: &[(Operation, Traffic)], after: &[(Operation, Traffic)]) {
    for (one, of) in after {
        if let Operation::StartJob(_) | Operation::GetJob(_) | Operation::ListJobs(_) = one {
            let earlier = before.iter().find(|(other, _)| other == one);
            let calls = of.calls - earlier.map_or(0, |(_, of)| of.calls);
            println!("  {one}: {calls}");
        }
    }
}

/// What the run document takes up.
fn document_bytes(shop: &Shop) -> usize {
    let key = Resource::Products.to_string();
    shop.world.commercetools(|project| {
        let stored = project.custom_object(CONTAINER, &key);
        stored.map_or(0, |stored| stored.value.to_string().len())
    })
}

/// For each kind of jobs: how many were submitted in each five seconds, and how many were under way at their end.
fn print_timeline(begun: Timestamp, ended: Timestamp, jobs: &[(JobKind, Timestamp, Duration)]) {
    let kinds: BTreeSet<JobKind> = jobs.iter().map(|&(kind, ..)| kind).collect();
    for kind in kinds {
        let of_kind = || jobs.iter().filter(|(of, ..)| *of == kind);
        let after = |moment: Timestamp| moment.duration_since(begun).as_secs_f64();
        let submitted = of_kind().map(|&(_, at, _)| after(at));
        let (first, last) = submitted.fold((f64::MAX, 0.0_f64), |(first, last), at| {
            (first.min(at), last.max(at))
        });
        let finished = of_kind().map(|&(_, at, takes)| after(at + takes));
        let finished = finished.fold(0.0, f64::max);
        println!(
            "  {}: submitted from {first:.1} to {last:.1} s, finished at {finished:.1} s",
            kind.resource()
        );
        print!("  {}:", kind.resource());
        let mut from = begun;
        while from < ended {
            let to = from + STEP;
            let submitted = of_kind().filter(|(_, at, _)| (from..to).contains(at));
            let is_under_way = |at: Timestamp, takes| at < to && at + takes >= to;
            let under_way = of_kind().filter(|&&(_, at, takes)| is_under_way(at, takes));
            print!(" +{}={}", submitted.count(), under_way.count());
            from = to;
        }
        println!();
    }
}
