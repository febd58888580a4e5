//! The bounded loop: fetch, map, send, be acknowledged, save; until the run is over or the window is.
//!
//! Everything that takes time is a future in one set; the loop starts what may be started, waits for whatever comes
//! first, and takes note of it. It is the only place that changes the document.

mod ending;
mod jobs;
mod progress;
mod records;

use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;

use super::cursor::{Cursor, IdRange, Job};
use super::group::{Documents, Packer};
use super::lease::{MARGIN, later};
use super::reader::Reader;
use super::state::RunDocument;
use super::store::{Saved, Store, Stored};
use crate::api::App;
use crate::error::{Action, Error};
use crate::klaviyo::batch::{Lane, Sent};
use crate::ports::{Deadline, LocalFuture, Ports, yield_now};
use crate::resources::page::Page;
use crate::resources::{Import, JobAnswer};

pub use ending::log_line;

/// How long a window works, at most, without saving.
const CHECKPOINT: Duration = Duration::from_secs(5);
/// What is kept of the lease for saving and for the call to the next window.
const FINISHING: Duration = Duration::from_secs(3);

/// How a window ended.
#[derive(Debug)]
pub enum End {
    /// The run is over.
    Completed,
    /// There is more to do.
    Continue,
    /// There is nothing to do before a moment.
    Wait {
        /// That moment.
        until: Timestamp,
        /// What is waited for.
        what: String,
    },
    /// An API failed; the next window tries again.
    Broken(Error),
    /// An API refused in a way that trying again does not mend.
    GivenUp(Error),
    /// Somebody else has written the document: stopped, or taken over.
    Lost,
}

enum Event {
    Fetched {
        range: usize,
        asked: usize,
        result: Result<Page, Error>,
    },
    Sent {
        group: u64,
        result: Result<Sent, Error>,
    },
    Asked {
        job: Box<Job>,
        result: Result<JobAnswer, Error>,
    },
    Saved {
        stored: Box<Stored>,
        result: Result<Saved, Error>,
    },
}

/// Sizes of the buffers, from the memory that the window may use.
#[derive(Debug, Clone, Copy)]
struct Budget {
    /// Bytes of pages.
    pages: usize,
    /// Bytes of one answer.
    answer: usize,
    /// Batches that are being sent at the same time.
    sends: usize,
}

impl Budget {
    fn of(memory_mib: usize) -> Self {
        let bytes = memory_mib * 1024 * 1024;
        Self {
            pages: bytes / 8,
            answer: bytes / 5,
            sends: (memory_mib / 24).clamp(2, 5),
        }
    }
}

struct Window<'a> {
    ports: Ports,
    app: &'a App,
    store: Store,
    import: Rc<dyn Import>,
    stored: Stored,
    reader: Reader,
    packer: Packer,
    jobs: Vec<Job>,
    /// Records that the present phase has gone through.
    phase_records: u64,
    asking: usize,
    sending: usize,
    saving: bool,
    budget: Budget,
    soft: Deadline,
    hard: Deadline,
    held_until: Option<Timestamp>,
    saved_at: Duration,
    in_flight: FuturesUnordered<LocalFuture<'static, Event>>,
    documents: Documents,
    progress: bool,
    has_mapped: bool,
    /// Whether Klaviyo has taken or refused anything.
    was_answered: bool,
    ending: Option<End>,
    holder: String,
}

