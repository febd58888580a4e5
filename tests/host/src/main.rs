//! The command line: see `host --help`.

mod commands;

use std::path::PathBuf;
use std::process::ExitCode;

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
    /// Run a command of `wasi:cli`.
    Run {
        /// The command's file
        wasm: PathBuf,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Serve(arguments) => {
            commands::serve::run(arguments).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Run { wasm } => match host::run_command(&wasm).await? {
            true => Ok(ExitCode::SUCCESS),
            false => Ok(ExitCode::FAILURE),
        },
    }
}
