//! Keeps a component's wasm file up to date: finds it, sees whether it is stale, and runs the manifest's build command.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::manifest::{self, Build, Manifest};

/// What the component is built for.
const TARGET: &str = "wasm32-wasip2";
/// What a build depends on where the manifest does not say.
const WATCHED: [&str; 3] = ["src", "Cargo.toml", "Cargo.lock"];

/// The WASI version that a component is built for: each has its own entry point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wasi {
    /// As the manifest's command builds it.
    #[default]
    V0_2,
    /// With the cargo feature `wasi-0-3`, in a target directory of its own.
    V0_3,
}

impl Wasi {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::V0_2, Self::V0_3];

    /// The feature that asks for it. Its target directory, in Cargo's, has the same name.
    fn feature(self) -> Option<&'static str> {
        match self {
            Self::V0_2 => None,
            Self::V0_3 => Some("wasi-0-3"),
        }
    }
}

/// Builds the only component of the manifest at `manifest` where it is stale; gives its file.
///
/// # Errors
/// When the manifest is wrong or has several components, or the build fails.
pub fn build(manifest: &Path, wasi: Wasi) -> Result<PathBuf> {
    let (read, _) = Manifest::read(manifest)?;
    let mut components = read.component.values();
    let (Some(component), None) = (components.next(), components.next()) else {
        bail!("{} has not one component", manifest.display());
    };
    let artifact = Artifact::of(root_of(manifest), component, wasi);
    artifact.refresh()?;
    Ok(artifact.wasm)
}

