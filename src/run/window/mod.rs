//! The bounded loop: fetch, map, send, be acknowledged, save; until the run is over or the window is.
//!
//! Every request is a future in one set. The loop starts what may be started, decides what comes next, waits for the
//! first request that ends, and handles its result. It is the only place that changes the document.
//!
//! - [`opening`]: what a window reads with, and what is read while its lease is being written.
//! - `decision`: what comes next, as a function of a snapshot.
//! - `waiting`, `arrivals`: the snapshot and the pauses; the results of requests.
//! - [`reader`], `range`, `turn`, `records`: which page of which range comes next; records mapped and packed.
//!   `records_first`: records that are sent without their parts, which follow.
//! - [`packer`], [`group`], [`commit`]: what is sent together; what is committed together, and changes then.
//! - `jobs`, `job_list`, `job_looks`, `job_pace`: Klaviyo's jobs and when they are polled.
//! - `earlier_jobs`: jobs of a run that was stopped are waited for.
//! - `progress`: what has been acknowledged goes into the document.
//! - `end`, [`ending`]: how a window ends; what the document and the log say then.
//! - `timing`, `in_flight`, `samples`: deadlines, requests under way, what a dry run shows.

mod arrivals;
pub mod commit;
mod decision;
mod earlier_jobs;
mod end;
pub mod ending;
pub mod group;
mod in_flight;
mod job_list;
mod job_looks;
mod job_pace;
mod jobs;
pub mod opening;
pub mod packer;
mod progress;
mod range;
pub mod reader;
mod records;
mod records_first;
mod samples;
mod timing;
mod turn;
mod waiting;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;

use self::decision::{Next, Over};
use self::in_flight::{Arrival, InFlight};
use self::job_list::JobList;
use self::opening::Opening;
use self::packer::Packer;
use self::reader::Reader;
use self::timing::{CHECKPOINT, FINISHING, Timing};
use super::documents::Documents;
use super::engine::Engine;
use super::import::{Import, JobEntries};
use super::state::{Cursor, RunDocument};
use super::store::Stored;
use crate::error::Error;
use crate::klaviyo::bulk::{BulkEndpoint, MAX_REQUEST_BYTES};
use crate::klaviyo::sending::Sent;
use crate::memory::WindowMemory;
use crate::time::{Deadline, later, yield_now};

pub use self::end::End;

/// The approximate time to send what has just been mapped.
const TIME_TO_SEND: Duration = Duration::from_secs(2);
/// The most batches that are under way at the same time, if they are small: as many as Klaviyo takes in a second at the
/// endpoints that take most, those of the catalog (`klaviyo::catalog`).
const MAX_SENDS: usize = 75;

/// What the window has achieved so far.
#[derive(Default)]
struct Findings {
    /// The window does not stand still: the run is further than at its beginning, or Klaviyo has told of a job.
    progress: bool,
    /// The run is further than at the window's beginning.
    has_advanced: bool,
    /// A record has been mapped.
    has_mapped: bool,
    /// Klaviyo has accepted or rejected something.
    klaviyo_answered: bool,
    /// A page took too long, and is asked for with fewer records from now on.
    has_narrowed: bool,
    /// It has waited for memory that other windows had.
    has_lacked_memory: bool,
    /// How the window is ending, if it is.
    end: Option<End>,
}

impl Findings {
    /// The run has got further.
    const fn advance(&mut self) {
        self.progress = true;
        self.has_advanced = true;
    }
}

struct Window<'a> {
    engine: &'a Engine,
    import: Rc<dyn Import>,
    stored: Stored,
    /// This invocation's name in the lease.
    holder: String,
    reader: Reader,
    packer: Packer,
    /// Ids of records that failed in earlier runs.
    remembered: Rc<BTreeSet<String>>,
    jobs: JobList,
    /// What the document takes up without the cursor, in bytes, as it was last saved.
    bytes_beside_cursor: usize,
    /// Records that the current phase has read.
    phase_records: u64,
    memory: Rc<WindowMemory>,
    timing: Timing,
    in_flight: InFlight,
    findings: Findings,
    /// The documents of the record that is being mapped: a buffer that is used again.
    documents: Documents,
}

