//! A simulated world, the component in its host, and an operator who imports one resource after the other.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use host::{Host, Log, Options, Stats};
use import::operator::{Operator, Resource, State, Status};
use import::progress::Progress;
use serde_json::json;
use sim::klaviyo::{self, JobKind, Operation};
use sim::ledger::Traffic;
use sim::seed::Kind;
use sim::seed::expected::Rules;
use sim::server::{Calls, Latency};
use sim::world::{API_TOKEN, World, WorldOptions};

use crate::catalog::{self, Catalogue};
use crate::day;
use crate::settings::Settings;

/// Lines of the component's log that are kept for when something goes wrong.
const KEPT_LINES: usize = 20;
/// How often the status may fail in a row: an instance may be replaced under a request.
const FAILURES: u32 = 10;
/// The exit code of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// What is to be done about a kind of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Import all of them.
    Import,
    /// Import what has changed since the last run.
    Changes,
    /// Remove what commercetools no longer has: catalogue entries only.
    Prune,
    /// Delete all of them from Klaviyo: catalogue entries only.
    Delete,
}

impl Errand {
    /// What the start of a resource's run asks for.
    fn body(self, resource: Resource) -> serde_json::Value {
        match self {
            Self::Import => json!({}),
            Self::Changes => json!({"since": "lastRun"}),
            Self::Prune => json!({"prune": true}),
            Self::Delete => json!({"deleteAll": true, "confirmDeletion": resource.name()}),
        }
    }
}

/// World, host and operator.
pub(crate) struct Testbed {
    pub(crate) world: World,
    host: Host,
    operator: Operator,
    latest_lines: Arc<Mutex<VecDeque<String>>>,
    /// The most memory that an instance has held in earlier runs, in bytes.
    peak_memory: AtomicUsize,
}

/// A run that has ended.
pub(crate) struct Run {
    pub(crate) resource: Resource,
    pub(crate) errand: Errand,
    pub(crate) status: Status,
    /// Answers of commercetools, those to this run's operator among them, by status.
    pub(crate) commercetools: BTreeMap<u16, u64>,
    /// Answers of Klaviyo, by status.
    pub(crate) klaviyo: BTreeMap<u16, u64>,
    /// What Klaviyo was sent.
    pub(crate) traffic: Vec<(Operation, Traffic)>,
    pub(crate) catalogue: Catalogue,
}

impl Testbed {
    /// Starts all three; builds the component where it is stale. All traffic can be checked against the APIs' contracts,
    /// which costs time. With `refunds`, orders with refunds get an event for them.
    pub(crate) async fn start(
        settings: &Settings,
        check_contract: bool,
        refunds: bool,
    ) -> Result<Self> {
        let latency = |seed| Latency {
            mean: settings.latency(),
            jitter: settings.latency() / 2,
            seed,
        };
        let world = World::start(WorldOptions {
            seed: settings.shop(),
            commercetools_latency: latency(settings.seed),
            klaviyo_latency: latency(settings.seed + 1),
            klaviyo: klaviyo::Options {
                seed: settings.seed,
                job_times: settings.job_times(),
                jobs_a_page: settings.jobs_a_page,
                ..klaviyo::Options::default()
            },
            clock: settings.clock(),
            check_contract,
            rules: Rules {
                refunds,
                ..Rules::default()
            },
            ..WorldOptions::default()
        })
        .await
        .context("starting the simulated APIs")?;

        let mut variables = world.variables();
        variables.insert("memory_mib".into(), settings.memory_limit_mib.to_string());
        variables.insert("refunds".into(), refunds.to_string());
        if let Some(seconds) = settings.window_seconds {
            variables.insert("window_seconds".into(), seconds.to_string());
        }
        variables.extend(settings.variables.iter().cloned());

        let latest_lines = Arc::new(Mutex::new(VecDeque::new()));
        let host = Host::start(Options {
            variables,
            memory_limit: settings.memory_limit_mib << 20,
            clock: world.clock().clone(),
            wasi: settings.wasi,
            log: log(settings.log, Arc::clone(&latest_lines)),
            ..Options::new(&settings.manifest)
        })
        .await?;
        let operator = Operator::new(&format!("http://{}", host.address()), API_TOKEN)?;
        Ok(Self {
            world,
            host,
            operator,
            latest_lines,
            peak_memory: AtomicUsize::default(),
        })
    }

