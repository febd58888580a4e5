//! The command line.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use jiff::Timestamp;

use crate::app::Place;
use crate::operator::Resource;

/// What the help ends with; the handbook has it, too.
const EXIT_CODES: &str = "Exit codes: 0 everything completed and nothing failed; 1 everything completed, but records failed; 2 \
it could not run (the configuration is wrong, an import is in the way, the app cannot be reached or refuses it); 3 an import \
failed, was stopped or was left out; 130 interrupted, the cursor is kept.";

/// Imports a commercetools project into Klaviyo from this terminal, or steers a deployed app.
///
/// Without arguments it imports everything, in the right order: it reads the variables in the environment and in `.env`,
/// runs the component here, checks that everything works, imports, and reports. Ctrl-C once lets the window save and
/// leaves, twice leaves at once; --resume goes on.
#[derive(Debug, Parser)]
#[command(name = "cargo import", bin_name = "cargo import", version, after_help = EXIT_CODES)]
pub struct Arguments {
    /// What is done instead of an import.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The import.
    #[command(flatten)]
    pub import: Import,
    /// Which app.
    #[command(flatten)]
    pub place: Place,
    /// Write JSON to standard output, one object a line; the last one has `exitCode`
    #[arg(long, global = true)]
    pub json: bool,
}

impl Arguments {
    /// Reads a command line, such as `cargo import orders --dry-run`, whose words are separated by blanks.
    ///
    /// # Errors
    /// What is wrong with it, and its usage.
    pub fn of_line(line: &str) -> Result<Self, String> {
        let words = line.strip_prefix("cargo ").unwrap_or(line);
        Self::try_parse_from(words.split_whitespace()).map_err(|error| error.to_string())
    }

    /// The options that there are, such as `--dry-run`.
    pub fn options() -> Vec<String> {
        let command = Self::command();
        let options = command.get_arguments().filter_map(clap::Arg::get_long);
        options.map(|name| format!("--{name}")).collect()
    }
}

/// What is done instead of an import.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show how far the imports are; exits with 3 where one has failed or nobody works on it
    Status,
    /// End the imports that are going on or have failed; their cursors are given up
    Stop {
        /// Only these
        #[arg(value_enum)]
        resources: Vec<Resource>,
    },
    /// Try the configuration, and say how to fix what does not work
    Check,
}

/// Which records are imported, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct Import {
    /// What to import [default: everything]
    #[arg(value_enum)]
    pub resources: Vec<Resource>,
    /// Read and map everything, send nothing, and show samples
    #[arg(long)]
    pub dry_run: bool,
    /// Only what has changed since the last complete run (`lastRun`), or since a moment such as 2026-08-01T00:00:00Z
    #[arg(long, value_name = "lastRun|MOMENT", value_parser = since, group = "which")]
    pub since: Option<String>,
    /// Only the records whose ids are in this file (`-`: standard input), however many: runs of 5,000, one after the other
    #[arg(long, value_name = "FILE", group = "which")]
    pub ids_file: Option<PathBuf>,
    /// With --ids-file: leave out so many ids, which earlier runs have imported
    #[arg(
        long,
        value_name = "COUNT",
        requires = "ids_file",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub skip: usize,
    /// Orders: only this one, and those after it in id order
    #[arg(long, value_name = "ID", group = "which")]
    pub start_id: Option<String>,
    /// Only the records that have failed and were not imported since
    #[arg(long, group = "which")]
    pub retry_failed: bool,
    /// Import nothing; forget the records that have failed
    #[arg(long, group = "which", conflicts_with_all = ["dry_run", "trigger_flows", "adopt"])]
    pub dismiss_failed: bool,
    /// Delete ALL categories or products from Klaviyo, whoever made them; asks first
    #[arg(long, value_name = "RESOURCE", value_enum, group = "which", conflicts_with_all = ["resources", "dry_run", "trigger_flows", "adopt"])]
    pub delete_all: Option<Catalog>,
    /// Delete from Klaviyo's catalog what this project has brought and no longer has; without --since it imports nothing
    #[arg(long, conflicts_with_all = ["ids_file", "start_id", "retry_failed", "dismiss_failed", "delete_all", "trigger_flows", "adopt"])]
    pub prune: bool,
    /// With --prune: also what does not say which project it is of
    #[arg(long, requires = "prune")]
    pub prune_unmarked: bool,
    /// With --delete-all: do not ask
    #[arg(long, requires = "delete_all")]
    pub yes: bool,
    /// Go on with imports that run or have failed
    #[arg(long, conflicts_with_all = ["since", "start_id", "retry_failed", "dismiss_failed", "delete_all", "dry_run", "trigger_flows", "prune"])]
    pub resume: bool,
    /// With --resume, of categories or products: up to so many entries may be deleted
    #[arg(long, value_name = "COUNT", requires = "resume")]
    pub confirm_removal: Option<u64>,
    /// Orders: their events may trigger flows, so customers may get mail about old orders
    #[arg(long)]
    pub trigger_flows: bool,
    /// Take over imports that were made into another Klaviyo account
    #[arg(long)]
    pub adopt: bool,
}