/// Works one window on a run whose lease the caller has claimed in `stored`. `begun` is when the caller began to claim
/// it: the lease is measured from there. The document is left as the window's end asks for, saved and with the lease
/// given back; what is returned is what the next step is. With `ends` all of this is over by then.
///
/// # Errors
/// If the last save failed: then the lease ends by itself.
pub async fn work(
    engine: &Engine,
    mut opening: Opening,
    stored: Stored,
    begun: Duration,
    ends: Option<Deadline>,
) -> Result<(Stored, End), Error> {
    let document = &stored.document;
    remember_sent(engine, &*opening.import, document);
    let remembered = opening.beside(remembered(engine, document)).await;
    let holder = document.lease.as_ref().map(|lease| lease.holder.clone());
    let cursor = document.cursor.clone().unwrap_or_default();
    let Opening {
        import,
        memory,
        reader,
        in_flight,
        arrived,
    } = opening;
    let packer = Packer::new(
        import.bulk_endpoints(),
        import.batches_a_group(),
        cursor.batch_cap,
    )
    .watching(remembered.clone());
    let mut window = Window {
        engine,
        holder: holder.unwrap_or_default(),
        reader,
        import,
        packer,
        remembered,
        jobs: JobList::new(cursor.jobs).with_clock_ahead(cursor.clock_ahead_ms),
        bytes_beside_cursor: document.bytes_beside_cursor(),
        phase_records: cursor.phase_records,
        memory,
        timing: Timing::begin(engine, begun, ends, document.not_before),
        in_flight,
        findings: Findings::default(),
        documents: Documents::default(),
        stored,
    };
    for arrival in arrived {
        window.take(arrival);
    }
    window.run().await
}

/// Tells the client what Klaviyo did with what earlier windows of the run sent, as another instance may have sent it.
fn remember_sent(engine: &Engine, import: &dyn Import, run: &RunDocument) {
    let parts = run.variants.as_ref().map_or(0, |parts| parts.sent);
    let endpoints = import.bulk_endpoints();
    for endpoint in endpoints {
        let sent = match import.job_entries(endpoint.key) {
            JobEntries::Parts => parts,
            _ => run.counts.sent,
        };
        engine.klaviyo.remember_accepted(endpoint, sent > 0);
    }
    if run.counts.sent + parts == 0 {
        engine
            .klaviyo
            .remember_refused(endpoints, run.refused_blindly);
    }
}

/// The ids of the records that failed in earlier runs, if this one sends records. If they cannot be read now, none is
/// forgotten in this window.
async fn remembered(engine: &Engine, run: &RunDocument) -> Rc<BTreeSet<String>> {
    if run.remembered_failures == 0 || !run.sends_records() {
        return Rc::default();
    }
    let deadline = engine.deadline(FINISHING);
    let found = engine.store.load_failed_records(run.resource, deadline);
    let found = found.await.ok().flatten();
    found.map_or_else(Rc::default, |found| {
        found
            .document
            .ids()
            .cloned()
            .collect::<BTreeSet<_>>()
            .into()
    })
}

