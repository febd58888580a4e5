//! The command line: see `host --help`.

mod commands;

use clap::{Parser, Subcommand};

/// Runs the component without the Spin CLI.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the application until Ctrl-C.
    Serve(commands::serve::Arguments),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Serve(arguments) => commands::serve::run(arguments).await,
    }
}
