//! The app that is operated: the component in the embedded engine, or a deployed one.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use host::{Host, Options};
use uuid::Uuid;

use crate::operator::Operator;

/// The manifest of the repository that this program was built in.
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spin.toml");

/// Lines of the component's log that are kept for when something goes wrong.
const KEPT_LINES: usize = 20;

/// Memory of an instance where `memory_mib` does not say it, in MiB: the manifest's default.
const MEMORY_MIB: usize = 128;

/// Which app.
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// A deployed app, such as `https://my-app.example`; without it the component runs here, with the variables in the
    /// environment and in `.env`
    #[arg(long, value_name = "URL", global = true, help_heading = "Which app")]
    pub app: Option<String>,
    /// The file that has the app's `api_token` in it, and nothing else
    #[arg(long, value_name = "FILE", global = true, help_heading = "Which app")]
    pub token_file: Option<PathBuf>,
    /// Here: the value of a variable; wins over `SPIN_VARIABLE_<NAME>` in the environment and in `.env`
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = host::values::variable, global = true, help_heading = "Which app")]
    pub variables: Vec<(String, String)>,
    /// Here: the component's manifest [default: that of this repository]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Which app")]
    pub manifest: Option<PathBuf>,
    /// Here: show the component's log on standard error
    #[arg(long, global = true, help_heading = "Which app")]
    pub log: bool,
}

/// An app with its operator.
pub struct App {
    /// Its operator.
    pub operator: Operator,
    host: Option<Host>,
    latest_lines: Arc<Mutex<VecDeque<String>>>,
}

impl App {
    /// Finds the deployed app, or starts one here.
    ///
    /// # Errors
    /// If the token cannot be read; here: if required variables have no value, or the component cannot be built.
    pub async fn open(place: &Place) -> Result<Self> {
        // not by clap: arguments of one kind may come before and after a sub-command
        let is_for_here = place.log || place.manifest.is_some() || !place.variables.is_empty();
        match (&place.app, &place.token_file) {
            (Some(_), Some(_)) if is_for_here => {
                bail!(
                    "--variable, --manifest and --log are for an app that runs here, not for --app"
                )
            }
            (Some(url), Some(file)) => Self::deployed(url, file),
            (None, None) => Self::here(place).await,
            (Some(_), None) => {
                bail!("--app needs --token-file, the file that has the app's api_token in it")
            }
            (None, Some(_)) => bail!("--token-file is for an app that --app names"),
        }
    }

    fn deployed(url: &str, token_file: &Path) -> Result<Self> {
        let token = std::fs::read_to_string(token_file)
            .with_context(|| format!("reading the token in {}", token_file.display()))?;
        Ok(Self {
            operator: Operator::new(url, token.trim())?,
            host: None,
            latest_lines: Arc::default(),
        })
    }

    async fn here(place: &Place) -> Result<Self> {
        let mut variables: BTreeMap<String, String> = place.variables.iter().cloned().collect();
        let known = |name: &str| -> Result<Option<String>> {
            match place.variables.iter().rfind(|(known, _)| known == name) {
                Some((_, value)) => Ok(Some(value.clone())),
                None => host::environment_variable(name),
            }
        };
        let token = match known("api_token")? {
            Some(token) => token,
            // nobody but this program calls it
            None => format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
        };
        variables.insert("api_token".to_owned(), token.clone());
        // no scheduler calls it
        variables.insert("continuation".to_owned(), "self".to_owned());
        // what is no number, the component itself complains about
        let memory = known("memory_mib")?.and_then(|memory| memory.parse().ok());
        let latest_lines = Arc::new(Mutex::new(VecDeque::new()));
        let host = Host::start(Options {
            variables,
            environment: true,
            memory_limit: memory.unwrap_or(MEMORY_MIB) << 20,
            log: log(place.log, Arc::clone(&latest_lines)),
            ..Options::new(place.manifest.clone().unwrap_or_else(|| MANIFEST.into()))
        })
        .await?;
        Ok(Self {
            operator: Operator::new(&format!("http://{}", host.address()), &token)?,
            host: Some(host),
            latest_lines,
        })
    }

    /// Whether it runs here, and ends with this program.
    pub fn is_here(&self) -> bool {
        self.host.is_some()
    }

    /// The last lines that the component logged; none of a deployed app.
    pub fn latest_lines(&self) -> Vec<String> {
        let lines = self.latest_lines.lock();
        let lines = lines.unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect()
    }

    /// Lets windows that are going on come to their end, with the cursor saved. A deployed app goes on.
    pub async fn finish(self) {
        if let Some(host) = self.host {
            host.shutdown().await;
        }
    }
}

fn log(show: bool, latest: Arc<Mutex<VecDeque<String>>>) -> host::Log {
    Arc::new(move |line| {
        if show {
            eprintln!("{line}");
        }
        let mut latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() == KEPT_LINES {
            latest.pop_front();
        }
        latest.push_back(line.to_owned());
    })
}
