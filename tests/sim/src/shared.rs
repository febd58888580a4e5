//! What is published about the APIs or was recorded of them, in a folder `shared` beside the workspace.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder in this environment variable, else that of this name in `../shared` beside the workspace.
pub(crate) fn folder(variable: &str, name: &str) -> PathBuf {
    env::var_os(variable).map_or_else(
        || {
            let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
            shared.join(name)
        },
        PathBuf::from,
    )
}

/// Says that this is skipped, also where the test harness keeps the output of tests that pass.
pub(crate) fn say_skipped(what: &str, error: &dyn std::fmt::Display, variable: &str) {
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: {what} ({error}); set {variable} to their folder"
    );
}
