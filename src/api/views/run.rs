//! A run as the API shows it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{advice, destination, patience};
use crate::run::destination::is_surely_ours;
use crate::run::engine::Engine;
use crate::run::state::{Resource, RunDocument, RunOptions, Status};
use crate::time::later;

/// The status of a run. `status` is `idle` if there never was a run.
pub(in crate::api) fn run_view(
    engine: &Engine,
    resource: Resource,
    document: Option<&RunDocument>,
) -> Value {
    let now = engine.now();
    let looks_cut = document.is_some_and(|run| looks_cut(engine, run));
    let advice = advice::for_run(
        resource,
        document,
        looks_cut,
        engine.config.continuation,
        now,
    );
    let Some(run) = document else {
        return json!({"resource": resource, "status": "idle", "advice": advice});
    };
    let advice = match is_surely_ours(engine, run.destination.as_ref()) {
        false if run.is_going_on() => advice::for_another_key(resource),
        _ => advice,
    };
    let cursor = run.cursor.as_ref();
    let rate = run.pace.rate().filter(|_| run.is_going_on());
    let progress = Progress::of(engine, run);
    let percent = match (run.status, &progress) {
        (Status::Completed, _) => Some(100),
        (_, progress) => progress
            .as_ref()
            .map(|progress| progress.behind * 100 / progress.all),
    };
    let estimated_end = rate
        .filter(|_| run.status == Status::Running)
        .and_then(|rate| progress?.end(rate, now));
    json!({
        "resource": resource,
        "status": run.status,
        "runId": run.run_id,
        "plan": run.plan,
        "options": options(&run.options),
        "startedAt": run.started_at,
        "updatedAt": run.updated_at,
        "finishedAt": run.finished_at,
        "window": run.window,
        "phase": cursor.and_then(|cursor| cursor.phase.as_ref()),
        "phasePosition": cursor.and_then(|_| phase_position(engine, run)),
        "total": run.total,
        "totalIsAtLeast": run.total_is_at_least,
        "failedRecords": run.remembered_failures,
        "percent": percent,
        "rate": rate.map(|rate| (rate * 10.0).round() / 10.0),
        "estimatedEnd": estimated_end,
        "history": run.history,
        "counts": run.counts,
        "variants": run.variants,
        "lastId": run.last_id,
        "rangesLeft": cursor.map_or(0, |cursor| cursor.ranges.len()),
        "jobsUnderWay": cursor.map_or(0, |cursor| cursor.jobs.len()),
        "lastProgressAt": run.last_progress_at,
        "killedWindows": run.killed_windows,
        "lease": run.lease,
        "notBefore": run.not_before,
        "waitingFor": run.waiting_for,
        "chainLooksCut": looks_cut,
        "lastError": run.last_error,
        "advice": advice,
        "setAside": run.set_aside,
        "setAsideOmitted": run.set_aside_omitted,
        "samples": run.samples,
        "destination": destination(engine, run.destination.as_ref()),
        "adopted": run.is_adopted,
        "upToDateSince": run.up_to_date_since,
        "lastReport": run.last_report,
    })
}

/// The index of the phase that the run is in, and the number of its phases.
fn phase_position(engine: &Engine, run: &RunDocument) -> Option<Value> {
    let (index, of) = engine.import(run).phase_position()?;
    Some(json!({"index": index, "of": of}))
}

/// The options that the run was started with; of `ids` only the number.
fn options(options: &RunOptions) -> Value {
    json!({
        "ids": options.ids.as_ref().map(Vec::len),
        "startId": options.start_id,
        "since": options.since,
        "triggerFlows": options.trigger_flows,
        "dryRun": options.dry_run,
        "deleteAll": options.delete_all,
    })
}

/// How many of its records a run has read.
struct Progress {
    /// Records that are read, over all phases; each phase reads all records.
    behind: u64,
    /// Records to read, over all phases.
    all: u64,
    /// Whether this is the last phase.
    is_last: bool,
    /// Records or variants that were counted for the records that this phase has read.
    counted: u64,
    /// Records that this phase has read.
    reached: u64,
    /// Records that this phase still has to read.
    left: u64,
}

impl Progress {
    /// `None` if the progress is not known: Klaviyo does not say how many entries there are to delete, commercetools
    /// does not count all changes, and a stopped run of several phases does not say in which phase it was.
    fn of(engine: &Engine, run: &RunDocument) -> Option<Self> {
        let total = run
            .total
            .filter(|&total| total > 0 && !run.total_is_at_least)?;
        let import = engine.import(run);
        let (phase, phases) = import.phase_position()?;
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

    /// When the run will end at this rate of counted records; `None` if there is another phase, whose rate is not
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

/// Whether no invocation works on a run that is going on, so that `continue` is needed.
fn looks_cut(engine: &Engine, run: &RunDocument) -> bool {
    let now = engine.now();
    let since = match &run.lease {
        Some(lease) if lease.is_live(now) => return false,
        Some(lease) => lease.until,
        None => later(
            run.not_before
                .map_or(run.updated_at, |moment| moment.max(run.updated_at)),
            patience(engine),
        ),
    };
    run.is_running() && now > since
}
