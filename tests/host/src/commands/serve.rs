//! `host serve`: as `spin up`, on the local machine.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clock::Clock;
use host::values::{seconds, speed, variable, wasi};
use host::{Host, Options, Wasi};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:6779")]
    listen: SocketAddr,
    /// The application's manifest.
    #[arg(long, default_value = "spin.toml")]
    manifest: PathBuf,
    /// The WASI version that the component is built for.
    #[arg(long, value_name = "VERSION", default_value = "0.2", value_parser = wasi)]
    wasi: Wasi,
    /// The value of a variable; wins over SPIN_VARIABLE_<NAME>, .env and the manifest's default.
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,
    /// The most memory that an instance may hold.
    #[arg(long, value_name = "MIB", default_value_t = 128)]
    memory_limit_mib: usize,
    /// How long a request, and then the work after its response, may take [default: no limit].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    request_timeout: Option<Duration>,
    /// How many requests an instance of WASI 0.3 serves before it is replaced; one of 0.2 serves one.
    #[arg(long, value_name = "COUNT", default_value_t = 128)]
    max_instance_reuse: usize,
    /// How many requests an instance of WASI 0.3 serves at the same time.
    #[arg(long, value_name = "COUNT", default_value_t = 16)]
    max_instance_concurrent_reuse: usize,
    /// How long an instance of WASI 0.3 without work is kept.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    idle_instance_timeout: Duration,
    /// How many times as fast as the real time the component's clocks run.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = speed)]
    clock_speed: f64,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let host = Host::start(Options {
        variables: arguments.variables.into_iter().collect(),
        environment: true,
        listen: arguments.listen,
        memory_limit: arguments.memory_limit_mib << 20,
        request_timeout: arguments.request_timeout,
        max_instance_reuse: arguments.max_instance_reuse,
        max_instance_concurrency: arguments.max_instance_concurrent_reuse,
        idle_timeout: arguments.idle_instance_timeout,
        clock: Clock::new(arguments.clock_speed),
        wasi: arguments.wasi,
        ..Options::new(arguments.manifest)
    })
    .await?;
    let address = host.address();
    eprintln!("host: serving on http://{address}; the page is at http://{address}/sync/page");
    tokio::signal::ctrl_c()
        .await
        .context("waiting for Ctrl-C")?;
    // A second Ctrl-C does not want to wait.
    tokio::select! {
        () = host.shutdown() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(())
}
