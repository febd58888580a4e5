//! The import: what is started, and in how many runs.

mod begin;
mod by_ids;
mod failed;

use serde_json::{Map, Value, json};

use super::{Session, check};
use crate::arguments::Import;
use crate::ask;
use crate::ending::{CouldNotRun, could_not_run};
use crate::follow::Target;
use crate::ids;
use crate::operator::{Overview, Resource, State, Status};
use crate::progress::message;
use crate::report::Report;

use by_ids::ByIds;

/// What is asked for.
pub(crate) enum Errand {
    /// All records of these, or what options leave of them.
    Everything(Vec<Resource>, Map<String, Value>),
    /// Records by their ids.
    ByIds(ByIds),
    /// What runs or has failed.
    Resume(Vec<Resource>, Map<String, Value>),
    /// Records that failed.
    RetryFailed(Vec<Resource>, Map<String, Value>),
    /// Nothing; records that failed are forgotten.
    DismissFailed(Vec<Resource>),
    /// The deletion of a kind; `true` if it is confirmed.
    Delete(Resource, bool),
}

impl Errand {
    /// Reads what is asked for, and the file of ids.
    pub(crate) fn of(import: &Import) -> Result<Self, CouldNotRun> {
        let resources = import.resources();
        let mut options = Map::new();
        for (name, is_set) in [
            ("dryRun", import.dry_run),
            ("triggerFlows", import.trigger_flows),
            ("adopt", import.adopt),
            ("prune", import.prune),
            ("pruneUnmarked", import.prune_unmarked),
        ] {
            if is_set {
                options.insert(name.to_owned(), true.into());
            }
        }
        if let Some(resource) = import.delete_all {
            return Ok(Self::Delete(resource.into(), import.yes));
        }
        if let Some(file) = &import.ids_file {
            let [resource] = import.resources[..] else {
                could_not_run!(
                    "--ids-file: name one resource that the ids are of, such as `cargo import customers --ids-file {}`",
                    file.display()
                );
            };
            return Ok(Self::ByIds(ByIds::new(
                resource,
                file,
                ids::read(file)?,
                import,
                options,
            )?));
        }
        if import.resume {
            if let Some(count) = import.confirm_removal {
                options.insert("confirmRemoval".to_owned(), count.into());
            }
            return Ok(Self::Resume(resources, options));
        }
        if import.retry_failed {
            return Ok(Self::RetryFailed(resources, options));
        }
        if import.dismiss_failed {
            return Ok(Self::DismissFailed(resources));
        }
        if let Some(id) = &import.start_id {
            if resources != [Resource::Orders] {
                could_not_run!(
                    "--start-id: is for orders only, as in `cargo import orders --start-id {id}`"
                );
            }
            options.insert("startId".to_owned(), id.as_str().into());
        }
        if let Some(since) = &import.since {
            options.insert("since".to_owned(), since.as_str().into());
        }
        Ok(Self::Everything(resources, options))
    }
}

/// Checks, does it, and waits for its end.
pub(crate) async fn run(session: &Session<'_>, errand: Errand) -> Result<Report, CouldNotRun> {
    check::before_an_import(session).await?;
    match errand {
        Errand::Everything(resources, options) => everything(session, &resources, options).await,
        Errand::ByIds(by_ids) => by_ids.run(session).await,
        Errand::Resume(resources, options) => resume(session, &resources, options).await,
        Errand::RetryFailed(resources, options) => {
            failed::retry(session, &resources, &options).await
        }
        Errand::DismissFailed(resources) => failed::dismiss(session, &resources).await,
        Errand::Delete(resource, is_confirmed) => delete(session, resource, is_confirmed).await,
    }
}

async fn everything(
    session: &Session<'_>,
    resources: &[Resource],
    mut options: Map<String, Value>,
) -> Result<Report, CouldNotRun> {
    let overview = session.briefly(|| session.operator().overview()).await?;
    // the import of changes leaves out what is in its way, and says so
    if options.get("since").is_none_or(|since| since != "lastRun") {
        clear(session, &overview, resources)?;
    }
    let target = match resources {
        [resource] => begin::run(session, *resource, &options.into(), &overview).await?,
        _ => {
            let names: Vec<&str> = resources.iter().map(|resource| resource.name()).collect();
            options.insert("resources".to_owned(), names.into());
            begin::plan(session, &options.into(), &overview).await?
        }
    };
    report(session, &target).await
}

async fn report(session: &Session<'_>, target: &Target) -> Result<Report, CouldNotRun> {
    let mut report = Report::default();
    report.add(session.follower().follow(target).await?);
    Ok(report)
}

async fn delete(
    session: &Session<'_>,
    resource: Resource,
    is_confirmed: bool,
) -> Result<Report, CouldNotRun> {
    let overview = session.briefly(|| session.operator().overview()).await?;
    clear(session, &overview, &[resource])?;
    let name = resource.name();
    if !is_confirmed {
        let question = format!(
            "This deletes ALL {name} from Klaviyo's catalog, whoever made them, not only those that were imported. Only an \
             import brings them back."
        );
        // a thread of its own, so that Ctrl-C is seen
        tokio::task::spawn_blocking(move || ask::for_word(&question, name)).await??;
    }
    let body = json!({"deleteAll": true, "confirmDeletion": name});
    let target = begin::run(session, resource, &body, &overview).await?;
    report(session, &target).await
}

