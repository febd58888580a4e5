//! `cargo run -p sim`: a simulated commercetools and Klaviyo to point a component at.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use clock::Clock;
use sim::faults::{Fault, Rule};
use sim::klaviyo::{self, Choice};
use sim::seed::{Kind, Seed, Sizes};
use sim::server::Latency;
use sim::world::{World, WorldOptions};

/// Simulated commercetools and Klaviyo on 127.0.0.1, until Ctrl-C. It exits with 0 only if Klaviyo then has all that the
/// project holds.
#[derive(Parser)]
struct Arguments {
    /// Write the variables into this file, such as the `.env` that `cargo import` reads, once both APIs can be called; without
    /// this they are printed
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Port of commercetools (0: any free one)
    #[arg(long, default_value_t = 0)]
    commercetools_port: u16,
    /// Port of Klaviyo (0: any free one)
    #[arg(long, default_value_t = 0)]
    klaviyo_port: u16,
    /// Customers in the project
    #[arg(long, default_value_t = 1_000)]
    customers: u32,
    /// Orders in the project
    #[arg(long, default_value_t = 1_000)]
    orders: u32,
    /// Categories in the project
    #[arg(long, default_value_t = 100)]
    categories: u32,
    /// Products in the project
    #[arg(long, default_value_t = 500)]
    products: u32,
    /// About how long an order is on average, in bytes
    #[arg(long, default_value_t = 8_000)]
    order_mean_bytes: usize,
    /// Decides the records, the jitter and the faults
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long answers take on average, half as much more or less
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Share of calls answered 503
    #[arg(long, default_value_t = 0.0)]
    refuse: f64,
    /// Share of calls that are lost before they have an effect
    #[arg(long, default_value_t = 0.0)]
    lose_requests: f64,
    /// Share of calls whose answer is lost after they have had their effect
    #[arg(long, default_value_t = 0.0)]
    lose_answers: f64,
    /// So many customers are rejected by Klaviyo, those with the first ids
    #[arg(long, default_value_t = 0)]
    reject_customers: usize,
    /// Simulated seconds in a real one
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Jobs take all of the recorded times, and not only those under a minute
    #[arg(long)]
    slow_jobs: bool,
    /// The jobs' times are multiplied by this
    #[arg(long, default_value_t = 1.0)]
    job_scale: f64,
    /// Without Klaviyo's rate limits
    #[arg(long)]
    no_limits: bool,
    /// Without checking calls and answers against the contracts, which costs time
    #[arg(long)]
    no_contract: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let world = World::start(options(&arguments)).await?;
    add_faults(&world, &arguments);
    reject_customers(&world, arguments.reject_customers);
    let variables = dotenv(&world);
    match &arguments.env_file {
        Some(file) => write(file, &variables)?,
        None => print!("{variables}"),
    }
    tokio::signal::ctrl_c().await?;
    Ok(match report(&world) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The variables as a `.env` file has them. Between single quotes nothing is replaced.
fn dotenv(world: &World) -> String {
    let mut text = String::new();
    for (name, value) in world.variables() {
        let _ = writeln!(text, "SPIN_VARIABLE_{}='{value}'", name.to_uppercase());
    }
    text
}

/// Writes a file that is there whole or not at all: whoever waits for it may read it.
fn write(file: &Path, text: &str) -> Result<()> {
    let partial = file.with_extension("partial");
    std::fs::write(&partial, text)
        .and_then(|()| std::fs::rename(&partial, file))
        .with_context(|| format!("writing {}", file.display()))?;
    eprintln!("the variables are in {}; Ctrl-C ends", file.display());
    Ok(())
}

fn reject_customers(world: &World, count: usize) {
    let ids = world.commercetools(|project| project.ids(Kind::Customer));
    let ids = ids.iter().take(count).map(ToString::to_string);
    world.klaviyo(|klaviyo| klaviyo.options_mut().refuse_profiles = Choice::ids(ids));
}

fn options(arguments: &Arguments) -> WorldOptions {
    let mean = Duration::from_millis(arguments.latency_ms);
    let latency = |seed| Latency {
        mean,
        jitter: mean / 2,
        seed,
    };
    WorldOptions {
        seed: Seed {
            number: arguments.seed,
            sizes: Sizes {
                customers: arguments.customers,
                orders: arguments.orders,
                categories: arguments.categories,
                products: arguments.products,
            },
            order_mean_bytes: arguments.order_mean_bytes,
            ..Seed::default()
        },
        commercetools_latency: latency(arguments.seed),
        klaviyo_latency: latency(arguments.seed + 1),
        klaviyo: klaviyo::Options {
            rate_limits: !arguments.no_limits,
            seed: arguments.seed,
            job_times: klaviyo::JobTimes::Recorded {
                which: match arguments.slow_jobs {
                    true => klaviyo::Recorded::All,
                    false => klaviyo::Recorded::Usual,
                },
                scale: arguments.job_scale,
            },
            ..klaviyo::Options::default()
        },
        clock: Clock::new(arguments.speed),
        check_contract: !arguments.no_contract,
        commercetools_port: arguments.commercetools_port,
        klaviyo_port: arguments.klaviyo_port,
        ..WorldOptions::default()
    }
}

fn add_faults(world: &World, arguments: &Arguments) {
    let refuse = Fault::refuse(503);
    for (share, fault) in [
        (arguments.refuse, refuse),
        (arguments.lose_requests, Fault::LoseRequest),
        (arguments.lose_answers, Fault::LoseAnswer),
    ] {
        for faults in [world.commercetools_faults(), world.klaviyo_faults()] {
            if share > 0.0 {
                faults.add(Rule::chance(share, fault.clone()));
            }
        }
    }
}

/// Prints what was called and what arrived. Gives whether all is as it should be.
fn report(world: &World) -> bool {
    println!();
    for server in [world.commercetools_server(), world.klaviyo_server()] {
        for ((operation, status), count) in server.calls() {
            println!("{count:>8}  {status:<3}  {operation}");
        }
    }
    let violations = world.violations();
    for violation in &violations {
        println!("contract: {violation}");
    }
    let ledger = world.check_ledger();
    match &ledger {
        Ok(summary) => println!("Klaviyo has it all: {summary:?}"),
        Err(differences) => println!("{differences}"),
    }
    violations.is_empty() && ledger.is_ok()
}
