//! `GET /sync/{resource}`, `GET /sync/status` and `GET /sync`: how runs stand, for operators and their scripts.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{try_join, try_join_all};
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json as json_value};

use super::problem::Problem;
use super::{App, advice, json, plan};
use crate::config::Continuation;
use crate::ports::Deadline;
use crate::resources;
use crate::run;
use crate::run::lease::later;
use crate::run::state::{Order, Resource, RunDocument, Status};

/// How long a status may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// A chain of self-calls has its next window after a second or two; one that has not after this long looks cut.
const CUT_AFTER: Duration = Duration::from_secs(15);
/// A scheduler may tick once in a while.
const CUT_AFTER_SCHEDULED: Duration = Duration::from_secs(600);

/// How long nobody may have worked before a chain looks cut.
pub(super) fn patience(app: &App) -> Duration {
    match app.config.continuation {
        Continuation::SelfCall => CUT_AFTER,
        Continuation::Scheduler => CUT_AFTER_SCHEDULED,
    }
}

pub(super) async fn one(app: &App, resource: Resource) -> Result<Response<Bytes>, Problem> {
    let deadline = Deadline::after(&*app.ports.clock, TIMEOUT);
    let stored = app.store().load(resource, deadline).await?;
    Ok(json(
        StatusCode::OK,
        &document(
            app,
            resource,
            stored.as_ref().map(|stored| &stored.document),
        ),
    ))
}

pub(super) async fn all(app: &App) -> Result<Response<Bytes>, Problem> {
    let deadline = Deadline::after(&*app.ports.clock, TIMEOUT);
    let store = app.store();
    let loads = Resource::ALL.map(|resource| store.load(resource, deadline));
    let (runs, plan) = try_join(try_join_all(loads), run::plan::load(app, deadline)).await?;
    let mut plan = plan.map(|plan| plan.document);
    let mut answer = Map::new();
    for (resource, stored) in Resource::ALL.into_iter().zip(runs) {
        let run = stored.as_ref().map(|stored| &stored.document);
        if let Some(plan) = &mut plan {
            plan.observe(resource, run);
        }
        let mut status = document(app, resource, run);
        if let Value::Object(fields) = &mut status {
            // at a glance: the lists are in the resource's own status
            for list in ["setAside", "samples", "lastReport"] {
                fields.remove(list);
            }
        }
        answer.insert(resource.name().to_owned(), status);
    }
    answer.insert(
        "plan".to_owned(),
        plan.as_ref()
            .map_or(Value::Null, |plan| plan::view(app, plan)),
    );
    Ok(json(StatusCode::OK, &answer))
}

/// The status document. `status` is `idle` where there never was a run.
pub(super) fn document(app: &App, resource: Resource, document: Option<&RunDocument>) -> Value {
    let now = app.commercetools.server_now();
    let looks_cut = document.is_some_and(|run| looks_cut(app, run));
    let advice = advice::for_run(resource, document, looks_cut, app.config.continuation, now);
    let Some(run) = document else {
        return json_value!({"resource": resource, "status": "idle", "advice": advice});
    };
    let cursor = run.cursor.as_ref();
    let rate = run.pace.rate().filter(|_| run.is_going_on());
    let progress = Progress::of(app, run);
    let percent = match (run.status, &progress) {
        (Status::Completed, _) => Some(100),
        (_, progress) => progress
            .as_ref()
            .map(|progress| progress.behind * 100 / progress.all),
    };
    let estimated_end = rate
        .filter(|_| run.status == Status::Running)
        .and_then(|rate| progress?.end(rate, now));
    json_value!({
        "resource": resource,
        "status": run.status,
        "runId": run.run_id,
        "plan": run.plan,
        "options": options(&run.order),
        "startedAt": run.started_at,
        "updatedAt": run.updated_at,
        "finishedAt": run.finished_at,
        "window": run.window,
        "phase": cursor.and_then(|cursor| cursor.phase.as_ref()),
        "total": run.total,
        "percent": percent,
        "rate": rate.map(|rate| (rate * 10.0).round() / 10.0),
        "estimatedEnd": estimated_end,
        "counts": run.counts,
        "variants": run.variants,
        "lastId": run.last_id,
        "rangesLeft": cursor.map_or(0, |cursor| cursor.ranges.len()),
        "jobsUnderWay": cursor.map_or(0, |cursor| cursor.jobs.len()),
        "lease": run.lease,
        "notBefore": run.not_before,
        "waitingFor": run.waiting_for,
        "chainLooksCut": looks_cut,
        "lastError": run.last_error,
        "advice": advice,
        "setAside": run.set_aside,
        "setAsideOmitted": run.set_aside_omitted,
        "samples": run.samples,
        "upToDateSince": run.up_to_date_since,
        "lastReport": run.last_report,
    })
}

/// What the run was started with; ids are many and only counted.
fn options(order: &Order) -> Value {
    json_value!({
        "ids": order.ids.as_ref().map(Vec::len),
        "startId": order.start_id,
        "since": order.since,
        "triggerFlows": order.trigger_flows,
        "dryRun": order.dry_run,
        "deleteAll": order.delete_all,
    })
}

/// How far the records of a run have been gone through.
struct Progress {
    /// Records that are behind it, in all its phases; each phase goes through all of them.
    behind: u64,
    /// Records to go through, in all its phases.
    all: u64,
    /// What comes after the records of this phase is known: it is the last.
    is_last: bool,
    /// Records and variants that came of those that this phase has gone through.
    counted: u64,
    /// Records that this phase has gone through.
    reached: u64,
    /// Records that this phase has still to go through.
    left: u64,
}

impl Progress {
    /// `None` where it cannot be told how much there is: Klaviyo does not say what there is to delete, and a run of several
    /// phases that has been stopped does not say which it was in.
    fn of(app: &App, run: &RunDocument) -> Option<Self> {
        let total = run.total.filter(|&total| total > 0)?;
        let import = resources::import(app, run);
        let (phase, phases) = import.place()?;
        let cursor = run.cursor.as_ref();
        let reached = match phases {
            1 => run.counts.read,
            _ => cursor?.phase_records,
        }
        .min(total);
        let variants = run.variants.as_ref().map_or(0, |variants| variants.read);
        Some(Self {
            behind: phase * total + reached,
            all: phases * total,
            is_last: phase + 1 == phases,
            counted: match import.counts_variants() {
                true => variants,
                false => run.counts.read,
            },
            reached,
            left: total - reached,
        })
    }

    /// When the run will be over at this rate of counted records; `None` where another phase is to come, whose rate is not
    /// known.
    fn end(&self, rate: f64, now: Timestamp) -> Option<Timestamp> {
        let each = match self.reached {
            0 => return None,
            reached => self.counted as f64 / reached as f64,
        };
        let left = (self.left as f64 * each / rate).round();
        let end = later(now, Duration::try_from_secs_f64(left).ok()?);
        self.is_last.then_some(end)
    }
}

/// Whether nobody works on a run that should be worked on: `continue` picks it up.
fn looks_cut(app: &App, run: &RunDocument) -> bool {
    let now = app.commercetools.server_now();
    let since = match &run.lease {
        Some(lease) if lease.is_live(now) => return false,
        Some(lease) => lease.until,
        None => later(
            run.not_before
                .map_or(run.updated_at, |moment| moment.max(run.updated_at)),
            patience(app),
        ),
    };
    run.is_going_on() && run.status == Status::Running && now > since
}
