//! How a window opens: what it reads with, and pages that are read while its lease is still being written.
//!
//! Reading changes nothing, and each round of requests is time before the first record is sent. What has been read is given
//! up where somebody else turns out to have the lease. A first page that costs little is read even before it is known whether
//! the run may begin.

use std::fmt;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use jiff::Timestamp;

use super::in_flight::{Arrival, InFlight};
use super::reader::Reader;
use super::timing::Timing;
use super::turn::Turn;
use crate::memory::WindowMemory;
use crate::run::engine::Engine;
use crate::run::import::Import;
use crate::run::state::{IdRange, RunDocument};

/// What a window reads with.
pub struct Opening {
    pub(super) import: Rc<dyn Import>,
    pub(super) memory: Rc<WindowMemory>,
    pub(super) reader: Reader,
    pub(super) in_flight: InFlight,
    /// The results that have arrived before the window.
    pub(super) arrived: Vec<Arrival>,
}

impl fmt::Debug for Opening {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Opening").finish_non_exhaustive()
    }
}

impl Opening {
    /// Opens a window on a run. Nothing is read yet.
    #[must_use]
    pub fn new(engine: &Engine, document: &RunDocument) -> Self {
        let import = engine.import(document);
        let cursor = document.cursor.as_ref();
        let ranges = cursor.map(|cursor| cursor.ranges.clone());
        Self::reading(engine, document, import, ranges.unwrap_or_default())
    }

    /// Begins to read the first page of a run that is asked for, if its import may do that; the window opens with it by
    /// [`Opening::of`]. Its lease will have begun to be claimed at `begun`.
    #[must_use]
    pub fn early(engine: &Engine, asked_for: &RunDocument, begun: Duration) -> Option<Self> {
        let import = engine.import(asked_for);
        if !(import.may_read_early() && import.fetching_only_reads()) {
            return None;
        }
        let ranges = import.ranges(asked_for, engine.config.id_ranges);
        let mut opening = Self::reading(engine, asked_for, import, ranges);
        opening.fetch(engine, begun, 1);
        Some(opening)
    }

    /// Opens a window on a run that begins, with what has been read for it before, unless that came too early or has failed:
    /// then it is read again.
    #[must_use]
    pub fn of(engine: &Engine, document: &RunDocument, early: Option<Self>) -> Self {
        let has_failed = |early: &Self| early.arrived.iter().any(Arrival::is_failed_fetch);
        match early.filter(|early| !has_to_wait(engine, document) && !has_failed(early)) {
            Some(opening) => {
                opening.remember_calls(engine, document);
                opening
            }
            None => Self::new(engine, document),
        }
    }

    fn reading(
        engine: &Engine,
        document: &RunDocument,
        import: Rc<dyn Import>,
        ranges: Vec<IdRange>,
    ) -> Self {
        let memory = Rc::new(engine.memory.begin_window(document.memory_halvings));
        let page_cap = document.cursor.as_ref().and_then(|cursor| cursor.page_cap);
        let reader = new_reader(&*import, memory.clone(), document, ranges, page_cap);
        let opening = Self {
            import,
            memory,
            reader,
            in_flight: InFlight::default(),
            arrived: Vec::new(),
        };
        opening.remember_calls(engine, document);
        opening
    }

    fn remember_calls(&self, engine: &Engine, document: &RunDocument) {
        engine
            .klaviyo
            .remember(&document.recent_calls, engine.now());
    }

    /// Begins to read the first pages of a run that begins, if it may: its lease was begun to be claimed at `begun`.
    pub fn read_ahead(&mut self, engine: &Engine, document: &RunDocument, begun: Duration) {
        if !has_to_wait(engine, document) && self.import.fetching_only_reads() {
            self.fetch(engine, begun, usize::MAX);
        }
    }

    /// Begins to read so many more pages, if there are so many.
    fn fetch(&mut self, engine: &Engine, begun: Duration, pages: usize) {
        let timing = Timing::begin(engine, begun, None, None);
        let is_idle = true;
        let reader = &mut self.reader;
        let next = std::iter::from_fn(|| reader.next_fetch(is_idle, Turn::RecordsFirst));
        for (range, query) in next.take(pages) {
            self.in_flight
                .fetch(&*self.import, range, query, timing.hard);
        }
    }

    /// Waits for something else while pages are under way.
    pub async fn beside<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        loop {
            if self.in_flight.calls.is_empty() {
                return other.await;
            }
            match select(other.as_mut(), self.in_flight.calls.next()).await {
                Either::Left((output, _)) => return output,
                Either::Right((arrival, _)) => self.arrived.extend(arrival),
            }
        }
    }
}

/// Whether nothing may be read yet: jobs of the run before may still change what would be looked up.
fn has_to_wait(engine: &Engine, document: &RunDocument) -> bool {
    let now = engine.now();
    let is_ahead = |moment: Option<Timestamp>| moment.is_some_and(|moment| moment > now);
    let waits_for_jobs = is_ahead(document.earlier_jobs_until) && !document.options.dry_run;
    waits_for_jobs || is_ahead(document.not_before)
}

/// A reader of these ranges with the options of the run, within the memory of the window.
pub(super) fn new_reader(
    import: &dyn Import,
    memory: Rc<WindowMemory>,
    document: &RunDocument,
    ranges: Vec<IdRange>,
    page_cap: Option<usize>,
) -> Reader {
    let record_bytes = document
        .record_bytes
        .and_then(|bytes| usize::try_from(bytes).ok())
        .or_else(|| import.record_bytes());
    let options = Rc::new(document.options.clone());
    Reader::new(options, ranges, memory, record_bytes, page_cap)
}
