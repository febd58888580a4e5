//! Records that failed: imported again, or forgotten.

use serde_json::{Map, Value};

use super::clear;
use crate::commands::Session;
use crate::ending::CouldNotRun;
use crate::figures::grouped;
use crate::follow::Target;
use crate::ids::A_RUN;
use crate::operator::Resource;
use crate::report::Report;

/// Imports the failed records of these again: runs of 5,000, one after the other.
pub(super) async fn retry(
    session: &Session<'_>,
    resources: &[Resource],
    options: &Map<String, Value>,
) -> Result<Report, CouldNotRun> {
    let overview = session.briefly(|| session.operator().overview()).await?;
    let mut report = Report::default();
    let failed: Vec<(Resource, u64)> = resources
        .iter()
        .map(|resource| (*resource, overview.of(*resource).failed_records))
        .filter(|(_, failed)| *failed > 0)
        .collect();
    let named: Vec<Resource> = failed.iter().map(|(resource, _)| *resource).collect();
    clear(session, &overview, &named)?;
    if failed.is_empty() {
        report.note("No record has failed that was not imported since.".to_owned());
    }
    for (resource, failed) in failed {
        retry_one(session, resource, failed, options, &mut report).await?;
    }
    Ok(report)
}

async fn retry_one(
    session: &Session<'_>,
    resource: Resource,
    failed: u64,
    options: &Map<String, Value>,
    report: &mut Report,
) -> Result<(), CouldNotRun> {
    let mut body = options.clone();
    body.insert("retryFailed".to_owned(), true.into());
    if resource != Resource::Orders {
        body.remove("triggerFlows");
    }
    let body = Value::Object(body);
    // What fails again is there again: not for ever. Orders of runs that triggered flows have a run of their own.
    let most = failed.div_ceil(A_RUN as u64) + 1;
    for _ in 0..most {
        let start = session
            .briefly(|| session.operator().start(resource, &body))
            .await;
        let run = match start {
            Ok(run) => run,
            Err(error) if report.is_empty() => return Err(error),
            Err(error) => {
                report.trouble(format!("{}: {error}", resource.name()));
                return Ok(());
            }
        };
        let target = Target {
            plan: None,
            runs: vec![(resource, run.run_id.clone().unwrap_or_default())],
        };
        let completed = report.add(session.follower().follow(&target).await?);
        let Some(retried) = run.retried else { break };
        if retried.left == 0 && retried.missed > 0 {
            report.trouble(format!(
                "{}: {} failed records are not known by their ids; import all again",
                resource.name(),
                grouped(retried.missed)
            ));
        }
        if !completed || retried.left == 0 || options.contains_key("dryRun") {
            break;
        }
    }
    Ok(())
}

/// Forgets the failed records of these.
pub(super) async fn dismiss(
    session: &Session<'_>,
    resources: &[Resource],
) -> Result<Report, CouldNotRun> {
    let mut report = Report::default();
    for &resource in resources {
        let dismissed = session
            .briefly(|| session.operator().dismiss_failed(resource))
            .await?;
        report.note(format!(
            "{}: {} failed records are forgotten",
            resource.name(),
            grouped(dismissed)
        ));
    }
    Ok(report)
}
