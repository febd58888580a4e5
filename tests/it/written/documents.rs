//! What is written holds: variables, calls, log lines, schemas and links of the README, the handbook, the other documents
//! and the files in `deploy/`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use klaviyo_bulk_import::api::description::DESCRIPTION;
use klaviyo_bulk_import::config::VARIABLES;
use klaviyo_bulk_import::run;
use klaviyo_bulk_import::run::log::LogEvent;
use serde_json::Value;

use crate::support::root;

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What `spin.toml` says of a variable.
#[derive(Debug)]
struct Variable {
    name: String,
    is_required: bool,
    is_secret: bool,
    default: Option<String>,
}

/// The variables of `spin.toml`, in its order.
fn variables() -> Vec<Variable> {
    let manifest = read("spin.toml");
    let (_, section) = manifest.split_once("\n[variables]\n").expect("variables");
    let (section, _) = section.split_once("\n[").expect("an end of the variables");
    let lines = section.lines().filter_map(|line| line.split_once(" = "));
    lines
        .map(|(name, settings)| Variable {
            name: name.to_owned(),
            is_required: settings.contains("required = true"),
            is_secret: settings.contains("secret = true"),
            default: settings
                .split_once("default = \"")
                .and_then(|(_, rest)| Some(rest.split_once('"')?.0.to_owned())),
        })
        .collect()
}

fn names(is_wanted: impl Fn(&Variable) -> bool) -> BTreeSet<String> {
    let wanted = variables().into_iter().filter(is_wanted);
    wanted.map(|variable| variable.name).collect()
}

/// The part of a text under a heading, up to the next one of the same level.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let level = heading.split(' ').next().expect("a heading");
    let (_, rest) = text
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("there is no {heading}"));
    rest.split(&format!("\n{level} "))
        .next()
        .expect("a section")
}

/// The cells of a table's rows, without its head.
fn rows(section: &str) -> Vec<Vec<&str>> {
    let lines = section.lines().filter(|line| line.starts_with('|'));
    let rows = lines.map(|line| {
        let line = line
            .strip_prefix('|')
            .and_then(|line| line.strip_suffix('|'));
        let cells = line.expect("a row between bars").split('|');
        cells.map(str::trim).collect()
    });
    let mut rows: Vec<Vec<&str>> = rows.collect();
    rows.drain(..2.min(rows.len()));
    rows
}

/// The texts between backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_manifest_hands_every_variable_to_the_component_that_reads_it() {
    let declared = names(|_| true);
    let read_by_the_component: BTreeSet<String> = VARIABLES.map(str::to_owned).into();
    assert_eq!(declared, read_by_the_component);
    let manifest = read("spin.toml");
    let (_, handed) = manifest
        .split_once("\n[component.bulk-import.variables]\n")
        .expect("the component's variables");
    for name in declared {
        assert!(
            handed.contains(&format!("{name} = \"{{{{ {name} }}}}\"\n")),
            "{name} is not handed on"
        );
    }
}

#[test]
fn the_readme_has_every_variable_as_the_manifest_has_it() {
    let readme = read("README.md");
    let rows = rows(section(&readme, "## Variables"));
    let variables = variables();
    assert_eq!(rows.len(), variables.len());
    for (row, variable) in rows.iter().zip(&variables) {
        let [name, required, meaning, example] = row[..] else {
            panic!("{row:?}");
        };
        assert_eq!(name, format!("`{}`", variable.name));
        assert_eq!(required.starts_with("yes"), variable.is_required, "{row:?}");
        assert_eq!(required.contains("secret"), variable.is_secret, "{row:?}");
        let default = variable.default.as_deref().unwrap_or_default();
        assert!(
            meaning.contains(default) || example.contains(default),
            "{row:?} does not say the default {default}"
        );
    }
}