    /// Imports or deletes the resources one after the other, looking `every` so often; stops at the first that does not
    /// complete.
    pub(crate) async fn run(
        &self,
        resources: &[Resource],
        errand: Errand,
        every: Duration,
        progress: &Progress,
    ) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        for &resource in resources {
            let before = self.counted();
            let peak = self.host.take_peak_memory();
            self.peak_memory.fetch_max(peak, Ordering::Relaxed);
            // the document's own begin is the time of commercetools' responses, which is cut to the second
            let asked_at = self.world.clock().now();
            self.operator
                .start(resource, &errand.body(resource))
                .await?;
            let (status, document_bytes) = self.watch(resource, every, progress).await?;
            let completed = status.status == State::Completed;
            let took = status.finished_at.map(|end| end.duration_since(asked_at));
            let catalogue = Catalogue {
                took: took.map(|took| took.as_secs_f64()),
                jobs: self.jobs_after(before.jobs),
                document_bytes,
                peak_memory: self.host.stats().peak_memory,
            };
            let counted = self.counted();
            runs.push(counted.since(&before, resource, errand, status, catalogue));
            if !completed {
                break;
            }
        }
        Ok(runs)
    }

    /// Lets a day of changes pass, and then imports what has changed and removes what is gone.
    pub(crate) async fn nights(
        &self,
        resources: &[Resource],
        every: Duration,
        progress: &Progress,
    ) -> Result<Vec<Run>> {
        let changed = day::pass(&self.world);
        println!(
            "a day       {} products changed",
            import::figures::grouped(changed as u64)
        );
        let mut runs = self
            .run(resources, Errand::Changes, every, progress)
            .await?;
        let catalogue: Vec<Resource> = resources
            .iter()
            .copied()
            .filter(|resource| resource.is_catalogue())
            .collect();
        runs.extend(self.run(&catalogue, Errand::Prune, every, progress).await?);
        runs.iter().for_each(day::calls);
        Ok(runs)
    }

    /// The jobs after the first `so_many`, with how long they take.
    fn jobs_after(&self, so_many: usize) -> Vec<(JobKind, Duration)> {
        let jobs = self.world.klaviyo(|klaviyo| klaviyo.jobs_after(so_many));
        let jobs = jobs.into_iter().map(|(kind, _, takes)| (kind, takes));
        jobs.collect()
    }

    /// Waits for the end of a run; with it comes the most that its document took up.
    async fn watch(
        &self,
        resource: Resource,
        every: Duration,
        progress: &Progress,
    ) -> Result<(Status, usize)> {
        let mut shown = progress.show(resource);
        let mut document = 0;
        let mut failures = 0;
        loop {
            document = document.max(catalog::document_bytes(&self.world, resource.name()));
            match self.operator.status(resource).await {
                Ok(status) => {
                    failures = 0;
                    shown.update(&status);
                    if status.status != State::Running {
                        return Ok((status, document));
                    }
                    if status.chain_looks_cut {
                        self.operator.proceed(Some(resource)).await?;
                    }
                }
                Err(failure) if failures == FAILURES => return Err(failure.into()),
                Err(_) => failures += 1,
            }
            tokio::time::sleep(every).await;
        }
    }

    /// Compares what Klaviyo holds with what the imports that completed should have brought there, and says it.
    pub(crate) fn ledger(&self, runs: &[Run]) -> (bool, String) {
        let mut kinds: Vec<Kind> = runs
            .iter()
            .map(|run| match run.resource {
                Resource::Categories => Kind::Category,
                Resource::Products => Kind::Product,
                Resource::Customers => Kind::Customer,
                Resource::Orders => Kind::Order,
            })
            .collect();
        // what has been imported twice is there once
        kinds.sort_unstable_by_key(|kind| *kind as usize);
        kinds.dedup();
        match self.world.check_ledger_of(&kinds) {
            Ok(found) => {
                let found = [
                    (found.profiles, "profiles"),
                    (found.events, "events"),
                    (found.categories, "categories"),
                    (found.items, "items"),
                    (found.variants, "variants"),
                ];
                let found: Vec<_> = found
                    .into_iter()
                    .filter(|(count, _)| *count > 0)
                    .map(|(count, name)| format!("{} {name}", import::figures::grouped(count)))
                    .collect();
                (true, format!("equal to the seed ({})", found.join(", ")))
            }
            Err(differences) => (false, format!("NOT equal to the seed: {differences}")),
        }
    }

    /// How many entries of a resource's kinds Klaviyo's catalogue holds.
    pub(crate) fn entries(&self, resource: Resource) -> usize {
        let kinds: &[klaviyo::Kind] = match resource {
            Resource::Categories => &[klaviyo::Kind::Category],
            Resource::Products => &[klaviyo::Kind::Item, klaviyo::Kind::Variant],
            Resource::Customers | Resource::Orders => &[],
        };
        self.world.klaviyo(|klaviyo| {
            let catalog = klaviyo.ledger().catalog();
            kinds.iter().map(|&kind| catalog.entries(kind).len()).sum()
        })
    }

    /// What the host counted.
    pub(crate) fn stats(&self) -> Stats {
        let stats = self.host.stats();
        let earlier = self.peak_memory.load(Ordering::Relaxed);
        Stats {
            peak_memory: stats.peak_memory.max(earlier),
            ..stats
        }
    }

    /// The last lines that the component logged.
    pub(crate) fn latest_lines(&self) -> Vec<String> {
        let lines = self
            .latest_lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect()
    }

    /// Ends the host; nothing is worth waiting for.
    pub(crate) async fn end(self) {
        self.host.kill().await;
    }

    fn counted(&self) -> Counted {
        Counted {
            commercetools: by_status(self.world.commercetools_server().calls()),
            klaviyo: by_status(self.world.klaviyo_server().calls()),
            traffic: self
                .world
                .klaviyo(|klaviyo| klaviyo.ledger().all_traffic().collect()),
            jobs: self.world.klaviyo(|klaviyo| klaviyo.jobs()),
        }
    }
}

