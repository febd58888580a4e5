//! `spin.toml`, as far as this host honours it: Spin manifest version 2 with HTTP triggers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The keys of the manifest at `manifest` that this host does not know: those that Spin 3.0 does not know, and those that
/// mean nothing here.
///
/// # Errors
/// When there is no manifest, or it is not one.
pub fn unknown_keys(manifest: &Path) -> Result<Vec<String>> {
    Ok(Manifest::read(manifest)?.1)
}

/// The manifest, as written.
#[derive(Debug, Deserialize)]
pub(crate) struct Manifest {
    spin_manifest_version: u32,
    #[expect(dead_code, reason = "read so that its keys count as known")]
    application: Application,
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, Variable>,
    pub(crate) trigger: Triggers,
    pub(crate) component: BTreeMap<String, Component>,
}

/// `[application]`: keys that Spin knows and that change nothing when an application runs.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "read so that they count as known")]
struct Application {
    name: String,
    version: Option<String>,
    description: Option<String>,
    authors: Option<Vec<String>>,
}

/// `[variables]`: one variable of the application.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Variable {
    #[serde(default)]
    pub(crate) required: bool,
    pub(crate) default: Option<String>,
    /// Read so that it counts as known: this host never prints a value, secret or not.
    #[serde(default)]
    #[expect(dead_code, reason = "no value is ever printed")]
    pub(crate) secret: bool,
    #[expect(dead_code, reason = "for people")]
    pub(crate) description: Option<String>,
}

/// `[trigger]`, of which only HTTP is known.
#[derive(Debug, Deserialize)]
pub(crate) struct Triggers {
    pub(crate) http: Vec<HttpTrigger>,
}

/// `[[trigger.http]]`: a route and who serves it.
#[derive(Debug, Deserialize)]
pub(crate) struct HttpTrigger {
    pub(crate) route: String,
    pub(crate) component: String,
    #[expect(dead_code, reason = "a label without effect on the run")]
    id: Option<String>,
}

/// `[component.<id>]`.
#[derive(Debug, Deserialize)]
pub(crate) struct Component {
    /// The wasm file, relative to the manifest.
    pub(crate) source: PathBuf,
    #[serde(default)]
    pub(crate) allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) build: Option<Build>,
    #[expect(dead_code, reason = "for people")]
    description: Option<String>,
}

/// `[component.<id>.build]`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Build {
    pub(crate) command: String,
    pub(crate) workdir: Option<PathBuf>,
    /// What a rebuild depends on, as globs; this host looks at all below what they begin with (see [`crate::build`]).
    #[serde(default)]
    pub(crate) watch: Vec<String>,
}

impl Manifest {
    /// Reads the manifest at `path`. The second value names the keys that are there and that this host does not know.
    pub(crate) fn read(path: &Path) -> Result<(Self, Vec<String>)> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("reading the manifest {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in the manifest {}", path.display()))
    }

    fn parse(text: &str) -> Result<(Self, Vec<String>)> {
        let mut unknown = Vec::new();
        let manifest: Self = serde_ignored::deserialize(toml::Deserializer::parse(text)?, |key| {
            unknown.push(key.to_string());
        })?;
        if manifest.spin_manifest_version != 2 {
            bail!(
                "spin_manifest_version is {}, and only 2 is known",
                manifest.spin_manifest_version
            );
        }
        for (name, variable) in &manifest.variables {
            if !crate::template::is_variable_name(name) {
                bail!("`{name}` is not a name that Spin takes for a variable");
            }
            if variable.required == variable.default.is_some() {
                bail!("variable `{name}` must either be required or have a default");
            }
        }
        for trigger in &manifest.trigger.http {
            if !manifest.component.contains_key(&trigger.component) {
                bail!(
                    "route {} names component `{}`, which is not in the manifest",
                    trigger.route,
                    trigger.component
                );
            }
        }
        Ok((manifest, unknown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        spin_manifest_version = 2
        [application]
        name = "import"
        version = "0.1.0"
        [application.trigger.http]
        base = "/"
        [variables]
        token = { required = true, secret = true }
        window = { default = "20" }
        [[trigger.http]]
        route = "/sync/..."
        component = "import"
        executor = { type = "wagi" }
        [component.import]
        source = "target/import.wasm"
        allowed_outbound_hosts = ["http://self", "{{ api }}"]
        key_value_stores = ["default"]
        targets = ["spin-3.4"]
        [component.import.profile.debug]
        source = "target/debug.wasm"
        [component.import.variables]
        token = "{{ token }}"
        [component.import.build]
        command = "cargo build --target wasm32-wasip2 --release"
        watch = ["src/**/*.rs"]
    "#;

    #[test]
    fn reads_what_it_knows_and_names_what_it_does_not() {
        let (manifest, unknown) = Manifest::parse(GOOD).unwrap();
        assert!(manifest.variables["token"].required);
        assert_eq!(manifest.variables["window"].default.as_deref(), Some("20"));
        assert_eq!(manifest.trigger.http[0].route, "/sync/...");
        let component = &manifest.component["import"];
        assert_eq!(component.allowed_outbound_hosts.len(), 2);
        assert!(component.build.is_some());
        assert_eq!(
            unknown,
            [
                "application.trigger",
                "component.import.key_value_stores",
                "component.import.profile",
                "component.import.targets",
                "trigger.http.0.executor",
            ]
        );
    }

    #[test]
    fn refuses_what_cannot_run() {
        let cases = [
            (
                "spin_manifest_version = 2",
                "spin_manifest_version = 1",
                "only 2",
            ),
            ("{ default = \"20\" }", "{ }", "`window`"),
            ("component = \"import\"", "component = \"other\"", "`other`"),
            ("token = { required", "To_ken = { required", "`To_ken`"),
        ];
        for (from, to, expected) in cases {
            let error = Manifest::parse(&GOOD.replace(from, to)).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