impl Window<'_> {
    async fn run(mut self) -> Result<(Stored, End), Error> {
        loop {
            self.release_hold();
            if let Some(over) = decision::time_is_up(&self.snapshot()) {
                self.end(over);
            }
            let mapped = if self.is_working() {
                self.start()
            } else {
                self.finish_pages()
            };
            self.start_sends();
            self.start_save();
            self.commit();
            self.note_what_waits();
            let snapshot = self.snapshot();
            self.findings.has_lacked_memory |= snapshot.lacks_memory;
            match decision::next(&snapshot, mapped) {
                Next::Work => {
                    // other tasks of this instance run, and the results that have arrived meanwhile are handled
                    yield_now().await;
                    self.take_arrived();
                }
                Next::Wait(pause) => self.wait(pause).await,
                Next::PhaseOver if self.begin_next_phase() => {}
                Next::PhaseOver => break,
                Next::End(over) => self.end(over),
                Next::DropUnsent(wait) => self.drop_unsent(wait),
                Next::Leave => break,
            }
        }
        self.finish().await
    }

    fn is_working(&self) -> bool {
        self.findings.end.is_none() && self.timing.held_until.is_none()
    }

    /// Starts what may be started; `true` if records were mapped.
    fn start(&mut self) -> bool {
        if self.waits_for_earlier_jobs() {
            return false;
        }
        if self.import.needs_no_more(&self.stored.document) {
            self.reader.finish();
        }
        let turn = self.begin_with_records();
        if !self.jobs_are_full() {
            let is_idle = self.in_flight.sends == 0 && self.packer.outbox() == 0;
            while let Some((range, query)) = self.reader.next_fetch(is_idle, turn) {
                let hard = self.timing.hard;
                self.in_flight.fetch(&*self.import, range, query, hard);
            }
        }
        self.start_polls();
        let mapped = self.map();
        let everything_is_mapped = self.reader.is_fetched() && !self.reader.has_page();
        let lingers = self.packer.open_since().is_some_and(|since| {
            let is_left = self.packer.outbox() == 0 || self.parts_are_stuck();
            is_left && self.engine.monotonic().saturating_sub(since) >= CHECKPOINT
        });
        if everything_is_mapped || lingers {
            self.packer.close();
        }
        mapped
    }

    /// The window's time is used up: pages that have been fetched are mapped and sent all the same, as long as there is
    /// time to send them.
    fn finish_pages(&mut self) -> bool {
        if !matches!(self.findings.end, Some(End::Continue)) {
            return false;
        }
        let has_time = self.engine.remaining(self.timing.hard) > TIME_TO_SEND;
        let mapped = has_time && self.map();
        if !mapped && self.packs_for().is_none() {
            self.packer.close();
        }
        mapped
    }

    fn start_sends(&mut self) {
        let is_too_late = self.engine.remaining(self.timing.hard).is_zero();
        let is_held = self.timing.held_until.is_some();
        if is_held || is_too_late || matches!(self.findings.end, Some(End::Lost)) {
            return;
        }
        while self.may_send() {
            let free: Vec<&str> = self
                .packer
                .endpoints()
                .filter(|endpoint| self.may_submit(endpoint) && self.ready_in(endpoint).is_zero())
                .map(|endpoint| endpoint.key)
                .collect();
            let taken = self.packer.take(|endpoint| free.contains(&endpoint.key));
            let Some((group, batch)) = taken else {
                break;
            };
            if self.stored.document.options.dry_run {
                self.packer
                    .acknowledge(group, Sent::default(), self.engine.now());
                continue;
            }
            let client = self.engine.klaviyo.clone();
            let hard = self.timing.hard;
            let bytes = batch.bytes();
            let are_named = batch.endpoint().names_entries;
            let entries = are_named.then(|| batch.records().collect());
            self.in_flight.sends += 1;
            self.in_flight.send_bytes += bytes;
            self.in_flight.calls.push(Box::pin(async move {
                let result = batch.send(&client, hard).await;
                Arrival::Sent {
                    group,
                    bytes,
                    entries,
                    result,
                }
            }));
            // the call has to begin before the limiter knows of it
            self.take_arrived();
        }
    }

    /// Whether one more batch may be under way: there is memory for one of full size.
    fn may_send(&self) -> bool {
        let InFlight {
            sends, send_bytes, ..
        } = self.in_flight;
        let most = self.memory.sends() * MAX_REQUEST_BYTES;
        sends == 0 || (sends < MAX_SENDS && send_bytes + MAX_REQUEST_BYTES <= most)
    }

    /// The time until the next batch may be sent; `None` if none waits, or only such that have to wait for jobs.
    fn next_batch_in(&self) -> Option<Duration> {
        let endpoints = self.packer.endpoints();
        let may_be_sent = endpoints.filter(|endpoint| self.may_submit(endpoint));
        may_be_sent.map(|endpoint| self.ready_in(endpoint)).min()
    }

    /// The time until a batch may be posted to this endpoint. A dry run sends nothing, so it has no rate limit.
    fn ready_in(&self, endpoint: &'static BulkEndpoint) -> Duration {
        match self.stored.document.options.dry_run {
            true => Duration::ZERO,
            false => self.engine.klaviyo.ready_in(endpoint.post),
        }
    }

    fn start_save(&mut self) {
        let since = self.engine.monotonic().saturating_sub(self.timing.saved_at);
        if self.in_flight.is_saving || self.findings.end.is_some() || since < CHECKPOINT {
            return;
        }
        if decision::leaves_soon(&self.snapshot()) {
            // the last save would have to wait for this one
            return;
        }
        self.in_flight.is_saving = true;
        self.write_cursor();
        self.reader.begin_save();
        if let Some(lease) = &mut self.stored.document.lease {
            // one that is killed without progress may be killed so every time
            lease.has_saved |= self.findings.has_advanced;
        }
        let store = self.engine.store.clone();
        let mut stored = Box::new(self.stored.clone());
        let hard = self.timing.hard;
        self.in_flight.calls.push(Box::pin(async move {
            let result = store.save_run(&mut stored, hard).await;
            Arrival::Saved { stored, result }
        }));
    }

    fn write_cursor(&mut self) {
        let jobs = self.jobs.for_cursor(&self.listed_jobs(), self.engine.now());
        let document = &mut self.stored.document;
        document.cursor = Some(Cursor {
            ranges: self.reader.left(),
            jobs,
            phase: self.import.phase(),
            phase_records: self.phase_records,
            batch_cap: self.packer.next_cap(self.findings.progress),
            page_cap: self.reader.page_cap(),
            clock_ahead_ms: self.jobs.clock_ahead_ms(),
        });
        document.record_bytes = self.reader.record_bytes().map(|bytes| bytes as u64);
        document
            .history
            .note(self.engine.now(), document.read_in_all());
        document.recent_calls = self.engine.klaviyo.recent_calls(self.engine.now());
        self.bytes_beside_cursor = document.bytes_beside_cursor();
    }

    /// The window begins to end before the run is over.
    fn end(&mut self, over: Over) {
        let now = self.engine.now();
        let end = match over {
            Over::TimeIsUp => End::Continue,
            Over::Held => match self.timing.held_until {
                Some(until) => End::Wait {
                    until,
                    what: self.stored.document.waiting_for.clone().unwrap_or_default(),
                },
                None => End::Continue,
            },
            Over::RateLimit(wait) => End::Wait {
                until: self.next_step(later(now, self.until_reading(wait))),
                what: self.waits_for_rate_limit(),
            },
            Over::Jobs(wait) => End::Wait {
                until: later(now, wait),
                what: "Klaviyo's jobs".to_owned(),
            },
        };
        self.begin_to_end(end);
    }

    /// When there is something to do before a rate limit ends at `limit`: jobs can be asked for.
    fn next_step(&self, limit: Timestamp) -> Timestamp {
        if self.jobs.is_empty() {
            return limit;
        }
        // those that are being asked for now are asked for again
        let next_poll = self.next_poll().unwrap_or_else(|| self.engine.now());
        next_poll.min(limit)
    }

    /// What is waited for if the next batch has to wait.
    fn waits_for_rate_limit(&self) -> String {
        let mut endpoints = self.packer.endpoints();
        let endpoint = endpoints.find(|endpoint| self.may_submit(endpoint));
        let name = endpoint.map_or("Klaviyo", |endpoint| endpoint.post.name);
        format!("the rate limit of: {name}")
    }

    /// The window begins to end: nothing more is fetched, and what has been fetched is sent, if there is time for it.
    fn begin_to_end(&mut self, end: End) {
        if self.findings.end.is_some() && !self.says_more(&end) {
            return;
        }
        match &end {
            End::Continue => {}
            End::Completed => self.packer.close(),
            End::Unconfirmed => {}
            End::Wait { .. } => {
                self.reader.discard();
                self.packer.defer_unsent();
            }
            End::Broken(_) | End::GivenUp(_) | End::Lost => {
                self.reader.discard();
                self.packer.discard_unsent();
            }
        }
        self.findings.end = Some(end);
    }

    /// Whether an end says more than that the window's time is used up. Where nothing came of it, it is what was waited for
    /// in vain; but not a request that was only cut off: the window may be too short.
    fn says_more(&self, end: &End) -> bool {
        let says_more = match (&self.findings.end, end) {
            (Some(End::Continue), End::Wait { .. }) => true,
            (Some(End::Continue | End::Wait { .. }), End::Broken(error)) => !error.was_cut_off(),
            _ => false,
        };
        says_more && !self.findings.progress
    }

    /// The batches that are left are dropped; the next window reads their records again, after this wait.
    fn drop_unsent(&mut self, wait: Duration) {
        let wait = self.until_reading(wait);
        let until = self.next_step(later(self.engine.now(), wait));
        let what = self.waits_for_rate_limit();
        self.packer.defer_unsent();
        if matches!(self.findings.end, Some(End::Continue)) {
            self.findings.end = Some(End::Wait { until, what });
        }
    }
}
