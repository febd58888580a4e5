//! A running application.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use clock::Clock;
use http::uri::Authority;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use wasmtime_wasi_http::handler::ProxyHandler;

use crate::allowed_hosts::AllowedHosts;
use crate::build::{self, Artifact, Wasi};
use crate::inbound::{Application, listen};
use crate::instance::{Fleet, Limits, Served, Surroundings};
use crate::log::{Log, to_stdout};
use crate::manifest::{Component, Manifest};
use crate::outbound::{Gateway, Hooks, Outbound, PassAll};
use crate::routes::Routes;
use crate::stats::{Counters, Stats};
use crate::threads::Threads;
use crate::variables::{Sources, Variables};
use crate::{compile, wasm_error};

/// How long [`Host::shutdown`] waits for the work that is going on, in real time.
const SHUTDOWN: Duration = Duration::from_secs(30);
/// How long an end waits for a thread that is in the middle of a task.
const PATIENCE: Duration = Duration::from_secs(5);

/// How an application is run. [`Options::new`] has the defaults, which are Spin's.
#[derive(Clone)]
pub struct Options {
    /// The path of `spin.toml`.
    pub manifest: PathBuf,
    /// Values of the application's variables; they win over every other source.
    pub variables: BTreeMap<String, String>,
    /// Variables whose provider fails. Default: none.
    pub failing_variables: BTreeSet<String>,
    /// Whether variables also come from the environment (`SPIN_VARIABLE_<NAME>`) and from `.env` in the current directory.
    /// Default: no.
    pub environment: bool,
    /// Where to listen. Default: 127.0.0.1, on a port that the system chooses.
    pub listen: SocketAddr,
    /// The most linear memory that an instance may hold, in bytes. Default: 128 MiB.
    pub memory_limit: usize,
    /// How long a request, and then the work after its response, may take on `clock`. Spin bounds instances of WASI 0.3 only
    /// (`--request-timeout`); here both are, as hosted platforms bound both. Default: no limit.
    pub request_timeout: Option<Duration>,
    /// How many requests an instance serves before it is replaced; of WASI 0.2 it is one in any case. Default: 128.
    pub max_instance_reuse: usize,
    /// How many requests an instance serves at the same time. Default: 16.
    pub max_instance_concurrency: usize,
    /// How long an instance without work is kept, on `clock`. Default: 1 s.
    pub idle_timeout: Duration,
    /// The guest's clock, and that of the limits here. Default: the real time.
    pub clock: Clock,
    /// What becomes of outbound requests. Default: [`PassAll`].
    pub outbound: Arc<dyn Outbound>,
    /// Takes what guests write, line by line. Default: standard output.
    pub log: Log,
    /// Whether a stale component is built first. Default: yes.
    pub build: bool,
    /// What it is built for. Default: WASI 0.2.
    pub wasi: Wasi,
}

impl Options {
    /// The defaults for the manifest at `manifest`.
    pub fn new(manifest: impl Into<PathBuf>) -> Self {
        Self {
            manifest: manifest.into(),
            variables: BTreeMap::new(),
            failing_variables: BTreeSet::new(),
            environment: false,
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            memory_limit: 128 << 20,
            request_timeout: None,
            max_instance_reuse: 128,
            max_instance_concurrency: 16,
            idle_timeout: Duration::from_secs(1),
            clock: Clock::new(1.0),
            outbound: Arc::new(PassAll),
            log: to_stdout(),
            build: true,
            wasi: Wasi::default(),
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            memory: self.memory_limit,
            request_timeout: self.request_timeout,
            max_reuse: self.max_instance_reuse,
            max_concurrency: self.max_instance_concurrency,
            idle_timeout: self.idle_timeout,
        }
    }
}

/// A running application. Dropping it is a [`kill`](Self::kill) that is not waited for.
///
/// Everything that belongs to it, guests, connections and timers, lives on threads of its own, so that it ends with them.
pub struct Host {
    /// Taken only when the host ends.
    threads: Option<Threads>,
    address: SocketAddr,
    listening: JoinHandle<std::convert::Infallible>,
    is_closed: Arc<AtomicBool>,
    fleet: Arc<Fleet>,
    counters: Arc<Counters>,
}

impl Host {
    /// Reads the manifest, builds what is stale, compiles, and listens.
    ///
    /// # Errors
    /// When the manifest is wrong, a required variable has no value, the build fails, a component does not fit this host,
    /// or the address cannot be had.
    pub async fn start(options: Options) -> Result<Self> {
        // Building and compiling block for seconds.
        tokio::task::spawn_blocking(|| Self::start_blocking(options))
            .await
            .context("starting the host")?
    }