#[test]
fn the_handbook_says_of_every_variable_what_it_is_in_the_plugin() {
    let handbook = read("docs/HANDBOOK.md");
    let section = section(&handbook, "### Variables");
    let ours: Vec<String> = rows(section)
        .iter()
        .flat_map(|row| code(row[1]).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let once: BTreeSet<String> = ours.iter().cloned().collect();
    assert_eq!(once.len(), ours.len(), "one is named twice: {ours:?}");
    assert_eq!(once, names(|_| true));
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// The variables that a file for deployments gives values to.
fn given(path: &str) -> BTreeSet<String> {
    let text = read(path);
    let lines = text.lines().map(str::trim);
    let found: Vec<String> = match path.rsplit('/').next().expect("a file name") {
        "variables.toml" => lines
            .filter_map(|line| {
                Some(
                    line.trim_start_matches("# ")
                        .split_once(" = ")?
                        .0
                        .to_owned(),
                )
            })
            .collect(),
        "secret.yaml" => {
            let (_, data) = text.split_once("stringData:\n").expect("data");
            let lines = data.lines().filter_map(|line| line.split_once(": "));
            lines.map(|(name, _)| name.trim().to_owned()).collect()
        }
        "app.yaml" => {
            let (_, variables) = text.split_once("  variables:\n").expect("variables");
            let lines = variables.lines();
            lines
                .filter_map(|line| line.strip_prefix("    - name: "))
                .map(str::to_owned)
                .collect()
        }
        "deploy.yaml" => lines
            .filter_map(|line| line.strip_prefix("--variable ")?.split_once('='))
            .map(|(name, _)| name.to_owned())
            .collect(),
        _ => lines
            .filter_map(|line| line.strip_prefix("SPIN_VARIABLE_")?.split_once('='))
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect(),
    };
    let once: BTreeSet<String> = found.iter().cloned().collect();
    assert_eq!(once.len(), found.len(), "{path} gives one twice: {found:?}");
    assert!(once.iter().all(|name| is_name(name)), "{path}: {once:?}");
    once
}

#[test]
fn files_for_deployments_give_what_is_required_and_nothing_unknown() {
    let known = names(|_| true);
    let required = names(|variable| variable.is_required);
    for path in [
        "deploy/akamai/variables.toml",
        "deploy/spinkube/app.yaml",
        "deploy/github/deploy.yaml",
        "deploy/spin/environment",
        "README.md",
    ] {
        let given = given(path);
        assert!(
            given.is_superset(&required),
            "{path} lacks {:?}",
            &required - &given
        );
        assert!(given.is_subset(&known), "{path} has {:?}", &given - &known);
    }
}

/// The default component is for every shim that there is, so the app needs none of its own.
#[test]
fn spinkube_uses_the_clusters_own_shim() {
    let files = files(&root().join("deploy/spinkube"));
    let texts = files
        .iter()
        .map(|path| std::fs::read_to_string(path).expect("a file"));
    let texts: Vec<String> = texts.collect();
    let executors = texts.iter().flat_map(|text| text.lines());
    let executors: Vec<&str> = executors
        .filter_map(|line| line.trim().strip_prefix("executor: "))
        .collect();
    assert_eq!(executors, ["containerd-shim-spin"]);
    let kinds = texts.iter().flat_map(|text| text.lines());
    let kinds: BTreeSet<&str> = kinds
        .filter_map(|line| line.strip_prefix("kind: "))
        .collect();
    assert_eq!(kinds, BTreeSet::from(["CronJob", "Secret", "SpinApp"]));
}

#[test]
fn secrets_come_from_secrets() {
    let secret = names(|variable| variable.is_secret);
    let in_the_secret = given("deploy/spinkube/secret.yaml");
    assert!(in_the_secret.is_subset(&secret), "{in_the_secret:?}");
    let app = read("deploy/spinkube/app.yaml");
    let (_, variables) = app.split_once("  variables:\n").expect("variables");
    let mut from_the_secret = BTreeSet::new();
    for variable in variables.split("    - name: ").skip(1) {
        let name = variable.lines().next().expect("a name");
        let is_reference = variable.contains(&format!("key: {name}\n"));
        assert_eq!(is_reference, secret.contains(name), "{variable}");
        if is_reference {
            from_the_secret.insert(name.to_owned());
        }
    }
    assert_eq!(from_the_secret, in_the_secret);
    let workflow = read("deploy/github/deploy.yaml");
    for line in workflow
        .lines()
        .filter_map(|line| line.trim().split_once(": ${{ vars."))
    {
        assert!(!secret.contains(&line.0.to_ascii_lowercase()), "{line:?}");
    }
}

/// The files below a folder, by their path.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false => files.push(path),
        }
    }
    files
}

