//! Runs the component without the Spin CLI: embedded wasmtime with Spin's interfaces, limits and defaults.
//!
//! [`Host::start`] reads `spin.toml` and serves it over real HTTP on the local machine. Tests and the demo drive it in
//! process, watch it through [`Stats`], interfere with what it sends through [`Outbound`], and kill it.
//!
//! | module | what it is about |
//! | --- | --- |
//! | `manifest`, `template`, `variables` | `spin.toml` and the values that fill it |
//! | `routes`, `allowed_hosts` | who serves a path; whom a component may call |
//! | `build`, `staleness`, `compile` | an up-to-date wasm file; its compiled code, kept between runs |
//! | `instance`, `memory` | instances, of WASI 0.2 and 0.3: state, limits, reuse, killing |
//! | `inbound`, `outbound`, `idle_body`, `tls` | the HTTP server; the way out with its pool of connections |
//! | `command` | programs that run once, such as benchmarks |
//! | `gate` | where tests hold up outbound requests |
//! | `clocks`, `log`, `spin_variables` | what guests see of time, output and variables |
//! | `threads` | what all of it runs on |
//! | `host`, `stats` | the running application and its counters |
//! | `values` | what arguments of commands look like |
//! | `world` | the world in `wit/` that the component's imports are compared with |

mod allowed_hosts;
mod build;
mod clocks;
mod command;
mod compile;
mod gate;
mod host;
mod idle_body;
mod inbound;
mod instance;
mod log;
mod manifest;
mod memory;
mod outbound;
mod routes;
mod spin_variables;
mod staleness;
mod stats;
mod template;
mod threads;
mod tls;
pub mod values;
mod variables;
mod world;

pub use build::{Wasi, build};
pub use command::run_command;
pub use compile::{exports, imports};
pub use gate::{Gate, Hold};
pub use host::{Host, Options};
pub use log::{Log, to_stdout};
pub use manifest::unknown_keys;
pub use outbound::{Held, Outbound, PassAll, Verdict};
pub use stats::Stats;
pub use tls::{tcp, with_tls};
pub use variables::environment_variable;
pub use world::world_imports;

/// wasmtime has an error type of its own; this keeps its chain of causes.
fn wasm_error(error: wasmtime::Error) -> anyhow::Error {
    anyhow::Error::from_boxed(error.into_boxed_dyn_error())
}
