//! What is published about the APIs or was recorded of them, in a folder `shared` beside the workspace.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A part of what is shared.
pub(crate) enum Shared {
    /// The OpenAPI descriptions.
    Contracts,
    /// The recorded answers.
    Recordings,
}

impl Shared {
    /// Its folder: in this environment variable, else of this name in `../shared` beside the workspace; and the variable
    /// that says `required` where what needs it must not be skipped.
    const fn names(&self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Contracts => ("CONTRACTS_DIR", "contracts", "CONTRACTS"),
            Self::Recordings => ("RECORDINGS_DIR", "recordings", "RECORDINGS"),
        }
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> PathBuf {
        let (variable, name, _) = self.names();
        env::var_os(variable).map_or_else(
            || {
                let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
                shared.join(name)
            },
            PathBuf::from,
        )
    }

    /// Says that what needs it is skipped, also where the test harness keeps the output of tests that pass.
    ///
    /// # Panics
    /// If it is required.
    pub(crate) fn skip(&self, what: &str, error: &dyn std::fmt::Display) {
        let (variable, _, required) = self.names();
        let missing = format!("{what} ({error}); set {variable} to their folder");
        let is_required = env::var_os(required).is_some_and(|value| value == "required");
        assert!(!is_required, "{required} is set to `required`: {missing}");
        let _ = writeln!(std::io::stderr(), "SKIPPED: {missing}");
    }
}
