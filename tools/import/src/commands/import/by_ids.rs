//! Records by their ids: runs of 5,000, one after the other.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{begin, clear};
use crate::arguments::Import;
use crate::commands::Session;
use crate::ending::{CouldNotRun, could_not_run};
use crate::figures::grouped;
use crate::follow::Target;
use crate::ids::A_RUN;
use crate::operator::{Resource, State, Status};
use crate::report::Report;

/// An import of records by their ids.
pub(crate) struct ByIds {
    resource: Resource,
    file: PathBuf,
    ids: Vec<String>,
    /// How many of them are left out.
    skip: usize,
    /// Whether the run of the first 5,000 after those is going on already.
    resume: bool,
    /// How many variants that run may delete.
    confirm_removal: Option<u64>,
    options: Map<String, Value>,
}

impl ByIds {
    pub(super) fn new(
        resource: Resource,
        file: &Path,
        ids: Vec<String>,
        import: &Import,
        options: Map<String, Value>,
    ) -> Result<Self, CouldNotRun> {
        let Import {
            skip,
            resume,
            confirm_removal,
            ..
        } = *import;
        if skip >= ids.len() {
            could_not_run!(
                "--skip {skip}: {} has only {} ids",
                file.display(),
                ids.len()
            );
        }
        Ok(Self {
            resource,
            file: file.to_owned(),
            ids,
            skip,
            resume,
            confirm_removal,
            options,
        })
    }

    pub(super) async fn run(&self, session: &Session<'_>) -> Result<Report, CouldNotRun> {
        let mut report = Report::default();
        let chunks = self.ids[self.skip..].chunks(A_RUN);
        for (at, ids) in chunks.enumerate() {
            let done = self.skip + at * A_RUN;
            if self.ids.len() > A_RUN {
                session.screen.note(&format!(
                    "{}: ids {} to {} of {}",
                    self.resource.name(),
                    grouped(done as u64 + 1),
                    grouped((done + ids.len()) as u64),
                    grouped(self.ids.len() as u64),
                ));
            }
            let target = match self.start(session, ids, at == 0 && self.resume).await {
                Ok(target) => target,
                Err(error) if report.is_empty() => return Err(error),
                Err(error) => {
                    report.trouble(error.to_string());
                    report.note(self.rest(session, done, ""));
                    break;
                }
            };
            if !report.add(session.follower().follow(&target).await?) {
                report.note(self.rest(session, done, " --resume"));
                break;
            }
        }
        Ok(report)
    }

    async fn start(
        &self,
        session: &Session<'_>,
        ids: &[String],
        resume: bool,
    ) -> Result<Target, CouldNotRun> {
        let overview = session.briefly(|| session.operator().overview()).await?;
        let run = overview.of(self.resource);
        if resume && run.is_going_on() {
            return self.go_on(session, ids.len(), run, &overview).await;
        }
        clear(session, &overview, &[self.resource])?;
        let mut body = self.options.clone();
        body.insert("ids".to_owned(), ids.into());
        begin::run(session, self.resource, &body.into(), &overview).await
    }

    async fn go_on(
        &self,
        session: &Session<'_>,
        count: usize,
        run: &Status,
        overview: &crate::operator::Overview,
    ) -> Result<Target, CouldNotRun> {
        let name = self.resource.name();
        if run.options.ids != Some(count) {
            could_not_run!(
                "the import of {name} that can be resumed is not that of these {} ids: --skip says how many are imported",
                grouped(count as u64)
            );
        }
        if run.status == State::Failed {
            let mut body = json!({"resume": true, "adopt": self.options.contains_key("adopt")});
            if let Some(count) = self.confirm_removal {
                body["confirmRemoval"] = count.into();
            }
            return begin::run(session, self.resource, &body, overview).await;
        }
        let id = run.run_id.clone().unwrap_or_default();
        Ok(Target {
            plan: None,
            runs: vec![(self.resource, id)],
        })
    }

    /// How to go on after so many ids.
    fn rest(&self, session: &Session<'_>, done: usize, resume: &str) -> String {
        let name = self.resource.name();
        let file = self.file.display();
        format!(
            "{name}: {} of {} ids are imported; {} goes on with the others",
            grouped(done as u64),
            grouped(self.ids.len() as u64),
            session.command(&format!("{name} --ids-file {file} --skip {done}{resume}"))
        )
    }
}
