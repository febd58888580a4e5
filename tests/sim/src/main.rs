//! `cargo run -p sim`: a simulated commercetools and Klaviyo to point a component at.

use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use clock::Clock;
use sim::faults::{Fault, Rule};
use sim::klaviyo;
use sim::seed::{Seed, Sizes};
use sim::server::Latency;
use sim::world::{World, WorldOptions};

/// Simulated commercetools and Klaviyo on 127.0.0.1, until Ctrl-C.
#[derive(Parser)]
struct Arguments {
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
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let world = World::start(options(&arguments)).await?;
    add_faults(&world, &arguments);
    for (name, value) in world.variables() {
        println!("SPIN_VARIABLE_{}='{value}'", name.to_uppercase());
    }
    tokio::signal::ctrl_c().await?;
    report(&world);
    Ok(())
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

fn report(world: &World) {
    println!();
    for server in [world.commercetools_server(), world.klaviyo_server()] {
        for ((operation, status), count) in server.calls() {
            println!("{count:>8}  {status:<3}  {operation}");
        }
    }
    for violation in world.violations() {
        println!("contract: {violation}");
    }
    match world.check_ledger() {
        Ok(summary) => println!("Klaviyo has it all: {summary:?}"),
        Err(differences) => println!("{differences}"),
    }
}