/// The log lines that the source writes; each that is declared is written somewhere.
fn log_events() -> BTreeSet<String> {
    let source: String = files(&root().join("src"))
        .iter()
        .filter(|path| !path.ends_with("run/log.rs"))
        .map(|path| std::fs::read_to_string(path).expect("source"))
        .collect();
    for event in LogEvent::ALL {
        let name = format!("LogEvent::{event:?}");
        let key = format!("\"event\": \"{}\"", event.key());
        assert!(
            source.contains(&name) || source.contains(&key),
            "{event:?} is never written"
        );
    }
    LogEvent::ALL.map(|event| event.key().to_owned()).into()
}

#[test]
fn the_handbook_has_every_log_line() {
    let handbook = read("docs/HANDBOOK.md");
    let described: BTreeSet<String> = rows(section(&handbook, "## Log lines"))
        .iter()
        .flat_map(|row| code(row[0]).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert_eq!(described, log_events());
}

#[test]
fn calls_that_are_written_about_are_described() {
    let description: Value = serde_json::from_str(DESCRIPTION).expect("JSON");
    let paths = description["paths"].as_object().expect("paths");
    let mut seen = BTreeMap::new();
    for file in ["README.md", "docs/HANDBOOK.md"] {
        let text = read(file);
        let prose: String = text.split("```").step_by(2).collect();
        // of the plugin's own calls only what is the same here is written in that form
        for call in code(&prose) {
            let Some((method, path)) = call.split_once(' ') else {
                continue;
            };
            if !matches!(method, "GET" | "POST") || !(path.starts_with("/sync") || path == "/") {
                continue;
            }
            let parts = path
                .trim_end_matches("/...")
                .split('/')
                .map(|part| match part {
                    "customers" | "orders" | "categories" | "products" => "{resource}",
                    "<cron_token>" => "{token}",
                    part => part,
                });
            let path = parts.collect::<Vec<_>>().join("/");
            let is_described = paths.contains_key(&path) || path == "/sync/cron/{token}";
            assert!(is_described, "{file}: {call} is not described");
            if paths.contains_key(&path) {
                let method = method.to_ascii_lowercase();
                assert!(
                    !paths[&path][&method].is_null(),
                    "{file}: {call} is not described"
                );
                seen.insert((path, method), file);
            }
        }
    }
    for (path, operations) in paths {
        for method in ["get", "post"] {
            let is_known = operations[method].is_null()
                || seen.contains_key(&(path.clone(), method.to_owned()));
            // what the check and the overview call are there for the app and for habit
            let is_aside = path == "/sync/check/ping" || (path == "/sync" && method == "get");
            assert!(is_known || is_aside, "{method} {path} is not written about");
        }
    }
}

#[test]
fn the_changelog_names_the_schemas_of_stored_documents() {
    let changelog = read("CHANGELOG.md");
    let (_, latest) = changelog.split_once("\n## ").expect("a release");
    let latest = latest.split("\n## ").next().expect("a section");
    for (document, schema, oldest) in [
        (
            "run document",
            run::state::SCHEMA,
            run::state::OLDEST_SCHEMA,
        ),
        ("plan", run::plan::SCHEMA, run::plan::OLDEST_SCHEMA),
    ] {
        let named = format!("| {document} | {schema} | {oldest} |");
        assert!(latest.contains(&named), "CHANGELOG.md lacks {named}");
    }
}

#[test]
fn links_lead_somewhere() {
    for file in [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/ARCHITECTURE.md",
        "docs/HANDBOOK.md",
        "docs/MEASURED.md",
        "deploy/README.md",
    ] {
        let text = read(file);
        let folder = root().join(file);
        let folder = folder.parent().expect("a folder");
        let links = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        let mut count = 0;
        for link in links.filter(|link| !link.starts_with("https://")) {
            count += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => root().join(file),
                path => folder.join(path),
            };
            assert!(target.exists(), "{file}: {link}");
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&target).expect("a text");
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let mut anchors = headings.map(|line| {
                    let heading = line.trim_start_matches('#').trim().to_ascii_lowercase();
                    heading
                        .replace(' ', "-")
                        .replace(|c: char| !(c.is_alphanumeric() || c == '-'), "")
                });
                assert!(anchors.any(|known| known == anchor), "{file}: {link}");
            }
        }
        assert!(count > 0, "{file} has no links");
    }
}