/// Goes on with what runs, and resumes what has failed.
async fn resume(
    session: &Session<'_>,
    resources: &[Resource],
    mut options: Map<String, Value>,
) -> Result<Report, CouldNotRun> {
    let overview = session.briefly(|| session.operator().overview()).await?;
    let mut target = Target::default();
    if let Some(plan) = overview.running_plan()
        && plan
            .steps
            .iter()
            .any(|step| resources.contains(&step.resource))
    {
        target.plan = Some(plan.plan_id.clone());
    }
    options.insert("resume".to_owned(), true.into());
    let confirms = options.remove("confirmRemoval");
    let asking = resources
        .iter()
        .filter(|resource| asks(overview.of(**resource)));
    if confirms.is_some() && asking.count() != 1 {
        could_not_run!(
            "--confirm-removal: name the one import that waits for it, as {} says",
            session.command("status")
        );
    }
    let mut refused = Vec::new();
    for &resource in resources {
        let run = overview.of(resource);
        let Some(id) = run.run_id.clone().filter(|_| run.is_going_on()) else {
            continue;
        };
        if run.status == State::Failed {
            let mut body = options.clone();
            if let Some(count) = confirms.clone().filter(|_| asks(run)) {
                body.insert("confirmRemoval".to_owned(), count);
            }
            // the others can go on all the same
            if let Err(error) = begin::run(session, resource, &body.into(), &overview).await {
                refused.push(format!("{}: {error}", resource.name()));
                continue;
            }
        }
        target.runs.push((resource, id));
    }
    if target.plan.is_none() && target.runs.is_empty() {
        match refused.is_empty() {
            true => could_not_run!("there is nothing to resume: no import runs or has failed"),
            false => could_not_run!("{}", refused.join("\n")),
        }
    }
    let skipped = skipped(&overview, &target);
    let mut report = report(session, &target).await?;
    for text in refused {
        report.trouble(text);
    }
    for resource in skipped {
        let name = resource.name();
        report.note(format!(
            "{name}: the plan left them out; {} imports them",
            session.command(name)
        ));
    }
    Ok(report)
}

/// Whether it has failed because somebody has to confirm a removal.
fn asks(run: &Status) -> bool {
    run.status == State::Failed && run.asks_for_confirmation()
}

/// What a plan has left out because a run failed that is resumed now. The plan is over, so nobody starts it any more.
fn skipped(overview: &Overview, target: &Target) -> Vec<Resource> {
    let over = overview
        .plan
        .iter()
        .filter(|plan| plan.status != State::Running);
    let resumed = over.filter(|plan| {
        let mut steps = plan.steps.iter();
        steps.any(|step| target.runs.iter().any(|(_, id)| *id == step.run_id))
    });
    let steps = resumed.flat_map(|plan| &plan.steps);
    steps
        .filter(|step| step.state == State::Skipped)
        .map(|step| step.resource)
        .collect()
}

/// Nothing is in the way of imports of these, or it is said what.
fn clear(
    session: &Session<'_>,
    overview: &Overview,
    resources: &[Resource],
) -> Result<(), CouldNotRun> {
    let mut met: Vec<String> = resources
        .iter()
        .map(|resource| (resource, overview.of(*resource)))
        .filter(|(_, run)| run.is_going_on())
        .map(|(resource, run)| {
            let state = match run.status {
                State::Failed => "has failed and can be resumed",
                _ => "is going on",
            };
            let how_far = message(run, jiff::Timestamp::now());
            format!("An import of {} {state} ({how_far}).", resource.name())
        })
        .collect();
    if met.is_empty() && resources.len() > 1 && overview.running_plan().is_some() {
        met.push("A plan is going on.".to_owned());
    }
    if met.is_empty() {
        return Ok(());
    }
    could_not_run!(
        "{} Nothing was changed. {} goes on with it, {} ends it",
        met.join(" "),
        session.command("--resume"),
        session.command("stop")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plan_left_out_is_named_when_its_failed_run_is_resumed() {
        let overview = |plan: &str| {
            let idle = json!({"status": "idle"});
            let failed = json!({"status": "failed", "runId": "c1"});
            let steps = json!([
                {"resource": "categories", "state": "failed", "runId": "c1", "note": null},
                {"resource": "products", "state": "skipped", "runId": "p1", "note": "its categories failed"},
            ]);
            let plan = json!({"planId": "x", "status": plan, "steps": steps});
            let all = json!({"categories": failed, "products": idle, "customers": idle, "orders": idle, "plan": plan});
            serde_json::from_value::<Overview>(all).expect("an overview")
        };
        let target = |id: &str| Target {
            plan: None,
            runs: vec![(Resource::Categories, id.to_owned())],
        };
        assert_eq!(
            skipped(&overview("failed"), &target("c1")),
            [Resource::Products]
        );
        // a run of somebody else's, and a plan that goes on
        assert_eq!(skipped(&overview("failed"), &target("c2")), []);
        assert_eq!(skipped(&overview("running"), &target("c1")), []);
    }
}