/// The directory of a manifest.
pub(crate) fn root_of(manifest: &Path) -> &Path {
    match manifest.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A component's wasm file, and how it is made.
pub(crate) struct Artifact {
    /// The file.
    pub(crate) wasm: PathBuf,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
    /// Where the command is run.
    directory: PathBuf,
    /// None where the manifest does not say how to build it.
    build: Option<Build>,
    wasi: Wasi,
}

impl Artifact {
    /// That of `component` of a manifest in `root`.
    pub(crate) fn of(root: &Path, component: &manifest::Component, wasi: Wasi) -> Self {
        let moved = std::env::var_os("CARGO_TARGET_DIR");
        Self::with_target(root, component, wasi, moved.as_deref())
    }

    fn with_target(
        root: &Path,
        component: &manifest::Component,
        wasi: Wasi,
        moved: Option<&OsStr>,
    ) -> Self {
        let build = component.build.clone();
        let (target, file) = locate(root, &component.source, moved);
        let wasm = match (file, wasi.feature()) {
            (Some(file), Some(feature)) if build.is_some() => target.join(feature).join(file),
            // what is not built is served as it is
            (Some(file), _) => target.join(file),
            (None, _) => root.join(&component.source),
        };
        let directory = match build.as_ref().and_then(|build| build.workdir.as_ref()) {
            Some(workdir) => root.join(workdir),
            None => root.to_owned(),
        };
        Self {
            wasm,
            target,
            directory,
            build,
            wasi,
        }
    }

    /// Builds the component when its file is missing or older than what it is made of.
    ///
    /// # Errors
    /// When the command fails or does not make the file.
    pub(crate) fn refresh(&self) -> Result<()> {
        /// Held while a component is built, so that whoever else asks for it does not build it again.
        static BUILDING: Mutex<()> = Mutex::new(());

        let Some(build) = &self.build else {
            return Ok(());
        };
        let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_stale(&self.directory, &build.watch, &self.wasm)? {
            return Ok(());
        }
        ensure_target()?;
        let started = SystemTime::now();
        let mut line = build.command.clone();
        let mut command = Command::new("sh");
        command.current_dir(&self.directory);
        if let Some(feature) = self.wasi.feature() {
            line += &format!(" --features {feature}");
            let target = std::path::absolute(self.target.join(feature))?;
            command.env("CARGO_TARGET_DIR", target);
        }
        eprintln!("host: building the component: {line}");
        let status = command
            .args(["-c", &line])
            .status()
            .context("starting the component's build command")?;
        if !status.success() {
            bail!("the component's build command failed ({status}): {line}");
        }
        let wasm = &self.wasm;
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
}

/// Cargo's target directory for a manifest in `root`, `moved` where `CARGO_TARGET_DIR` says so, and the place of `source`
/// in it, where it is there.
fn locate(root: &Path, source: &Path, moved: Option<&OsStr>) -> (PathBuf, Option<PathBuf>) {
    let mut above = PathBuf::new();
    let mut parts = source.components();
    let mut first = parts.next();
    while first == Some(Component::ParentDir) {
        above.push(Component::ParentDir);
        first = parts.next();
    }
    let target = match moved {
        // A relative directory counts from where Cargo was called, and so it does here.
        Some(moved) if !moved.is_empty() => PathBuf::from(moved),
        _ => root.join(above).join("target"),
    };
    let is_there = first == Some(Component::Normal(OsStr::new("target")));
    (target, is_there.then(|| parts.as_path().to_owned()))
}

/// Whether `wasm` is missing, or older than something that it is made of: the folders and files in `directory` that
/// `watch`, the manifest's patterns, begin with.
fn is_stale(directory: &Path, watch: &[String], wasm: &Path) -> Result<bool> {
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

    fn component(source: &str, build: &str) -> manifest::Component {
        toml::from_str(&format!("source = '{source}'\n{build}")).unwrap()
    }

    #[test]
    fn the_target_directory_may_have_been_moved() {
        let root = Path::new("/project/app");
        let wasm = |source: &str, wasi, moved: Option<&str>| {
            let component = component(source, "[build]\ncommand = 'cargo build'");
            Artifact::with_target(root, &component, wasi, moved.map(OsStr::new)).wasm
        };
        let moved = Some("/elsewhere");
        let (two, three) = (Wasi::V0_2, Wasi::V0_3);
        for (source, wasi, moved, expected) in [
            ("target/r/a.wasm", two, None, "/project/app/target/r/a.wasm"),
            ("target/r/a.wasm", two, moved, "/elsewhere/r/a.wasm"),
            (
                "target/a.wasm",
                three,
                None,
                "/project/app/target/wasi-0-3/a.wasm",
            ),
            ("target/a.wasm", three, moved, "/elsewhere/wasi-0-3/a.wasm"),
            (
                "../target/a.wasm",
                two,
                None,
                "/project/app/../target/a.wasm",
            ),
            (
                "../target/a.wasm",
                three,
                moved,
                "/elsewhere/wasi-0-3/a.wasm",
            ),
            ("dist/a.wasm", three, moved, "/project/app/dist/a.wasm"),
            ("/other/target/a.wasm", two, moved, "/other/target/a.wasm"),
        ] {
            assert_eq!(wasm(source, wasi, moved), Path::new(expected), "{source}");
        }
    }

    #[test]
    fn builds_when_something_is_newer_and_only_then() {
        let root = std::env::temp_dir().join(format!("host-build-{}", std::process::id()));
        fs::create_dir_all(root.join("src/deep")).unwrap();
        fs::create_dir_all(root.join("other")).unwrap();
        for file in ["Cargo.toml", "src/lib.rs", "src/deep/a.rs", "other/b.wit"] {
            fs::write(root.join(file), "").unwrap();
        }
        let wasm = root.join("a.wasm");
        let watch = ["src/**/*.rs".to_owned(), "Cargo.toml".to_owned()];
        let refresh = |command: &str| {
            let build = format!("[build]\ncommand = '{command}'\nwatch = {watch:?}");
            Artifact::with_target(&root, &component("a.wasm", &build), Wasi::V0_2, None).refresh()
        };
        // Missing.
        assert!(is_stale(&root, &watch, &wasm).unwrap());
        assert!(refresh("true").is_err());
        assert!(refresh("touch a.wasm; false").is_err());
        refresh("touch a.wasm").unwrap();
        assert!(!is_stale(&root, &watch, &wasm).unwrap());
        // Fresh: the command, which would fail, does not run.
        refresh("false").unwrap();
        // Each source counts, and what is not watched does not.
        for (file, watch, is_watched) in [
            ("Cargo.toml", &watch[..], true),
            ("src/deep/a.rs", &watch, true),
            ("src/deep/a.rs", &[], true),
            ("other/b.wit", &watch, false),
        ] {
            let set = |moment| {
                let file = fs::File::options().append(true).open(root.join(file));
                file.unwrap().set_modified(moment).unwrap();
            };
            set(SystemTime::now() + Duration::from_secs(2));
            assert_eq!(is_stale(&root, watch, &wasm).unwrap(), is_watched, "{file}");
            set(SystemTime::UNIX_EPOCH);
        }
        assert!(!is_stale(&root, &watch, &wasm).unwrap());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn another_guest_is_built_with_its_feature_into_a_directory_of_its_own() {
        let root = std::env::temp_dir().join(format!("host-guest-{}", std::process::id()));
        let target = root.join("target/wasi-0-3");
        fs::create_dir_all(&target).unwrap();
        let script = "echo $CARGO_TARGET_DIR $@ > target/wasi-0-3/a.wasm";
        fs::write(root.join("build.sh"), script).unwrap();
        let component = component("target/a.wasm", "[build]\ncommand = 'sh build.sh'");
        let artifact = Artifact::with_target(&root, &component, Wasi::V0_3, None);
        artifact.refresh().unwrap();
        assert_eq!(
            fs::read_to_string(&artifact.wasm).unwrap().trim(),
            format!("{} --features wasi-0-3", target.display())
        );
        fs::remove_dir_all(root).unwrap();
    }
}
