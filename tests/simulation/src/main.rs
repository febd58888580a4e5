//! Runs seeds and says which failed: see `simulation --help`.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use simulation::{Outcome, Schedule, run};

/// Imports in a simulated world, where one seed is one exact history.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Runs this seed alone and prints its history
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Seeds at a time
    #[arg(long, default_value_t = 2)]
    threads: u64,
    /// Only seeds that set this trap, such as `SlowPages`
    #[arg(long)]
    trap: Option<String>,
    /// Only seeds whose shop lives on after its import, with nights
    #[arg(long)]
    nights: bool,
    /// Goes on after a seed that failed, and prints which others do
    #[arg(long)]
    all: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => one(seed),
        None => many(&arguments),
    }
}

fn one(seed: u64) -> ExitCode {
    let outcome = run(seed);
    tell(&outcome);
    if outcome.is_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn many(arguments: &Arguments) -> ExitCode {
    let begun = Instant::now();
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from + arguments.seeds;
    let ran = AtomicU64::new(0);
    let failed: Mutex<Vec<Outcome>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let trap = arguments.trap.as_deref();
                    let is_other = |schedule: &Schedule| {
                        let lacks_nights = arguments.nights && !schedule.lives_on();
                        lacks_nights || trap.is_some_and(|name| !schedule.sets(name))
                    };
                    if (arguments.nights || trap.is_some()) && is_other(&Schedule::draw(seed)) {
                        continue;
                    }
                    ran.fetch_add(1, Ordering::Relaxed);
                    let outcome = run(seed);
                    if !outcome.is_well() {
                        if arguments.all {
                            println!(
                                "seed {seed}: {:?}: {}",
                                outcome.schedule.goal,
                                outcome.wrong.join("; ")
                            );
                        } else {
                            next.store(end, Ordering::Relaxed);
                        }
                        if let Ok(mut failed) = failed.lock() {
                            failed.push(outcome);
                        }
                    }
                }
            });
        }
    });
    let seconds = begun.elapsed().as_secs_f64();
    let mut failed = failed.into_inner().unwrap_or_default();
    failed.sort_by_key(|outcome| outcome.schedule.seed);
    let done = ran.into_inner();
    println!(
        "{done} seeds in {seconds:.1} s, {:.1} seeds/s, {} failed",
        done as f64 / seconds,
        failed.len()
    );
    match failed.first() {
        None => ExitCode::SUCCESS,
        Some(first) => {
            if !arguments.all {
                tell(first);
            }
            ExitCode::FAILURE
        }
    }
}

fn tell(outcome: &Outcome) {
    println!("{:#?}", outcome.schedule);
    for line in &outcome.history {
        println!("{line}");
    }
    println!("digest {:016x}", outcome.digest);
    if outcome.is_well() {
        println!("as it should be");
    }
    for wrong in &outcome.wrong {
        println!("WRONG: {wrong}");
    }
}
