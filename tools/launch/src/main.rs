//! Says what is about to be built and how long that takes, then has Cargo build and run it, not quietly.
//!
//! `cargo import`, `cargo demo` and `cargo bench-import` are aliases of this program (`.cargo/config.toml`). It has no
//! dependencies, so it is there within a second, while what it launches takes minutes where nothing is compiled yet.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, ExitCode};

/// A program that can be launched.
struct Program {
    /// The name of the alias.
    name: &'static str,
    /// Its package, and the name of its binary.
    package: &'static str,
    /// What its arguments begin with.
    before: &'static [&'static str],
    /// What its first build compiles.
    compiles: &'static str,
}

const PROGRAMS: [Program; 3] = [
    Program {
        name: "import",
        package: "import",
        before: &[],
        compiles: "the command line with the embedded engine (wasmtime)",
    },
    Program {
        name: "demo",
        package: "demo",
        before: &["demo"],
        compiles: "the embedded engine (wasmtime) and the simulated APIs",
    },
    Program {
        name: "bench-import",
        package: "demo",
        before: &["bench"],
        compiles: "the embedded engine (wasmtime) and the simulated APIs",
    },
];

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let name = arguments.next().unwrap_or_default();
    let Some(program) = PROGRAMS.iter().find(|program| name == program.name) else {
        let names = PROGRAMS.map(|program| program.name).join(", ");
        eprintln!("launch: name one of {names}");
        return ExitCode::from(2);
    };
    if let Some(said) = env::current_exe()
        .ok()
        .and_then(|own| announcement(program, &own))
    {
        eprintln!("{said}");
    }
    run(command(program, arguments))
}

/// What is said before the first build; nothing where the engine, which takes most of the time, is compiled already: for
/// this program, for another one or for the tests.
fn announcement(program: &Program, own: &Path) -> Option<String> {
    let compiled = own.with_file_name("deps").read_dir().ok();
    let names = compiled.into_iter().flatten().flatten();
    let mut names = names.map(|entry| entry.file_name());
    if names.any(|name| is_engine(&name.to_string_lossy())) {
        return None;
    }
    Some(format!(
        "cargo {}: this is the first build. Cargo now compiles about 300 crates: {}. Then the program builds the component \
         for WebAssembly.\nAll of it is 20 to 40 minutes of one core's work, which all cores share. Later starts take seconds.",
        program.name, program.compiles,
    ))
}

/// Whether a compiled crate is the engine. What is only checked, as by Clippy, ends in `.rmeta`.
fn is_engine(file: &str) -> bool {
    file.starts_with("libwasmtime-") && file.ends_with(".rlib")
}

/// Cargo, which says what it compiles.
fn command(program: &Program, arguments: impl Iterator<Item = OsString>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["run", "--package", program.package, "--"])
        .args(program.before)
        .args(arguments);
    // build scripts that look at what Cargo has set for this program would run again, and much be built anew
    for (name, _) in env::vars_os().filter(|(name, _)| is_of_package(name)) {
        command.env_remove(name);
    }
    command
}

/// Whether Cargo sets this variable for the programs of a package.
fn is_of_package(variable: &OsStr) -> bool {
    let variable = variable.to_string_lossy();
    variable.starts_with("CARGO_PKG_") || variable.starts_with("CARGO_MANIFEST_")
}

/// Becomes the command, so that signals reach it and its exit code is this program's.
#[cfg(unix)]
fn run(mut command: Command) -> ExitCode {
    use std::os::unix::process::CommandExt;

    let error = command.exec();
    eprintln!("launch: starting Cargo: {error}");
    ExitCode::FAILURE
}

/// Waits for the command, and gives its exit code.
#[cfg(not(unix))]
fn run(mut command: Command) -> ExitCode {
    match command.status() {
        Ok(status) => {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            code.map_or(ExitCode::FAILURE, ExitCode::from)
        }
        Err(error) => {
            eprintln!("launch: starting Cargo: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_not_announced_where_the_engine_is_compiled() {
        let folder = env::temp_dir().join(format!("launch-{}", std::process::id()));
        let compiled = folder.join("deps");
        std::fs::create_dir_all(&compiled).expect("a folder");
        let [import, demo, _] = &PROGRAMS;
        let launcher = folder.join("launch");
        let others = ["libwasmtime-0123.rmeta", "libwasmtime_wasi-0123.rlib"];
        for other in others {
            std::fs::write(compiled.join(other), "").expect("a file");
        }
        let said = announcement(demo, &launcher).expect("it is not there");
        assert!(
            said.starts_with("cargo demo: this is the first build"),
            "{said}"
        );
        std::fs::write(compiled.join("libwasmtime-0123.rlib"), "").expect("a file");
        for program in [import, demo] {
            assert_eq!(announcement(program, &launcher), None);
        }
        std::fs::remove_dir_all(folder).expect("it is removed");
    }

    #[test]
    fn arguments_are_handed_on_and_nothing_is_hidden() {
        let given = ["--orders", "7"].map(OsString::from);
        let command = command(&PROGRAMS[2], given.into_iter());
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(
            arguments,
            ["run", "--package", "demo", "--", "bench", "--orders", "7"]
        );
    }
}
