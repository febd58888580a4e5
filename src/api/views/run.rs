//! A run as the API shows it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{advice, destination, patience};
use crate::run::destination::is_surely_ours;
use crate::run::engine::Engine;
use crate::run::import::{Import, JobEntries};
use crate::run::state::{Only, Removal, RemovalKind, Resource, RunDocument, RunOptions, Status};
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
        // when everything is read, there are still jobs and what follows them
        (_, progress) => progress
            .as_ref()
            .map(|progress| (progress.behind * 100 / progress.all).min(99)),
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
        "removal": run.removal.as_ref().filter(|removal| removal.count > 0).map(removal),
        "removals": run.removals().filter(|removal| removal.has_found()).map(removal_in_full).collect::<Vec<_>>(),
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

/// What Klaviyo has and commercetools no longer has.
fn removal(removal: &Removal) -> Value {
    json!({"kind": removal.kind, "count": removal.count, "of": removal.of})
}

/// The same with the ids of entries, as far as they are known.
fn removal_in_full(removal: &Removal) -> Value {
    let of_products = removal.kind == RemovalKind::Variants;
    json!({
        "kind": removal.kind,
        "count": removal.count,
        "of": removal.of,
        // of variants it is known only which products have them
        "ids": removal.records.iter().filter(|_| !of_products).collect::<Vec<_>>(),
        "unmarked": removal.unmarked,
        "unmarkedIds": removal.unmarked_ids,
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
        "prune": options.prune,
        "pruneUnmarked": options.prune_unmarked,
    })
}

/// How many of its records a run has read.
struct Progress {
    /// What is read, over all phases: records, or halves of them.
    behind: u64,
    /// What there is to read, over all phases.
    all: u64,
    /// Whether there is nothing to come whose rate is not known.
    is_last: bool,
    /// Records or variants that were counted for what this phase has read.
    counted: u64,
    /// What this phase has read, in the unit of `left`.
    reached: u64,
    /// What this phase still has to read.
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
        // half of a product is its item, the other half are its variants, which follow it
        let without_parts = without_parts(&*import, run).min(reached);
        let (behind, all) = match phases {
            1 => (2 * reached - without_parts, 2 * total),
            _ => (phase * total + reached, phases * total),
        };
        Some(Self {
            behind,
            all,
            is_last: phase + 1 == phases && (without_parts == 0 || variants > 0),
            counted: match phase {
                0 => run.counts.read + variants,
                _ => variants,
            },
            reached: match phases {
                1 => behind,
                _ => reached,
            },
            left: match phases {
                1 => all - behind,
                _ => total - reached,
            },
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

/// How many records that were read have parts which are still to come.
fn without_parts(import: &dyn Import, run: &RunDocument) -> u64 {
    let Some(cursor) = &run.cursor else { return 0 };
    let ranges = cursor.ranges.iter();
    let followed = ranges.filter(|range| range.only == Some(Only::Parts));
    let followed: usize = followed
        .map(|range| range.entries.len().max(range.digests.len()))
        .sum();
    let jobs = cursor.jobs.iter();
    let created =
        jobs.filter(|job| import.job_entries(&job.kind) == JobEntries::RecordsBeforeParts);
    followed as u64 + created.map(|job| job.counts.sent).sum::<u64>()
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
