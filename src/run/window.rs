//! The bounded loop: fetch, map, send, be acknowledged, save; until the run is over or the window is.
//!
//! Everything that takes time is a future in one set; the loop starts what may be started, waits for whatever comes
//! first, and takes note of it. It is the only place that changes the document.

use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use serde_json::json;
use serde_json::value::RawValue;

use super::cursor::{Cursor, IdRange, Job};
use super::group::{Commit, Documents, JobEffect, Packer, Place};
use super::lease::{MARGIN, later};
use super::reader::Reader;
use super::sample;
use super::state::{Counts, LastError, Outcome, Resource, RunDocument, SetAside, Status};
use super::store::{Saved, Store, Stored};
use crate::api::App;
use crate::error::{Action, Error};
use crate::klaviyo::batch::{Batch, Lane, Sent};
use crate::mapping::Skip;
use crate::ports::{Deadline, LocalFuture, Ports, yield_now};
use crate::resources::page::{Page, Record, id_of};
use crate::resources::{Import, JobAnswer, Refused};

/// How long a window works, at most, without saving.
const CHECKPOINT: Duration = Duration::from_secs(5);
/// What is kept of the lease for saving and for the call to the next window.
const FINISHING: Duration = Duration::from_secs(3);
/// Bytes of records that are mapped before others get a turn.
const MAPPING_SLICE: usize = 256 * 1024;
/// Full batches that may wait: mapping pauses behind them.
const MAX_OUTBOX: usize = 2;
/// When a job is asked for the first time.
const FIRST_ASK: Duration = Duration::from_secs(2);
/// The longest pause between two questions about a job.
const LONGEST_ASK: Duration = Duration::from_secs(30);
/// How long a job may take before the run goes on without it.
const JOB_PATIENCE: Duration = Duration::from_secs(3_600);
/// Jobs asked at the same time.
const MAX_ASKING: usize = 4;
/// Jobs that may be under way before no more are handed in; bounds the document.
const MAX_JOBS: usize = 60;
/// How often an entry is sent another time because its job did not take it.
const MAX_ATTEMPTS: u32 = 2;
/// The pause after the first window that failed; each later one is twice as long.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

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
    Fetched { range: usize, asked: usize, result: Result<Page, Error> },
    Sent { group: u64, result: Result<Sent, Error> },
    Asked { job: Box<Job>, result: Result<JobAnswer, Error> },
    Saved { stored: Box<Stored>, result: Result<Saved, Error> },
}

/// Sizes of the buffers, from the memory that the instance may use.
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
        Self { pages: bytes / 8, answer: bytes / 5, sends: (memory_mib / 24).clamp(2, 5) }
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
    ending: Option<End>,
    holder: String,
}

/// Works one window on a run whose lease the caller has claimed in `stored`. `begun` is when the caller began to claim
/// it: the lease is measured from there. The document is left as the window's end asks for, saved and with the lease
/// given back; what is returned is what the next step is.
///
/// # Errors
/// Where the last save failed: the lease runs out by itself then.
pub async fn work(app: &App, import: Rc<dyn Import>, stored: Stored, begun: Duration) -> Result<(Stored, End), Error> {
    let clock = &*app.ports.clock;
    let holder = stored.document.lease.as_ref().map(|lease| lease.holder.clone()).unwrap_or_default();
    let cursor = stored.document.cursor.clone().unwrap_or_default();
    let budget = Budget::of(app.config.memory_mib);
    let elapsed = clock.monotonic().saturating_sub(begun);
    let hard = Deadline::after(clock, (app.config.window + MARGIN).saturating_sub(elapsed)).less(FINISHING);
    let now = app.commercetools.server_now();
    let reader = reader(app, &stored.document, cursor.ranges);
    let packer = Packer::new(import.lanes(), import.batches_a_group());
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
        soft: Deadline::after(clock, app.config.window.saturating_sub(elapsed)),
        hard,
        saved_at: clock.monotonic(),
        in_flight: FuturesUnordered::new(),
        documents: Documents::default(),
        progress: false,
        ending: None,
        holder,
    };
    window.run().await
}

