//! The component in its host, between simulated commercetools and Klaviyo: `cargo demo` and `cargo bench-import`.
//!
//! | module | what it is about |
//! | --- | --- |
//! | `demo`, `bench` | the two commands |
//! | `catalog` | runs of the catalogue beside a perfect client |
//! | `day` | what the nights after a day of changes come to |
//! | `settings` | what both let choose |
//! | `testbed` | world, host and operator |
//! | `report` | what is printed at the end |
//!
//! The client of the component's API and the progress are those of `cargo import`.

mod bench;
mod catalog;
mod day;
mod demo;
mod report;
mod settings;
mod testbed;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Imports of a simulated shop by the real component.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Import a simulated shop into a simulated Klaviyo, and watch.
    Demo(demo::Arguments),
    /// Measure an import of a large simulated shop.
    Bench(bench::Arguments),
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Bench(arguments) => bench::run(arguments).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn each_command_has_sizes_of_its_own() {
        Arguments::command().debug_assert();
        let demo = Arguments::try_parse_from(["demo", "demo"]).map(|arguments| arguments.command);
        let Ok(Command::Demo(demo)) = demo else {
            panic!("no demo");
        };
        assert_eq!(demo.settings.shop().sizes.customers, 5_000);
        let bench = Arguments::try_parse_from(["demo", "bench", "--orders", "7"]);
        let Ok(Command::Bench(bench)) = bench.map(|arguments| arguments.command) else {
            panic!("no bench");
        };
        let sizes = bench.settings.shop().sizes;
        assert_eq!((sizes.customers, sizes.orders), (100_000, 7));
    }
}