/// What can be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[expect(missing_docs, reason = "they are their names")]
pub enum Catalog {
    Categories,
    Products,
}

impl From<Catalog> for Resource {
    fn from(catalog: Catalog) -> Self {
        match catalog {
            Catalog::Categories => Self::Categories,
            Catalog::Products => Self::Products,
        }
    }
}

impl Import {
    /// The resources that are named, each once, or all that it can be about.
    pub fn resources(&self) -> Vec<Resource> {
        let only_prunes = self.prune && self.since.is_none();
        let is_wanted = |resource: &Resource| match self.resources[..] {
            [] => !only_prunes || resource.is_catalogue(),
            _ => self.resources.contains(resource),
        };
        Resource::ALL.into_iter().filter(is_wanted).collect()
    }
}

fn since(text: &str) -> Result<String, String> {
    if text == "lastRun" || text.parse::<Timestamp>().is_ok() {
        return Ok(text.to_owned());
    }
    Err("write lastRun, or a moment such as 2026-08-01T00:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(["import"].into_iter().chain(line.split_whitespace()))
    }

    #[test]
    fn resources_and_commands_are_told_apart() {
        Arguments::command().debug_assert();
        let all = parse("").expect("everything");
        assert!(all.command.is_none());
        assert_eq!(all.import.resources(), Resource::ALL);
        let catalog = parse("--prune --prune-unmarked").expect("a prune").import;
        assert_eq!(
            catalog.resources(),
            [Resource::Categories, Resource::Products]
        );
        let changes = parse("--prune --since lastRun").expect("changes").import;
        assert_eq!(changes.resources(), Resource::ALL);
        let two = parse("orders customers orders --dry-run").expect("two");
        assert_eq!(
            two.import.resources(),
            [Resource::Customers, Resource::Orders]
        );
        assert!(matches!(
            parse("--app http://a stop orders --token-file t").expect("a stop").command,
            Some(Command::Stop { resources }) if resources == [Resource::Orders]
        ));
        assert!(matches!(
            parse("status --json").expect("a status").command,
            Some(Command::Status)
        ));
        assert!(parse("carts").is_err());
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for line in [
            "--since lastRun --retry-failed",
            "--resume --dry-run",
            "--resume --since lastRun",
            "--confirm-removal 3",
            "--yes",
            "orders --delete-all products",
            "orders --skip 3",
            "--dismiss-failed --dry-run",
            "--prune --retry-failed",
            "--prune-unmarked",
            "--resume --prune",
        ] {
            let error = parse(line).expect_err(line).kind();
            let is_combination = matches!(
                error,
                ErrorKind::ArgumentConflict | ErrorKind::MissingRequiredArgument
            );
            assert!(is_combination, "{line}: {error}");
        }
        for line in ["--since yesterday", "--delete-all orders"] {
            assert!(parse(line).is_err(), "{line}");
        }
        for line in [
            "customers --ids-file f --skip 5000 --resume",
            "products --resume --confirm-removal 12 --adopt",
            "--delete-all products --yes",
            "orders --since 2026-08-01T00:00:00+02:00 --trigger-flows --dry-run",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }
}
