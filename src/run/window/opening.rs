//! How a window opens: what it reads with, and pages that are read while its lease is still being written.
//!
//! Reading changes nothing, and each round of requests is time before the first record is sent. What has been read is given
//! up where somebody else turns out to have the lease.

use std::fmt;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};

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
        engine
            .klaviyo
            .remember(&document.recent_calls, engine.now());
        let memory = Rc::new(engine.memory.begin_window(document.memory_halvings));
        let cursor = document.cursor.as_ref();
        let ranges = cursor.map(|cursor| cursor.ranges.clone());
        let page_cap = cursor.and_then(|cursor| cursor.page_cap);
        let reader = new_reader(
            &*import,
            memory.clone(),
            document,
            ranges.unwrap_or_default(),
            page_cap,
        );
        Self {
            import,
            memory,
            reader,
            in_flight: InFlight::default(),
            arrived: Vec::new(),
        }
    }

    /// Begins to read the first pages of a run that begins, if it may: its lease was begun to be claimed at `begun`.
    pub fn read_ahead(&mut self, engine: &Engine, document: &RunDocument, begun: Duration) {
        // jobs of the run before may still change what would be looked up
        let is_to_wait = document.earlier_jobs_until.is_some() || document.not_before.is_some();
        if is_to_wait || !self.import.fetching_only_reads() {
            return;
        }
        let timing = Timing::begin(engine, begun, None, None);
        let is_idle = true;
        while let Some((range, query)) = self.reader.next_fetch(is_idle, Turn::RecordsFirst) {
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