/// The APIs' counters at a moment.
struct Counted {
    commercetools: BTreeMap<u16, u64>,
    klaviyo: BTreeMap<u16, u64>,
    traffic: BTreeMap<Operation, Traffic>,
    jobs: usize,
}

impl Counted {
    fn since(
        mut self,
        before: &Self,
        resource: Resource,
        errand: Errand,
        status: Status,
        catalogue: Catalogue,
    ) -> Run {
        for (counts, earlier) in [
            (&mut self.commercetools, &before.commercetools),
            (&mut self.klaviyo, &before.klaviyo),
        ] {
            for (status, count) in counts {
                *count -= earlier.get(status).copied().unwrap_or_default();
            }
        }
        let traffic = self
            .traffic
            .into_iter()
            .map(|(operation, traffic)| {
                let earlier = before.traffic.get(&operation).copied().unwrap_or_default();
                let traffic = Traffic {
                    calls: traffic.calls - earlier.calls,
                    bytes: traffic.bytes - earlier.bytes,
                    throttled: traffic.throttled - earlier.throttled,
                    refused: traffic.refused - earlier.refused,
                };
                (operation, traffic)
            })
            .filter(|(_, traffic)| traffic.calls > 0)
            .collect();
        Run {
            resource,
            errand,
            status,
            commercetools: self.commercetools,
            klaviyo: self.klaviyo,
            traffic,
            catalogue,
        }
    }
}

fn by_status(calls: Calls) -> BTreeMap<u16, u64> {
    let mut sums = BTreeMap::new();
    for ((_, status), count) in calls {
        *sums.entry(status).or_default() += count;
    }
    sums
}

fn log(show: bool, latest: Arc<Mutex<VecDeque<String>>>) -> Log {
    Arc::new(move |line| {
        if show {
            eprintln!("{line}");
        }
        let mut latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() == KEPT_LINES {
            latest.pop_front();
        }
        latest.push_back(line.to_owned());
    })
}

/// Works until it is done or Ctrl-C comes; the world and the host go with the future. The exit code says whether all
/// was well.
pub(crate) async fn until_interrupted(
    work: impl Future<Output = Result<bool>>,
) -> Result<ExitCode> {
    tokio::select! {
        well = work => Ok(if well? { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        pressed = tokio::signal::ctrl_c() => {
            pressed.context("waiting for Ctrl-C")?;
            eprintln!("interrupted");
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}