impl Window<'_> {
    async fn run(mut self) -> Result<(Stored, End), Error> {
        loop {
            self.check_time();
            let mapped = if self.is_working() { self.start() } else { false };
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

    fn check_time(&mut self) {
        if self.held_until.is_some_and(|moment| self.app.commercetools.server_now() >= moment) {
            self.held_until = None;
        }
        if self.ending.is_none() && self.soft.is_over(&*self.ports.clock) {
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
            End::Wait { .. } | End::Broken(_) | End::GivenUp(_) | End::Lost => self.packer.discard_unsent(),
        }
        self.ending = Some(end);
    }

    /// Whether no more jobs are handed in for now.
    fn jobs_are_full(&self) -> bool {
        self.jobs.len() + self.packer.outbox() >= MAX_JOBS
    }

    fn fail(&mut self, error: Error) {
        let end = if matches!(error.action(), Action::Retry | Action::Wait) {
            match error.refusal() {
                Some(refusal) if error.action() == Action::Wait => {
                    let wait = refusal.retry_after.unwrap_or(CHECKPOINT);
                    let until = later(self.app.commercetools.server_now(), wait);
                    End::Wait { until, what: format!("the rate limit of: {}", error.operation) }
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
                self.in_flight.push(Box::pin(async move { Event::Fetched { range, asked, result: page.await } }));
            }
        }
        self.start_asking();
        let mapped = self.map();
        let everything_is_mapped = self.reader.is_fetched() && !self.reader.has_page();
        let lingers = self.packer.open_since().is_some_and(|since| {
            self.packer.outbox() == 0 && self.ports.clock.monotonic().saturating_sub(since) >= CHECKPOINT
        });
        if everything_is_mapped || lingers {
            self.packer.close();
        }
        mapped
    }

    fn map(&mut self) -> bool {
        let now = self.ports.clock.monotonic();
        let mut bytes = 0;
        let mut mapped = false;
        while bytes < MAPPING_SLICE && self.packer.outbox() < MAX_OUTBOX && !self.jobs_are_full() {
            let Some((range, page, before)) = self.reader.page() else { break };
            let before = before.clone();
            let Some(record) = page.records.pop_front() else {
                self.turn_page(range, &before, now);
                continue;
            };
            let by_id = page.by_id;
            mapped = true;
            let id = match record {
                Record::Missing(id) => {
                    let place = Place { range, before: &before, id: Some(&id), reached: Some(&id) };
                    self.packer.skip(place, Skip::NotFound.code(), Skip::NotFound.to_string(), now);
                    Some(id)
                }
                Record::Present(record) => {
                    bytes += record.len();
                    self.documents.clear();
                    let outcome = match serde_json::from_slice::<&RawValue>(&record) {
                        Ok(raw) => (page.mapper)(raw, &mut self.documents),
                        Err(_) => Err(Skip::Malformed { missing: "JSON" }),
                    };
                    self.pack(range, &before, by_id, &record, outcome, now)
                }
            };
            if let Some(id) = id.filter(|_| by_id) {
                self.reader.mapped(range, &id);
            }
        }
        mapped
    }

    /// A page is mapped to its end. Where its records do not say how far that is, the page does, and what is sent ends
    /// with it.
    fn turn_page(&mut self, range: usize, before: &IdRange, now: Duration) {
        let next = self.reader.page().filter(|(_, page, _)| !page.by_id).and_then(|(_, page, _)| page.last.clone());
        if let Some(next) = next {
            self.packer.reach(Place { range, before, id: None, reached: Some(&next) }, now);
            self.packer.close();
            self.reader.mapped(range, &next);
        }
        if self.reader.page_done() {
            self.packer.finish(range, now);
        }
    }

    /// Packs what a record has become; gives its id.
    fn pack(
        &mut self,
        range: usize,
        before: &IdRange,
        by_id: bool,
        record: &[u8],
        outcome: Result<String, Skip>,
        now: Duration,
    ) -> Option<String> {
        match outcome.and_then(|id| self.fit().map(|()| id)) {
            Ok(id) => {
                if self.stored.document.order.dry_run {
                    sample::take(&mut self.stored.document.samples, self.import.lanes(), &self.documents);
                }
                let reached = by_id.then_some(id.as_str());
                self.packer.add(Place { range, before, id: Some(&id), reached }, &self.documents, now);
                Some(id)
            }
            Err(skip) => {
                let id = id_of(record);
                let reached = id.as_deref().filter(|_| by_id);
                let place = Place { range, before, id: id.as_deref(), reached };
                self.packer.skip(place, skip.code(), skip.to_string(), now);
                id
            }
        }
    }

    /// Checks that every document of the record that has been mapped fits into a request.
    fn fit(&self) -> Result<(), Skip> {
        for document in &self.documents.list {
            let lane = self.import.lanes()[document.lane];
            let text = &self.documents.bytes[document.place.clone()];
            if !Batch::fits_alone(lane, document.profile.as_deref(), text) {
                return Err(Skip::TooLarge { bytes: text.len(), most: lane.max_bytes });
            }
        }
        Ok(())
    }

    fn start_sends(&mut self) {
        if self.held_until.is_some() || matches!(self.ending, Some(End::Lost)) {
            return;
        }
        while self.sending < self.budget.sends {
            let Some(lane) = self.packer.next_lane() else { break };
            if !self.ready_in(lane).is_zero() {
                break;
            }
            let Some((group, batch)) = self.packer.take() else { break };
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

    fn start_asking(&mut self) {
        let now = self.app.commercetools.server_now();
        let due: Vec<usize> = (0..self.jobs.len()).filter(|&job| self.jobs[job].due <= now).collect();
        for job in due {
            if self.asking == MAX_ASKING {
                break;
            }
            // not again before this answer has been dealt with
            self.jobs[job].due = Timestamp::MAX;
            self.asking += 1;
            let job = Box::new(self.jobs[job].clone());
            let answer = self.import.ask((*job).clone(), self.hard);
            self.in_flight.push(Box::pin(async move { Event::Asked { job, result: answer.await } }));
        }
    }

    fn start_save(&mut self) {
        let since = self.ports.clock.monotonic().saturating_sub(self.saved_at);
        if self.saving || self.ending.is_some() || since < CHECKPOINT {
            return;
        }
        self.saving = true;
        self.write_cursor();
        let (store, mut stored, hard) = (self.store.clone(), Box::new(self.stored.clone()), self.hard);
        self.in_flight.push(Box::pin(async move {
            let result = store.save(&mut stored, hard).await;
            Event::Saved { stored, result }
        }));
    }

    fn write_cursor(&mut self) {
        let document = &mut self.stored.document;
        // a job that is being asked is asked again by whoever reads this
        let now = self.app.commercetools.server_now();
        let jobs = self.jobs.iter().map(|job| Job { due: if job.due == Timestamp::MAX { now } else { job.due }, ..job.clone() });
        document.cursor = Some(Cursor {
            ranges: self.reader.left(),
            jobs: jobs.collect(),
            phase: self.import.phase(),
            phase_records: self.phase_records,
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
        let mut pause = self.soft.remaining(clock).min(if self.saving { CHECKPOINT } else { save });
        if let Some(until) = self.held_until {
            return Some(Some(pause.min(between(now, until)).max(Duration::from_millis(1))));
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
        if let Some(lane) = self.packer.next_lane().filter(|_| self.sending < self.budget.sends) {
            let wait = self.ready_in(lane);
            if only_waiting && wait > self.soft.remaining(clock) {
                let what = format!("the rate limit of: {}", lane.endpoint.name);
                self.end(End::Wait { until: later(now, wait), what });
                return None;
            }
            pause = pause.min(wait);
        } else if let Some(due) = self.jobs.iter().map(|job| job.due).min() {
            let wait = between(now, due);
            let nothing_else = only_waiting && self.packer.is_empty() && (is_read || self.jobs_are_full());
            if nothing_else && wait > self.soft.remaining(clock) {
                self.end(End::Wait { until: due, what: "Klaviyo's jobs".to_owned() });
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
            return Some(Some(if self.sending < self.budget.sends { wait } else { left }));
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
            Event::Fetched { range, asked, result } => self.take_page(range, asked, result),
            Event::Sent { group, result } => {
                self.sending -= 1;
                match result {
                    Ok(sent) => self.packer.acknowledge(group, sent),
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
                        self.stored.document.write_id = stored.document.write_id;
                    }
                    Ok(Saved::Lost) => self.lose(),
                    Err(error) => self.fail(error),
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

    fn ask_later(&mut self, asked: &Job) {
        let now = self.app.commercetools.server_now();
        if let Some(job) = self.jobs.iter_mut().find(|job| job.id == asked.id) {
            job.asked += 1;
            let pause = FIRST_ASK.saturating_mul(1 << (job.asked / 2).min(8)).min(LONGEST_ASK);
            job.due = later(now, pause);
        }
    }

    fn take_answer(&mut self, job: Job, answer: JobAnswer) {
        // waiting for a job is not standing still: its patience is bounded by itself
        self.progress = true;
        let now = self.app.commercetools.server_now();
        match answer {
            JobAnswer::NotYet if later(job.since, JOB_PATIENCE) > now => self.ask_later(&job),
            JobAnswer::NotYet | JobAnswer::Unknown => {
                self.jobs.retain(|known| known.id != job.id);
                *self.stored.document.counts.notes.entry("jobs-without-result".to_owned()).or_default() += 1;
                self.progress = true;
            }
            JobAnswer::Cancelled if !job.entries.is_empty() => {
                let again = job.entries.iter().map(|name| (name.clone(), "Klaviyo cancelled the job".to_owned()));
                let again = again.collect();
                self.take_result(job, Vec::new(), again, 0);
            }
            JobAnswer::Cancelled => {
                self.jobs.retain(|known| known.id != job.id);
                let counts = self.counts();
                if job.spans.is_empty() {
                    counts.move_to_failed(job.counts.sent);
                } else {
                    counts.take_back(&job.counts);
                    for span in job.spans {
                        self.reader.add(span);
                    }
                }
                self.progress = true;
            }
            JobAnswer::Done { refused, again, left } => self.take_result(job, refused, again, left),
            JobAnswer::Read { refused, mended, errors_at } => {
                let effect = JobEffect { id: job.id, errors_at, refused, mended: mended.len() as u64 };
                self.packer.answer(effect, 0, &mended, self.ports.clock.monotonic());
            }
        }
    }

    fn commit(&mut self) {
        while let Some(commit) = self.packer.commit() {
            self.progress = true;
            self.apply(commit);
        }
    }

    fn apply(&mut self, commit: Commit) {
        let now = self.app.commercetools.server_now();
        self.jobs.extend(commit.cursor_jobs(now, later(now, FIRST_ASK)));
        for (range, span) in &commit.spans {
            if let Some(through) = &span.through {
                self.reader.commit(*range, through);
            }
        }
        for range in commit.finished {
            self.reader.commit_end(range);
        }
        self.phase_records += commit.records_reached;
        self.counts().add(&commit.counts);
        let document = &mut self.stored.document;
        if commit.last_id.is_some() {
            document.last_id = commit.last_id;
        }
        for record in commit.set_aside {
            document.set_aside(record);
        }
        let Some(effect) = commit.effect else { return };
        document.counts.move_to_failed(effect.refused.len() as u64);
        for (id, reason) in effect.refused {
            document.set_aside(SetAside { id, outcome: Outcome::Failed, reason });
        }
        if effect.mended > 0 {
            *document.counts.notes.entry(super::group::NOTE_MENDED.to_owned()).or_default() += effect.mended;
        }
        match effect.errors_at {
            Some(path) => {
                if let Some(job) = self.jobs.iter_mut().find(|job| job.id == effect.id) {
                    job.errors_at = Some(path);
                    job.due = now;
                    // part of its errors has been dealt with: should it turn out cancelled now, it is left as it is
                    job.spans.clear();
                }
            }
            None => self.jobs.retain(|job| job.id != effect.id),
        }
    }

    /// The counts that the present phase adds to.
    fn counts(&mut self) -> &mut Counts {
        let document = &mut self.stored.document;
        match self.import.counts_variants() {
            true => document.variants.get_or_insert_default(),
            false => &mut document.counts,
        }
    }

    /// A job is finished: what it refused is counted as failed, and what it could not do is read and sent again.
    fn take_result(&mut self, job: Job, mut refused: Refused, mut again: Vec<(String, String)>, left: u64) {
        self.jobs.retain(|known| known.id != job.id);
        self.progress = true;
        if job.attempt >= MAX_ATTEMPTS {
            refused.extend(again.drain(..).map(|(name, reason)| (Some(name), reason)));
        }
        let counts = self.counts();
        counts.move_to_failed(refused.len() as u64);
        let records = again.len() as u64 + left;
        counts.take_back(&Counts { read: records, sent: records, documents: records, ..Counts::default() });
        for (name, reason) in refused {
            self.stored.document.set_aside(SetAside::failed(name.as_deref(), reason));
        }
        if !again.is_empty() {
            let entries = again.into_iter().map(|(name, _)| name).collect();
            self.reader.add(IdRange::of_entries(entries, job.attempt + 1));
        }
    }

    /// Goes on with the next phase, where there is one.
    fn begin_next_phase(&mut self) -> bool {
        let Some(next) = self.import.next_phase() else { return false };
        let document = &mut self.stored.document;
        let cursor = Cursor::start(&document.order, next.phase(), self.app.config.id_ranges);
        document.record_bytes = self.reader.record_bytes().map(|bytes| bytes as u64);
        self.reader = reader(self.app, document, cursor.ranges);
        self.packer = Packer::new(next.lanes(), next.batches_a_group());
        self.phase_records = 0;
        self.import = next;
        self.progress = true;
        true
    }

    /// Writes the document as the window's end asks for.
    async fn finish(mut self) -> Result<(Stored, End), Error> {
        self.commit();
        let end = self.ending.take().unwrap_or(End::Continue);
        let now = self.app.commercetools.server_now();
        if matches!(end, End::Lost) {
            return self.release().await;
        }
        self.write_cursor();
        let progress = self.progress;
        let document = &mut self.stored.document;
        document.lease = None;
        document.not_before = None;
        document.waiting_for = None;
        if progress {
            document.stalled_windows = 0;
            document.last_error = None;
        }
        document.pace.note(now, document.counts.read);
        match &end {
            End::Completed => document.end(Status::Completed, now),
            // a window that is too short to get anything done would be followed by another like it for ever
            End::Continue if !progress => document.stall(LastError {
                at: now,
                message: "a window ended without progress".to_owned(),
                advice: "Raise window_seconds: reading and sending one page takes longer than a window.".to_owned(),
            }),
            End::Continue | End::Lost => {}
            End::Wait { until, what } => {
                document.not_before = Some(*until);
                document.waiting_for = Some(what.clone());
            }
            End::Broken(error) | End::GivenUp(error) => {
                document.stall(LastError { at: now, message: error.to_string(), advice: error.advice().to_owned() });
                if matches!(end, End::GivenUp(_)) {
                    document.give_up(now);
                } else if document.status == Status::Running {
                    let pause = PAUSE_AFTER_FAILURE.saturating_mul(1 << document.stalled_windows.min(8));
                    document.not_before = Some(later(now, pause));
                    document.waiting_for = Some("an API that does not answer".to_owned());
                }
            }
        }
        let deadline = Deadline::after(&*self.ports.clock, FINISHING.max(self.hard.remaining(&*self.ports.clock)));
        match self.store.save(&mut self.stored, deadline).await? {
            Saved::Done => Ok((self.stored, end)),
            Saved::Lost => self.release().await,
        }
    }

    /// The document has been changed by somebody else. Where that was a stop, it waits for this invocation to say that
    /// it has ended: the lease is given back, with what has been acknowledged in the meantime.
    async fn release(self) -> Result<(Stored, End), Error> {
        let ours = self.stored.document;
        let deadline = Deadline::after(&*self.ports.clock, FINISHING.max(self.hard.remaining(&*self.ports.clock)));
        let found = self.store.load(ours.resource, deadline).await?;
        let Some(mut found) = found else { return Ok((Stored { document: ours, version: 0 }, End::Lost)) };
        let is_ours = found.document.run_id == ours.run_id
            && !found.document.is_going_on()
            && found.document.lease.as_ref().is_some_and(|lease| lease.holder == self.holder);
        if is_ours {
            let document = &mut found.document;
            document.counts = ours.counts;
            document.variants = ours.variants;
            document.last_id = ours.last_id;
            document.set_aside = ours.set_aside;
            document.set_aside_omitted = ours.set_aside_omitted;
            document.lease = None;
            self.store.save(&mut found, deadline).await?;
        }
        Ok((found, End::Lost))
    }
}

/// Reads these ranges within the memory that the instance may use.
fn reader(app: &App, document: &RunDocument, ranges: Vec<IdRange>) -> Reader {
    let budget = Budget::of(app.config.memory_mib);
    let record_bytes = document.record_bytes.and_then(|bytes| usize::try_from(bytes).ok());
    Reader::new(Rc::new(document.order.clone()), ranges, budget.pages, budget.answer, record_bytes)
}

/// The time from one moment to a later one; zero where it is not later.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

/// What a window's log line says of its end.
#[must_use]
pub fn log_line(resource: Resource, stored: &Stored, end: &End, duration: Duration) -> serde_json::Value {
    let document = &stored.document;
    let name = match end {
        End::Completed => "run_completed",
        End::Continue => "window_done",
        End::Wait { .. } => "waiting",
        End::Broken(_) => "window_failed",
        End::GivenUp(_) => "run_failed",
        End::Lost => "window_ended_by_others",
    };
    json!({
        "event": name,
        "resource": resource.name(),
        "runId": document.run_id,
        "window": document.window,
        "durationMs": u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        "read": document.counts.read,
        "sent": document.counts.sent,
        "skipped": document.counts.skipped_in_all(),
        "failed": document.counts.failed,
        "documents": document.counts.documents,
        "jobs": document.cursor.as_ref().map_or(0, |cursor| cursor.jobs.len()),
        "notBefore": document.not_before,
        "waitingFor": document.waiting_for,
        "error": document.last_error.as_ref().map(|error| &error.message),
    })
}
