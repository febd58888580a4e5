//! Whether a component's file is older than what it is made of.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};

/// What a build depends on where the manifest does not say.
const WATCHED: [&str; 3] = ["src", "Cargo.toml", "Cargo.lock"];

/// Whether `wasm` is missing, or older than something that it is made of: the folders and files in `directory` that
/// `watch`, the manifest's patterns, begin with.
pub(crate) fn is_stale(directory: &Path, watch: &[String], wasm: &Path) -> Result<bool> {
    let Ok(built) = modified(wasm) else {
        return Ok(true);
    };
    let fixed_part = |pattern: &String| {
        Path::new(pattern)
            .components()
            .take_while(|part| !part.as_os_str().to_string_lossy().contains('*'))
            .collect::<PathBuf>()
    };
    let mut pending: Vec<PathBuf> = match watch {
        [] => WATCHED.map(PathBuf::from).into(),
        watch => watch.iter().map(fixed_part).collect(),
    };
    while let Some(path) = pending.pop() {
        let path = directory.join(path);
        // A directory changes with what is added to it and removed from it.
        if path.exists() && modified(&path)? > built {
            return Ok(true);
        }
        if path.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                pending.push(entry?.path());
            }
        }
    }
    Ok(false)
}

pub(crate) fn modified(path: &Path) -> Result<SystemTime> {
    path.metadata()
        .and_then(|metadata| metadata.modified())
        .with_context(|| format!("looking at {}", path.display()))
}
