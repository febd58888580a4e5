//! Commands of `wasi:cli`: programs that run once, under the engine that components run under.

use std::path::Path;

use anyhow::{Context, Result};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxView, WasiView};

use crate::{compile, wasm_error};

/// Runs the command at `wasm` with this process's standard streams; `false` where it says that it failed.
///
/// # Errors
/// When the file is not a command of WASI 0.2, or traps.
pub async fn run_command(wasm: &Path) -> Result<bool> {
    run(compile::engine()?, wasm)
        .await
        .map_err(wasm_error)
        .with_context(|| format!("running {}", wasm.display()))
}

async fn run(engine: &Engine, wasm: &Path) -> wasmtime::Result<bool> {
    let component = Component::from_file(engine, wasm)?;
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    let state = State {
        table: ResourceTable::new(),
        wasi: WasiCtx::builder().inherit_stdio().build(),
    };
    let mut store = Store::new(engine, state);
    // As components do, it pauses at every tick.
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    let command = Command::instantiate_async(&mut store, &component, &linker).await?;
    let outcome = command.wasi_cli_run().call_run(&mut store).await?;
    Ok(outcome.is_ok())
}

struct State {
    table: ResourceTable,
    wasi: WasiCtx,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
