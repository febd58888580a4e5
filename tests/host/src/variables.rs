//! The application's variables and what each component sees of them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};

use crate::manifest::Variable;
use crate::template::Template;

/// What environment variables that set an application variable begin with.
const PREFIX: &str = "SPIN_VARIABLE_";

/// The value that the environment or the `.env` file in the current directory gives the variable `name`, if any does.
///
/// # Errors
/// When there is a `.env` file that cannot be read.
pub fn environment_variable(name: &str) -> Result<Option<String>> {
    let sources = Sources::read(BTreeMap::new(), Path::new(".env"))?;
    Ok(sources.value(name).map(str::to_owned))
}

/// Where values come from besides the manifest, the strongest first.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// `--variable name=value`.
    pub(crate) given: BTreeMap<String, String>,
    /// The environment, with Spin's prefix (`SPIN_VARIABLE_NAME`).
    pub(crate) environment: BTreeMap<String, String>,
    /// The `.env` file, with the same prefix.
    pub(crate) dotenv: BTreeMap<String, String>,
}

impl Sources {
    /// The process's environment and the `.env` file at `dotenv`, which need not exist, under what was `given`.
    pub(crate) fn read(given: BTreeMap<String, String>, dotenv: &Path) -> Result<Self> {
        let file = if dotenv.is_file() {
            dotenvy::from_path_iter(dotenv)
                .and_then(Iterator::collect)
                .with_context(|| format!("reading {}", dotenv.display()))?
        } else {
            BTreeMap::new()
        };
        // A name or value that is not Unicode is nobody's variable.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Ok(Self {
            given,
            environment,
            dotenv: file,
        })
    }

    fn value(&self, name: &str) -> Option<&str> {
        let prefixed = format!("{PREFIX}{}", name.to_ascii_uppercase());
        self.given
            .get(name)
            .or_else(|| self.environment.get(&prefixed))
            .or_else(|| self.dotenv.get(&prefixed))
            .map(String::as_str)
    }
}

/// The application's variables, each with its value.
#[derive(Debug)]
pub(crate) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Gives every declared variable its value.
    ///
    /// # Errors
    /// When required variables have none (all are named), and when one was given that is not declared.
    pub(crate) fn resolve(
        declared: &BTreeMap<String, Variable>,
        sources: &Sources,
    ) -> Result<Self> {
        if let Some(name) = sources
            .given
            .keys()
            .find(|name| !declared.contains_key(*name))
        {
            bail!("variable `{name}` was given a value, and the manifest does not declare it");
        }
        let mut values = BTreeMap::new();
        let mut missing = Vec::new();
        for (name, variable) in declared {
            match sources.value(name).or(variable.default.as_deref()) {
                Some(value) => {
                    values.insert(name.clone(), value.to_owned());
                }
                None => missing.push(format!("`{name}`")),
            }
        }
        if !missing.is_empty() {
            bail!(
                "no value for the required variables {}: give --variable name=value, or {PREFIX}<NAME> in the environment or \
                 in .env",
                missing.join(", ")
            );
        }
        Ok(Self(values))
    }

    /// Fills a template.
    pub(crate) fn render(&self, template: &str) -> Result<String> {
        Template::parse(template)?.render(|name| {
            self.0
                .get(name)
                .map(String::as_str)
                .ok_or_else(|| anyhow!("`{template}` names `{name}`, which is not declared"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn declared() -> BTreeMap<String, Variable> {
        let with = |default: Option<&str>| Variable {
            required: default.is_none(),
            default: default.map(str::to_owned),
            ..Variable::default()
        };
        [
            ("a", with(Some("manifest"))),
            ("b", with(None)),
            ("c", with(None)),
        ]
        .map(|(name, variable)| (name.to_owned(), variable))
        .into()
    }

    #[test]
    fn the_command_line_wins_then_the_environment_then_the_file_then_the_default() {
        let mut sources = Sources {
            given: map(&[("a", "given")]),
            environment: map(&[("SPIN_VARIABLE_A", "env"), ("SPIN_VARIABLE_B", "env")]),
            dotenv: map(&[
                ("SPIN_VARIABLE_A", "file"),
                ("SPIN_VARIABLE_B", "file"),
                ("SPIN_VARIABLE_C", "file"),
            ]),
        };
        let render = |sources: &Sources| {
            Variables::resolve(&declared(), sources)
                .and_then(|variables| variables.render("{{a}} {{b}} {{c}}"))
                .unwrap()
        };
        assert_eq!(render(&sources), "given env file");
        sources.given.clear();
        assert_eq!(render(&sources), "env env file");
        sources.environment.clear();
        assert_eq!(render(&sources), "file file file");
        sources.dotenv.remove("SPIN_VARIABLE_A");
        assert_eq!(render(&sources), "manifest file file");
    }

    #[test]
    fn every_missing_variable_is_named() {
        let error = Variables::resolve(&declared(), &Sources::default()).unwrap_err();
        assert!(error.to_string().contains("`b`, `c`"), "{error}");
    }

    #[test]
    fn a_misspelt_variable_is_refused() {
        let sources = Sources {
            given: map(&[("b", "1"), ("c", "1"), ("d", "1")]),
            ..Sources::default()
        };
        let error = Variables::resolve(&declared(), &sources).unwrap_err();
        assert!(error.to_string().contains("`d`"), "{error}");
    }
}
