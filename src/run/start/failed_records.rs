//! The records that failed: imported again, or dismissed.

use std::time::Duration;

use crate::error::Error;
use crate::run::engine::Engine;
use crate::run::state::{FailedRecords, Resource, RunDocument, RunOptions};
use crate::run::store::{Saved, Stored};

/// The most ids of one run: they are in its document.
pub const MAX_IDS: usize = 5_000;
/// How long a dismissal may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Attempts against other invocations that write at the same time.
const ATTEMPTS: usize = 5;

/// The records that a retry has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retried {
    /// How many the run imports.
    pub records: usize,
    /// How many are left for the next retry.
    pub left: usize,
    /// How many are not known by their ids.
    pub unnamed: u64,
}

/// What became of the failed records that were to be dismissed.
#[derive(Debug)]
pub enum Dismissed {
    /// They are forgotten; how many.
    Done(u64),
    /// A run is going on, or its last invocation may still be working.
    Locked(Box<RunDocument>),
}

/// The failed records that are stored; those of the report, where an earlier version has written the run document.
fn or_reported(
    stored: Option<Stored<FailedRecords>>,
    known: Option<&RunDocument>,
) -> Option<Stored<FailedRecords>> {
    stored.or_else(|| known.map(|run| Stored::new(FailedRecords::from_report(run))))
}

/// Chooses the records of a retry, of which there may be none. Those whose run triggered flows come first, in a run by
/// themselves that does the same.
pub(super) fn choose(
    stored: Option<Stored<FailedRecords>>,
    known: Option<&RunDocument>,
    options: &mut RunOptions,
) -> Retried {
    let Some(Stored { document, .. }) = or_reported(stored, known) else {
        return Retried {
            records: 0,
            left: 0,
            unnamed: 0,
        };
    };
    let all: Vec<&String> = document.ids().collect();
    let with_flows: Vec<&String> = document.with_flows.iter().collect();
    let unnamed = document.unnamed();
    let chosen = match with_flows.is_empty() || options.trigger_flows {
        true => &all,
        false => {
            options.trigger_flows = true;
            &with_flows
        }
    };
    let ids: Vec<String> = chosen.iter().take(MAX_IDS).copied().cloned().collect();
    let retried = Retried {
        records: ids.len(),
        left: all.len() - ids.len(),
        unnamed,
    };
    options.ids = Some(ids);
    retried
}

/// Forgets the failed records of a resource.
///
/// # Errors
/// If commercetools does not respond or rejects the request.
pub async fn dismiss(engine: &Engine, resource: Resource) -> Result<Dismissed, Error> {
    let deadline = engine.deadline(TIMEOUT);
    for _ in 0..ATTEMPTS {
        let Some(mut run) = engine.store.load(resource, deadline).await? else {
            return Ok(Dismissed::Done(0));
        };
        if run.document.is_running() || run.document.is_held(engine.now()) {
            return Ok(Dismissed::Locked(Box::new(run.document)));
        }
        let stored = engine.store.load_failed_records(resource, deadline).await?;
        let Some(mut failed) = or_reported(stored, Some(&run.document)) else {
            return Ok(Dismissed::Done(0));
        };
        let count = failed.document.dismiss();
        if engine.store.save(&mut failed, deadline).await? == Saved::Lost {
            continue;
        }
        run.document.remembered_failures = 0;
        if engine.store.save(&mut run, deadline).await? == Saved::Done {
            return Ok(Dismissed::Done(count));
        }
    }
    let which = format!("{}/{resource}", engine.config.container);
    Err(Error::contended("dismiss the failed records", which))
}