/// Works one window on a run whose lease the caller has claimed in `stored`. `begun` is when the caller began to claim
/// it: the lease is measured from there. The document is left as the window's end asks for, saved and with the lease
/// given back; what is returned is what the next step is.
///
/// # Errors
/// Where the last save failed: the lease runs out by itself then.
pub async fn work(
    app: &App,
    import: Rc<dyn Import>,
    stored: Stored,
    begun: Duration,
) -> Result<(Stored, End), Error> {
    let clock = &*app.ports.clock;
    let holder = stored
        .document
        .lease
        .as_ref()
        .map(|lease| lease.holder.clone())
        .unwrap_or_default();
    let cursor = stored.document.cursor.clone().unwrap_or_default();
    let (memory_mib, _working) = app.begin_window();
    let budget = Budget::of(memory_mib);
    // claiming is part of the window, but never most of it: a slow API must not leave windows without any time to work
    let elapsed = clock.monotonic().saturating_sub(begun);
    let hard = Deadline::after(clock, (app.config.window + MARGIN).saturating_sub(elapsed))
        .less(FINISHING);
    let now = app.commercetools.server_now();
    let reader = reader(&budget, &stored.document, cursor.ranges);
    let packer = Packer::new(import.lanes(), import.batches_a_group(), cursor.batch_cap);
    let window = Window {
        ports: app.ports.clone(),
        app,
        store: app.store(),
        import,
        held_until: stored.document.not_before.filter(|&moment| moment > now),
        stored,
        reader,
        packer,
        jobs: cursor.jobs,
        phase_records: cursor.phase_records,
        asking: 0,
        sending: 0,
        saving: false,
        budget,
        soft: Deadline::after(
            clock,
            app.config.window - elapsed.min(app.config.window / 2),
        ),
        hard,
        saved_at: clock.monotonic(),
        in_flight: FuturesUnordered::new(),
        documents: Documents::default(),
        progress: false,
        has_mapped: false,
        was_answered: false,
        ending: None,
        holder,
    };
    window.run().await
}

