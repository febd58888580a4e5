//! What `cargo import` and its like begin with.

use std::collections::BTreeSet;
use std::process::Command;

use super::programs::{Folder, program};
use crate::support::root;

#[test]
fn a_first_build_is_announced_before_it_begins() {
    let folder = Folder::new();
    // beside it nothing has been built
    let launcher = folder.path().join("launch");
    std::fs::copy(program("launch"), &launcher).expect("it is copied");
    for (name, runs) in [
        ("import", "run --package import -- --dry-run customers\n"),
        ("demo", "run --package demo -- demo --dry-run customers\n"),
        (
            "bench-import",
            "run --package demo -- bench --dry-run customers\n",
        ),
    ] {
        let mut launch = Command::new(&launcher);
        let launched = launch
            .args([name, "--dry-run", "customers"])
            .env("CARGO", "echo")
            .output();
        let launched = launched.expect("it starts");
        assert_eq!(launched.stdout, runs.as_bytes());
        let said = String::from_utf8(launched.stderr).expect("UTF-8");
        assert!(
            said.contains("first build") && said.contains("minutes"),
            "{said}"
        );
    }
    let unknown = Command::new(&launcher)
        .arg("rm")
        .env("CARGO", "echo")
        .output();
    assert_eq!(unknown.expect("it starts").status.code(), Some(2));
}

#[test]
fn no_alias_hides_a_build() {
    let text = std::fs::read_to_string(root().join(".cargo/config.toml")).expect("aliases");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let aliases: Vec<&str> = lines.filter(|line| line.contains(" = \"")).collect();
    assert!(
        aliases.iter().any(|alias| alias.starts_with("import = ")),
        "{aliases:?}"
    );
    for alias in aliases {
        // what has no dependencies is there before anybody wonders
        let is_quiet = alias.contains(" -q ") && !alias.contains("-p launch ");
        assert!(!is_quiet, "{alias}");
    }
    let launcher =
        std::fs::read_to_string(root().join("tools/launch/Cargo.toml")).expect("its manifest");
    assert!(
        launcher.trim_end().ends_with("[dependencies]"),
        "the launcher has dependencies"
    );
}

/// The lines of `cargo tree` in this form, each once.
fn tree(selection: &[&str], edges: &str, format: &str) -> BTreeSet<String> {
    let mut tree = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    tree.current_dir(root())
        .args(["tree", "--locked", "--offline", "--prefix", "none"])
        .args(["--edges", edges, "--format", format])
        .args(selection);
    let tree = tree.output().expect("cargo starts");
    assert!(
        tree.status.success(),
        "{}",
        String::from_utf8_lossy(&tree.stderr)
    );
    let tree = String::from_utf8(tree.stdout).expect("UTF-8");
    let repeated = " (*)";
    let lines = tree.lines().map(|line| line.trim_end_matches(repeated));
    lines.map(str::to_owned).collect()
}

#[test]
fn the_program_has_no_simulator_in_it() {
    let tree = tree(&["--package", "import"], "normal", "{p}");
    let packages: Vec<&str> = tree
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(
        packages.contains(&"host") && packages.contains(&"wasmtime"),
        "{packages:?}"
    );
    for simulator in ["sim", "native", "simulation", "demo"] {
        assert!(!packages.contains(&simulator), "{simulator}");
    }
}

#[test]
fn what_the_tests_have_compiled_the_programs_do_not_compile_again() {
    let with_features = "{p} [{f}]";
    let of_tests = tree(&["--workspace"], "normal,build,dev", with_features);
    assert!(of_tests.iter().any(|line| line.starts_with("wasmtime v")));
    for program in ["demo", "import"] {
        let own = tree(&["--package", program], "normal,build", with_features);
        let otherwise: Vec<&String> = own.difference(&of_tests).collect();
        assert!(
            otherwise.is_empty(),
            "`{program}` has other features of these than the tests, and all that needs them is compiled twice; \
             `tests/features` evens them out: {otherwise:?}"
        );
    }
}
