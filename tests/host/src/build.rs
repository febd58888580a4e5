//! Keeps a component's wasm file up to date: finds it, sees whether it is stale, and runs the manifest's build command.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::manifest::Build;

/// What the component is built for.
const TARGET: &str = "wasm32-wasip2";

/// Where the wasm file is that a manifest in `root` names as `source`: under Cargo's target directory when that was moved
/// by `CARGO_TARGET_DIR`.
pub(crate) fn locate(root: &Path, source: &Path) -> PathBuf {
    locate_in(
        root,
        source,
        std::env::var_os("CARGO_TARGET_DIR").as_deref(),
    )
}

fn locate_in(root: &Path, source: &Path, target: Option<&OsStr>) -> PathBuf {
    match (source.strip_prefix("target"), target) {
        // A relative directory counts from where Cargo was called, and so it does here.
        (Ok(rest), Some(target)) if !target.is_empty() => Path::new(target).join(rest),
        _ => root.join(source),
    }
}

/// Builds the component when its file is missing or older than what it is made of.
///
/// # Errors
/// When the command fails or does not make the file.
pub(crate) fn refresh(root: &Path, build: &Build, wasm: &Path) -> Result<()> {
    let directory = match &build.workdir {
        Some(workdir) => root.join(workdir),
        None => root.to_owned(),
    };
    if !is_stale(&directory, wasm)? {
        return Ok(());
    }
    ensure_target()?;
    let started = SystemTime::now();
    eprintln!("host: building the component: {}", build.command);
    let status = Command::new("sh")
        .args(["-c", &build.command])
        .current_dir(&directory)
        .status()
        .context("starting the component's build command")?;
    if !status.success() {
        bail!(
            "the component's build command failed ({status}): {}",
            build.command
        );
    }
    if modified(wasm).context("the build did not make the component")? < started {
        // Cargo leaves the file alone when the change made no difference; it would count as stale for ever.
        std::fs::File::options()
            .append(true)
            .open(wasm)
            .and_then(|file| file.set_modified(started))
            .with_context(|| format!("touching {}", wasm.display()))?;
    }
    Ok(())
}

/// Whether `wasm` is missing, or older than the package's manifest, lock file or sources in `directory`.
fn is_stale(directory: &Path, wasm: &Path) -> Result<bool> {
    let Ok(built) = modified(wasm) else {
        return Ok(true);
    };
    for file in ["Cargo.toml", "Cargo.lock"] {
        let file = directory.join(file);
        if file.exists() && modified(&file)? > built {
            return Ok(true);
        }
    }
    let mut pending = vec![directory.join("src")];
    while let Some(directory) = pending.pop() {
        // A directory changes with what is added to it and removed from it.
        if directory.exists() && modified(&directory)? > built {
            return Ok(true);
        }
        let Ok(entries) = std::fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                pending.push(path);
            } else if modified(&path)? > built {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn modified(path: &Path) -> Result<SystemTime> {
    path.metadata()
        .and_then(|metadata| metadata.modified())
        .with_context(|| format!("looking at {}", path.display()))
}

/// Adds the wasm target where rustup manages the toolchain and lacks it.
fn ensure_target() -> Result<()> {
    let Ok(listed) = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .output()
    else {
        // No rustup: the toolchain comes from elsewhere, and so does its target.
        return Ok(());
    };
    let installed = String::from_utf8_lossy(&listed.stdout);
    if !listed.status.success() || installed.lines().any(|target| target == TARGET) {
        return Ok(());
    }
    eprintln!("host: adding the Rust target {TARGET}");
    let status = Command::new("rustup")
        .args(["target", "add", TARGET])
        .status()
        .context("starting rustup")?;
    if !status.success() {
        bail!("`rustup target add {TARGET}` failed ({status})");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_target_directory_may_have_been_moved() {
        let root = Path::new("/project");
        let source = Path::new("target/wasm32-wasip2/release/a.wasm");
        let moved = Some(OsStr::new("/elsewhere"));
        assert_eq!(
            locate_in(root, source, moved),
            Path::new("/elsewhere/wasm32-wasip2/release/a.wasm")
        );
        assert_eq!(locate_in(root, source, None), root.join(source));
        let other = Path::new("dist/a.wasm");
        assert_eq!(locate_in(root, other, moved), root.join(other));
    }

    #[test]
    fn builds_when_something_is_newer_and_only_then() {
        let root = std::env::temp_dir().join(format!("host-build-{}", std::process::id()));
        fs::create_dir_all(root.join("src/deep")).unwrap();
        for file in ["Cargo.toml", "src/lib.rs", "src/deep/a.rs"] {
            fs::write(root.join(file), "").unwrap();
        }
        let wasm = root.join("a.wasm");
        let build = |command: &str| Build {
            command: command.to_owned(),
            ..toml::from_str("command = ''").unwrap()
        };
        // Missing.
        assert!(is_stale(&root, &wasm).unwrap());
        assert!(refresh(&root, &build("true"), &wasm).is_err());
        assert!(refresh(&root, &build("touch a.wasm; false"), &wasm).is_err());
        refresh(&root, &build("touch a.wasm"), &wasm).unwrap();
        assert!(!is_stale(&root, &wasm).unwrap());
        // Fresh: the command, which would fail, does not run.
        refresh(&root, &build("false"), &wasm).unwrap();
        // Each source counts.
        for file in ["Cargo.toml", "src/deep/a.rs"] {
            fs::File::options()
                .append(true)
                .open(root.join(file))
                .unwrap()
                .set_modified(SystemTime::now() + Duration::from_secs(2))
                .unwrap();
            assert!(is_stale(&root, &wasm).unwrap(), "{file}");
            fs::File::options()
                .append(true)
                .open(root.join(file))
                .unwrap()
                .set_modified(SystemTime::UNIX_EPOCH)
                .unwrap();
        }
        assert!(!is_stale(&root, &wasm).unwrap());
        fs::remove_dir_all(root).unwrap();
    }
}