impl Window<'_> {
    async fn run(mut self) -> Result<(Stored, End), Error> {
        loop {
            self.check_time();
            let mapped = if self.is_working() {
                self.start()
            } else {
                false
            };
            self.start_sends();
            self.start_save();
            self.commit();
            if let Some(pause) = self.idle(mapped) {
                match pause {
                    Some(pause) => self.wait(pause).await,
                    None => break,
                }
            } else if mapped {
                // others of this instance get a turn, and whatever has arrived meanwhile is taken note of
                yield_now().await;
                self.take_arrived();
            }
        }
        self.finish().await
    }

    fn is_working(&self) -> bool {
        self.ending.is_none() && self.held_until.is_none()
    }

    /// How long the window goes on. One that has nothing to show yet is not ended by its time while a page is on its
    /// way: a window shorter than the time that a page takes would be followed by another like it.
    fn time_left(&self) -> Duration {
        let clock = &*self.ports.clock;
        let is_empty_handed = !self.progress && !self.has_mapped && self.held_until.is_none();
        if is_empty_handed && !self.in_flight.is_empty() {
            self.hard
                .less(FINISHING)
                .remaining(clock)
                .max(self.soft.remaining(clock))
        } else {
            self.soft.remaining(clock)
        }
    }

    fn check_time(&mut self) {
        if self
            .held_until
            .is_some_and(|moment| self.app.commercetools.server_now() >= moment)
        {
            self.held_until = None;
        }
        if self.ending.is_none() && self.time_left().is_zero() {
            let held = self.held_until.map(|until| End::Wait {
                until,
                what: self.stored.document.waiting_for.clone().unwrap_or_default(),
            });
            self.end(held.unwrap_or(End::Continue));
        }
    }

    /// The window is about to end: what is mapped is sent, what is not is left to the next.
    fn end(&mut self, end: End) {
        if self.ending.is_some() {
            return;
        }
        self.reader.discard();
        match &end {
            End::Continue | End::Completed => self.packer.close(),
            End::Wait { .. } | End::Broken(_) | End::GivenUp(_) | End::Lost => {
                self.packer.discard_unsent();
            }
        }
        self.ending = Some(end);
    }

    fn fail(&mut self, error: Error) {
        let end = if matches!(error.action(), Action::Retry | Action::Wait) {
            match error.refusal() {
                Some(refusal) if error.action() == Action::Wait => {
                    let wait = refusal.retry_after.unwrap_or(CHECKPOINT);
                    let until = later(self.app.commercetools.server_now(), wait);
                    End::Wait {
                        until,
                        what: format!("the rate limit of: {}", error.operation),
                    }
                }
                _ => End::Broken(error),
            }
        } else {
            End::GivenUp(error)
        };
        self.end(end);
    }

    /// Starts what may be started; `true` where records were mapped.
    fn start(&mut self) -> bool {
        if !self.jobs_are_full() {
            while let Some((range, query)) = self.reader.next_fetch() {
                let asked = query.limit;
                let page = self.import.fetch(query, self.hard);
                self.in_flight.push(Box::pin(async move {
                    Event::Fetched {
                        range,
                        asked,
                        result: page.await,
                    }
                }));
            }
        }
        self.start_asking();
        let mapped = self.map();
        let everything_is_mapped = self.reader.is_fetched() && !self.reader.has_page();
        let lingers = self.packer.open_since().is_some_and(|since| {
            self.packer.outbox() == 0
                && self.ports.clock.monotonic().saturating_sub(since) >= CHECKPOINT
        });
        if everything_is_mapped || lingers {
            self.packer.close();
        }
        mapped
    }

    fn start_sends(&mut self) {
        let is_too_late = self.hard.is_over(&*self.ports.clock);
        if self.held_until.is_some() || matches!(self.ending, Some(End::Lost)) || is_too_late {
            return;
        }
        while self.sending < self.budget.sends {
            let Some(lane) = self.packer.next_lane() else {
                break;
            };
            if !self.ready_in(lane).is_zero() {
                break;
            }
            let Some((group, batch)) = self.packer.take() else {
                break;
            };
            if self.stored.document.order.dry_run {
                self.packer.acknowledge(group, Sent::default());
                continue;
            }
            let client = self.app.klaviyo.clone();
            let hard = self.hard;
            self.sending += 1;
            self.in_flight.push(Box::pin(async move {
                let result = batch.send(&client, hard).await;
                Event::Sent { group, result }
            }));
            // the call has to begin before the limiter knows of it
            self.take_arrived();
        }
    }

    /// How long until a batch of this lane may be sent. A dry run sends nothing that a rate limit could hold up.
    fn ready_in(&self, lane: &'static Lane) -> Duration {
        match self.stored.document.order.dry_run {
            true => Duration::ZERO,
            false => self.app.klaviyo.ready_in(lane.endpoint),
        }
    }

    fn start_save(&mut self) {
        let since = self.ports.clock.monotonic().saturating_sub(self.saved_at);
        if self.saving || self.ending.is_some() || since < CHECKPOINT {
            return;
        }
        self.saving = true;
        self.write_cursor();
        let (store, mut stored, hard) =
            (self.store.clone(), Box::new(self.stored.clone()), self.hard);
        self.in_flight.push(Box::pin(async move {
            let result = store.save(&mut stored, hard).await;
            Event::Saved { stored, result }
        }));
    }

    fn write_cursor(&mut self) {
        let document = &mut self.stored.document;
        // a job that is being asked is asked again by whoever reads this
        let now = self.app.commercetools.server_now();
        let jobs = self.jobs.iter().map(|job| Job {
            due: if job.due == Timestamp::MAX {
                now
            } else {
                job.due
            },
            ..job.clone()
        });
        document.cursor = Some(Cursor {
            ranges: self.reader.left(),
            jobs: jobs.collect(),
            phase: self.import.phase(),
            phase_records: self.phase_records,
            batch_cap: self.packer.next_cap(self.progress),
        });
        document.record_bytes = self.reader.record_bytes().map(|bytes| bytes as u64);
    }

    /// What there is to wait for: `None` where there is work at hand, `Some(None)` where the window is over.
    fn idle(&mut self, mapped: bool) -> Option<Option<Duration>> {
        if mapped {
            return None;
        }
        let clock = &*self.ports.clock;
        if self.ending.is_some() {
            return self.idle_at_the_end();
        }
        let now = self.app.commercetools.server_now();
        let save = (self.saved_at + CHECKPOINT).saturating_sub(clock.monotonic());
        let time_left = self.time_left();
        let mut pause = time_left.min(if self.saving { CHECKPOINT } else { save });
        if let Some(until) = self.held_until {
            return Some(Some(
                pause.min(between(now, until)).max(Duration::from_millis(1)),
            ));
        }
        let only_waiting = self.in_flight.is_empty();
        let is_read = self.reader.is_fetched() && !self.reader.has_page();
        if only_waiting && is_read && self.packer.is_empty() && self.jobs.is_empty() {
            if self.begin_next_phase() {
                return None;
            }
            self.end(End::Completed);
            return Some(None);
        }
        if let Some(lane) = self
            .packer
            .next_lane()
            .filter(|_| self.sending < self.budget.sends)
        {
            let wait = self.ready_in(lane);
            if only_waiting && wait > time_left {
                if !self.progress && wait < self.hard.remaining(clock) {
                    // what has been sent so far would have been for nothing: the rest is sent before the window ends
                    self.end(End::Continue);
                    return None;
                }
                let what = format!("the rate limit of: {}", lane.endpoint.name);
                self.end(End::Wait {
                    until: later(now, wait),
                    what,
                });
                return None;
            }
            pause = pause.min(wait);
        } else if let Some(due) = self.jobs.iter().map(|job| job.due).min() {
            let wait = between(now, due);
            let nothing_else =
                only_waiting && self.packer.is_empty() && (is_read || self.jobs_are_full());
            if nothing_else && wait > time_left {
                self.end(End::Wait {
                    until: due,
                    what: "Klaviyo's jobs".to_owned(),
                });
                return None;
            }
            pause = pause.min(wait);
        }
        Some(Some(pause.max(Duration::from_millis(1))))
    }

    /// The window is about to end: it waits for what is under way and for what is left to send.
    fn idle_at_the_end(&mut self) -> Option<Option<Duration>> {
        let clock = &*self.ports.clock;
        let left = self.hard.remaining(clock);
        let Some(lane) = self.packer.next_lane() else {
            return Some((!self.in_flight.is_empty()).then_some(left.max(FINISHING)));
        };
        let wait = self.ready_in(lane);
        if wait < left {
            return Some(Some(if self.sending < self.budget.sends {
                wait
            } else {
                left
            }));
        }
        let until = later(self.app.commercetools.server_now(), wait);
        let what = format!("the rate limit of: {}", lane.endpoint.name);
        self.packer.discard_unsent();
        if matches!(self.ending, Some(End::Continue)) {
            self.ending = Some(End::Wait { until, what });
        }
        None
    }

    async fn wait(&mut self, pause: Duration) {
        let sleep = self.ports.clock.sleep(pause);
        if self.in_flight.is_empty() {
            sleep.await;
            return;
        }
        let event = match select(self.in_flight.next(), sleep).await {
            Either::Left((event, _)) => event,
            Either::Right(_) => None,
        };
        if let Some(event) = event {
            self.take(event);
        }
    }

    /// Takes note of everything that has arrived, without waiting.
    fn take_arrived(&mut self) {
        use futures_util::FutureExt;
        while let Some(Some(event)) = self.in_flight.next().now_or_never() {
            self.take(event);
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Fetched {
                range,
                asked,
                result,
            } => self.take_page(range, asked, result),
            Event::Sent { group, result } => {
                self.sending -= 1;
                match result {
                    Ok(sent) => {
                        self.was_answered = true;
                        self.packer.acknowledge(group, sent);
                    }
                    Err(error) => self.fail(error),
                }
            }
            Event::Asked { job, result } => {
                self.asking -= 1;
                match result {
                    Ok(answer) => self.take_answer(*job, answer),
                    Err(error) => {
                        self.ask_later(&job);
                        self.fail(error);
                    }
                }
            }
            Event::Saved { stored, result } => {
                self.saving = false;
                self.saved_at = self.ports.clock.monotonic();
                match result {
                    Ok(Saved::Done) => {
                        self.stored.version = stored.version;
                        self.stored.unsure = stored.unsure;
                        self.stored.document.write_id = stored.document.write_id;
                    }
                    Ok(Saved::Lost) => self.lose(),
                    Err(error) => {
                        self.stored.version = stored.version;
                        self.stored.unsure = stored.unsure;
                        self.fail(error);
                    }
                }
            }
        }
    }

    fn lose(&mut self) {
        self.reader.discard();
        self.packer.discard_unsent();
        self.ending = Some(End::Lost);
    }

    fn take_page(&mut self, range: usize, asked: usize, result: Result<Page, Error>) {
        match result {
            Ok(page) => self.reader.fetched(range, page),
            Err(error) if error.action() == Action::AskForLess => {
                if !self.reader.too_large(range, asked) {
                    self.end(End::GivenUp(error));
                }
            }
            Err(error) => {
                self.reader.failed(range);
                self.fail(error);
            }
        }
        if self.ending.is_some() {
            self.reader.discard();
        }
    }
}

/// Reads these ranges within the memory that the window may use.
fn reader(budget: &Budget, document: &RunDocument, ranges: Vec<IdRange>) -> Reader {
    let record_bytes = document
        .record_bytes
        .and_then(|bytes| usize::try_from(bytes).ok());
    Reader::new(
        Rc::new(document.order.clone()),
        ranges,
        budget.pages,
        budget.answer,
        record_bytes,
    )
}

/// The time from one moment to a later one; zero where it is not later.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}