    fn start_blocking(options: Options) -> Result<Self> {
        let (manifest, unknown) = Manifest::read(&options.manifest)?;
        for key in unknown {
            eprintln!("host: warning: the manifest's `{key}` is not known here and has no effect");
        }
        let sources = if options.environment {
            Sources::read(options.variables.clone(), Path::new(".env"))?
        } else {
            Sources {
                given: options.variables.clone(),
                ..Sources::default()
            }
        };
        let variables = Variables::resolve(&manifest.variables, &sources)?;
        let routes = Routes::new(&manifest.trigger.http)?;

        let (threads, clock) = Threads::start(&options.clock)?;
        let listener = {
            let _entered = threads.handle().enter();
            let listener = std::net::TcpListener::bind(options.listen)
                .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
                .and_then(TcpListener::from_std);
            listener.with_context(|| format!("listening on {}", options.listen))?
        };
        let address = listener.local_addr()?;

        let fleet = Arc::new(Fleet::new());
        let counters = Arc::new(Counters::default());
        let gateway = Arc::new(Gateway::new(
            Authority::try_from(address.to_string())?,
            clock.clone(),
            options.outbound.clone(),
            fleet.clone(),
            counters.clone(),
        ));
        let mut components = BTreeMap::new();
        for (id, component) in &manifest.component {
            let mut values = component_variables(component, &variables, id)?;
            for name in &options.failing_variables {
                values.insert(name.clone(), None);
            }
            let around = Surroundings {
                variables: Arc::new(values),
                hooks: Hooks {
                    gateway: gateway.clone(),
                    allowed: Arc::new(allowed_hosts(component, &variables, id)?),
                },
                fleet: fleet.clone(),
                counters: counters.clone(),
                limits: options.limits(),
                clock: clock.clone(),
                log: options.log.clone(),
            };
            let code = code(component, &options)?;
            let served = Served::new(id.clone(), &code, around)
                .map_err(wasm_error)
                .with_context(|| format!("linking component `{id}`"))?;
            components.insert(id.clone(), ProxyHandler::new(served));
        }
        let is_closed = Arc::new(AtomicBool::new(false));
        let application = Arc::new(Application {
            is_closed: is_closed.clone(),
            routes,
            components,
            fleet: fleet.clone(),
            counters: counters.clone(),
            clock,
        });
        let listening = threads.handle().spawn(listen(listener, application));
        Ok(Self {
            threads: Some(threads),
            address,
            listening,
            is_closed,
            fleet,
            counters,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What happened so far.
    pub fn stats(&self) -> Stats {
        self.counters.snapshot()
    }

    /// The most linear memory that a single instance has held, in bytes, since this was last asked for; of an instance
    /// that was there by then, only if it has grown since.
    #[must_use]
    pub fn take_peak_memory(&self) -> usize {
        self.counters.take_peak_memory()
    }

    /// Drops every instance at once, as a platform may at any time; returns when they are gone. The host keeps listening,
    /// and the next request gets a new instance. Requests that were being served end in a broken connection.
    pub async fn kill_instances(&self) {
        self.fleet.kill().closed().await;
    }

    /// Ends everything at once, as SIGKILL would: nothing that was going on is waited for. Returns when all of it is gone.
    pub async fn kill(mut self) {
        self.fleet.kill();
        self.end().await;
    }

    /// Takes no further request, not even the application's own for its next window; lets instances finish their work (30 s
    /// at most), and ends.
    pub async fn shutdown(mut self) {
        self.is_closed.store(true, Ordering::Release);
        self.listening.abort();
        let _ = tokio::time::timeout(SHUTDOWN, self.fleet.generation().closed()).await;
        self.end().await;
    }

    async fn end(&mut self) {
        if let Some(threads) = self.threads.take() {
            // A runtime must not be shut down, and waited for, from within another one.
            let _ = tokio::task::spawn_blocking(move || threads.end(PATIENCE)).await;
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            self.fleet.kill();
            threads.end_some_time();
        }
    }
}

fn component_variables(
    component: &Component,
    variables: &Variables,
    id: &str,
) -> Result<BTreeMap<String, Option<String>>> {
    component
        .variables
        .iter()
        .map(|(name, template)| {
            let value = variables
                .render(template)
                .with_context(|| format!("variable `{name}` of component `{id}`"))?;
            Ok((name.clone(), Some(value)))
        })
        .collect()
}

fn allowed_hosts(component: &Component, variables: &Variables, id: &str) -> Result<AllowedHosts> {
    let entries = component
        .allowed_outbound_hosts
        .iter()
        .map(|template| variables.render(template))
        .collect::<Result<Vec<_>>>();
    entries
        .and_then(|entries| AllowedHosts::parse(&entries))
        .with_context(|| format!("component `{id}`"))
}

fn code(component: &Component, options: &Options) -> Result<wasmtime::component::Component> {
    let artifact = Artifact::of(build::root_of(&options.manifest), component, options.wasi);
    let cache = artifact.target.join("host-cache");
    compile::component(&artifact.wasm, &cache, || match options.build {
        true => artifact.refresh(),
        false => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
        spin_manifest_version = 2
        application.name = "none"
        variables.token.required = true
        [[trigger.http]]
        route = "/..."
        component = "none"
        [component.none]
        source = "none.wasm"
        allowed_outbound_hosts = ["{{ token }}"]
    "#;

    async fn start(name: &str, variables: &[(&str, &str)]) -> String {
        let manifest =
            std::env::temp_dir().join(format!("host-{name}-{}.toml", std::process::id()));
        std::fs::write(&manifest, MANIFEST).unwrap();
        let started = Host::start(Options {
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..Options::new(&manifest)
        })
        .await;
        std::fs::remove_file(manifest).unwrap();
        format!("{:#}", started.err().unwrap())
    }

    #[tokio::test]
    async fn a_missing_variable_stops_the_start_by_name() {
        let error = start("missing", &[]).await;
        assert!(error.contains("`token`"), "{error}");
    }

    #[tokio::test]
    async fn a_wrong_host_and_a_missing_file_stop_the_start_by_name() {
        let error = start("host", &[("token", "example.com")]).await;
        assert!(error.contains("`example.com`"), "{error}");
        let error = start("file", &[("token", "http://example.com")]).await;
        assert!(error.contains("none.wasm"), "{error}");
    }
}
