//! Compiles components, once per process and once per machine: the code that Cranelift made is kept on disk.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

use crate::wasm_error;

/// How often guests that compute without end are asked to give way.
const TICK: Duration = Duration::from_millis(10);

/// How long compiled code that nobody asked for is kept.
const KEEP: Duration = Duration::from_hours(24);

/// The engine that all hosts of this process share, with its ticker running.
pub(crate) fn engine() -> Result<&'static Engine> {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    if let Some(engine) = ENGINE.get() {
        return Ok(engine);
    }
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    config.epoch_interruption(true);
    let engine = Engine::new(&config).map_err(wasm_error)?;
    let weak = engine.weak();
    if ENGINE.set(engine).is_ok() {
        std::thread::Builder::new()
            .name("epoch".to_owned())
            .spawn(move || {
                while let Some(engine) = weak.upgrade() {
                    engine.increment_epoch();
                    std::thread::sleep(TICK);
                }
            })
            .context("starting the engine's ticker")?;
    }
    Ok(ENGINE
        .get()
        .expect("it was set above, here or by another thread"))
}

/// The components of this process by file and its time of change. The lock is held while one is compiled, so that many
/// hosts that start at once compile once.
static COMPILED: LazyLock<Mutex<HashMap<(PathBuf, SystemTime), Component>>> =
    LazyLock::new(Mutex::default);

/// Runs `prepare`, which brings the file at `wasm` up to date, and compiles it. Code is kept in the directory `cache`.
pub(crate) fn component(
    wasm: &Path,
    cache: &Path,
    prepare: impl FnOnce() -> Result<()>,
) -> Result<Component> {
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    prepare()?;
    let changed = wasm
        .metadata()
        .and_then(|metadata| metadata.modified())
        .with_context(|| format!("looking at the component {}", wasm.display()))?;
    let key = (wasm.to_owned(), changed);
    if let Some(component) = compiled.get(&key) {
        return Ok(component.clone());
    }
    let component = load(engine()?, wasm, cache)?;
    compiled.insert(key, component.clone());
    Ok(component)
}

fn load(engine: &Engine, wasm: &Path, cache: &Path) -> Result<Component> {
    let bytes =
        std::fs::read(wasm).with_context(|| format!("reading the component {}", wasm.display()))?;
    let kept = cache.join(file_name(engine, &bytes));
    if kept.is_file() {
        #[expect(
            unsafe_code,
            reason = "the file was written below, whole, by this wasmtime with this configuration: both are in its name"
        )]
        let component = unsafe { Component::deserialize_file(engine, &kept) };
        // What cannot be read is made anew.
        if let Ok(component) = component {
            return Ok(component);
        }
    }
    let code = engine
        .precompile_component(&bytes)
        .map_err(wasm_error)
        .with_context(|| format!("compiling the component {}", wasm.display()))?;
    // Only speed is lost when the code cannot be kept.
    if let Err(error) = keep(&kept, &code, cache) {
        eprintln!(
            "host: keeping compiled code in {}: {error}",
            cache.display()
        );
    }
    #[expect(unsafe_code, reason = "the code comes from the same engine, just now")]
    let component = unsafe { Component::deserialize(engine, &code) };
    component.map_err(wasm_error)
}

/// A name for compiled code that is the same only for the same component, wasmtime, processor and configuration.
fn file_name(engine: &Engine, bytes: &[u8]) -> String {
    let mut compatibility = DefaultHasher::new();
    engine
        .precompile_compatibility_hash()
        .hash(&mut compatibility);
    let content = Sha256::digest(bytes);
    let content: String = content[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{content}-{:016x}.cwasm", compatibility.finish())
}

/// Writes `code` so that no reader sees half of it, and removes what was not asked for in a while.
fn keep(file: &Path, code: &[u8], cache: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(cache)?;
    let now = SystemTime::now();
    for entry in std::fs::read_dir(cache)? {
        let entry = entry?;
        let age = now.duration_since(entry.metadata()?.modified()?);
        if age.is_ok_and(|age| age > KEEP) {
            std::fs::remove_file(entry.path())?;
        }
    }
    let partial = cache.join(format!("{}.partial", std::process::id()));
    std::fs::write(&partial, code)?;
    std::fs::rename(partial, file)
}

/// The names of the interfaces that the component at `wasm` imports, such as `wasi:http/types@0.3.0`, sorted.
///
/// # Errors
/// When the file is not a component.
pub fn imports(wasm: &Path) -> Result<Vec<String>> {
    let component = read(wasm)?;
    let component_type = component.component_type();
    let imports = component_type.imports(component.engine());
    Ok(sorted(imports.map(|(name, _)| name.to_owned())))
}

/// The names of the interfaces that the component at `wasm` exports, sorted.
///
/// # Errors
/// When the file is not a component.
pub fn exports(wasm: &Path) -> Result<Vec<String>> {
    let component = read(wasm)?;
    let component_type = component.component_type();
    let exports = component_type.exports(component.engine());
    Ok(sorted(exports.map(|(name, _)| name.to_owned())))
}

fn read(wasm: &Path) -> Result<Component> {
    Component::from_file(engine()?, wasm)
        .map_err(wasm_error)
        .with_context(|| format!("reading the component {}", wasm.display()))
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}
