//! Reads ahead: which page of which range is fetched next, and how large it is.

use std::collections::VecDeque;
use std::rc::Rc;

use super::range::{Awaited, Range};
use super::turn::Turn;
use crate::commercetools::query::MAX_LIMIT;
use crate::memory::{Taken, WindowMemory};
use crate::run::page::{Page, PageQuery};
use crate::run::state::{Digests, IdRange, Only, RunOptions};

/// The least room that is reserved for a response, in bytes.
const LEAST_RESERVED: usize = 1024 * 1024;
/// The records of a first page, while their size is not known.
const FIRST_LIMIT: usize = 50;
/// The room for a first page, in bytes: most records are far smaller than 80 kB, and so several ranges are begun at a time.
const FIRST_ROOM: usize = 4 * 1024 * 1024;
/// What a page is aimed at, in bytes: so large that a call's latency does not matter, so small that many fit into memory.
const PAGE_BYTES: usize = 3_000_000;
/// After this many pages larger ones are tried again, if they were too slow: a page that is too slow can cost 20 s.
const PAGES_BEFORE_LARGER: usize = 50;
/// Pages that one range may have ready while it fetches the next.
const READY_PAGES: usize = 1;

/// Everything that is being read.
pub struct Reader {
    options: Rc<RunOptions>,
    ranges: Vec<Range>,
    /// Pages that have arrived, with the memory that they hold.
    ready: VecDeque<(usize, Page, Taken)>,
    memory: Rc<WindowMemory>,
    /// Memory that is reserved for pages under way: the most that their responses may have.
    reserved: Vec<(usize, Taken)>,
    /// Whether the last page that was asked for has to wait for memory.
    lacks_memory: bool,
    /// Mean size of a record in bytes, if it is known.
    record_bytes: Option<usize>,
    /// The most records per page because larger pages took too long.
    slow_cap: usize,
    /// What that was when a page last arrived: a page of one record that does not arrive either was not too large.
    good_cap: usize,
    /// Pages that have arrived since it was lowered.
    pages_since: usize,
    next: usize,
}

impl Reader {
    /// Reads these ranges within this memory. `page_cap` is how many records a page may have because larger ones took too
    /// long in an earlier window.
    #[must_use]
    pub fn new(
        options: Rc<RunOptions>,
        ranges: Vec<IdRange>,
        memory: Rc<WindowMemory>,
        record_bytes: Option<usize>,
        page_cap: Option<usize>,
    ) -> Self {
        let slow_cap = page_cap.map_or(MAX_LIMIT, |cap| cap.clamp(1, MAX_LIMIT));
        let ranges = ranges.into_iter().map(Range::new).collect();
        Self {
            options,
            ranges,
            ready: VecDeque::new(),
            memory,
            reserved: Vec::new(),
            lacks_memory: false,
            record_bytes,
            slow_cap,
            good_cap: slow_cap,
            pages_since: 0,
            next: 0,
        }
    }

    /// Adds a range that is to be read (again).
    pub fn add(&mut self, range: IdRange) {
        self.ranges.push(Range::new(range));
    }

    /// Adds a range that is read once it is saved, without the entries that other such ranges have: should what is sent for it
    /// be forgotten, the stored cursor still asks for it.
    pub fn add_once_saved(&mut self, mut range: IdRange) {
        let waiting = || self.ranges.iter().filter(|range| range.save.is_some());
        let is_new = |name: &String| !waiting().any(|range| range.committed.entries.contains(name));
        range.entries.retain(is_new);
        if !range.entries.is_empty() {
            self.ranges.push(Range {
                save: Some(Awaited::Next),
                ..Range::new(range)
            });
        }
    }

    /// A save of what is left begins.
    pub fn begin_save(&mut self) {
        for range in &mut self.ranges {
            range.save = range.save.map(|_| Awaited::UnderWay);
        }
    }

    /// It is saved.
    pub fn saved(&mut self) {
        for range in &mut self.ranges {
            range.save.take_if(|save| *save == Awaited::UnderWay);
        }
    }

    fn limit(&self, cap: usize) -> usize {
        let wanted = self.record_bytes.map_or(FIRST_LIMIT, |bytes| {
            PAGE_BYTES.min(self.memory.pages()) / bytes.max(1)
        });
        wanted.clamp(1, cap.min(self.slow_cap))
    }

    fn held(&self) -> usize {
        let ready = self.ready.iter().map(|(.., taken)| taken);
        let reserved = self.reserved.iter().map(|(_, taken)| taken);
        ready.chain(reserved).map(Taken::bytes).sum()
    }

    /// Whether the next page waits for memory that other windows may have.
    #[must_use]
    pub fn lacks_memory(&self) -> bool {
        self.lacks_memory
    }

    /// Reads, from now on, the records before their parts: each plain range ends with what has been mapped of it, and what
    /// is left is one of [`Only::RecordsFirst`]. Returns the ranges that are read to the end by this.
    pub fn read_records_first(&mut self) -> Vec<usize> {
        let mut ended = Vec::new();
        for number in 0..self.ranges.len() {
            let range = &mut self.ranges[number];
            if !range.is_plain() {
                continue;
            }
            self.ready.retain(|(of, ..)| *of != number);
            range.ready = 0;
            range.drops_page = range.fetching;
            range.is_fetched = true;
            let (cap, needs_all) = (range.cap, std::mem::take(&mut range.needs_all));
            let rest = IdRange {
                only: Some(Only::RecordsFirst),
                ..range.unmapped.clone()
            };
            if let Some(after) = rest.after.clone() {
                for position in [
                    &mut range.committed,
                    &mut range.unfetched,
                    &mut range.unmapped,
                ] {
                    position.through = Some(after.clone());
                }
                ended.push(number);
            } else {
                // nothing of it has been mapped
                range.is_done = true;
            }
            self.ranges.push(Range {
                cap,
                needs_all,
                ..Range::new(rest)
            });
        }
        ended
    }

    /// Whether there are records that have not been read.
    #[must_use]
    pub fn has_records(&self) -> bool {
        let is_such = |range: &Range| range.is_plain() || range.has_records_first();
        self.ranges.iter().any(is_such)
    }

    /// Whether there are records that are read before their parts.
    #[must_use]
    pub fn has_records_first(&self) -> bool {
        self.ranges.iter().any(Range::has_records_first)
    }

    /// Makes a page of records that are read before their parts the next one to be mapped; `false` if none is ready.
    pub fn prefer_records_first(&mut self) -> bool {
        let is_such = |(number, ..): &(usize, Page, Taken)| {
            self.ranges[*number].committed.only == Some(Only::RecordsFirst)
        };
        let at = self.ready.iter().position(is_such);
        let page = at.and_then(|at| self.ready.remove(at));
        let is_there = page.is_some();
        page.into_iter()
            .for_each(|page| self.ready.push_front(page));
        is_there
    }

    /// Adds the parts of these records of a range, to be read when there is room for their jobs.
    pub fn add_parts(&mut self, of: usize, mut records: Vec<String>) {
        let mut ranges = self.ranges.iter_mut();
        let is_small = |entries: usize| entries + records.len() <= Digests::MOST;
        let waiting = ranges
            .find(|range| range.parts_of == Some(of) && is_small(range.committed.entries.len()));
        if let Some(range) = &waiting {
            records.extend_from_slice(&range.committed.entries);
        }
        let parts = IdRange::of_entries(records, 0)
            .with_only(Some(Only::Parts))
            .with_span();
        let mut range = Range::new(parts);
        range.parts_of = Some(of);
        match waiting {
            Some(waiting) => *waiting = range,
            None => self.ranges.push(range),
        }
    }

    /// The next page to fetch, if there is one and memory for it. Ranges take turns. A record that is too large to be held
    /// beside anything else waits until the window `is_idle`: nothing is being sent.
    pub fn next_fetch(&mut self, is_idle: bool, turn: Turn) -> Option<(usize, PageQuery)> {
        self.lacks_memory = false;
        let count = self.ranges.len();
        let wants = |range: &Range| {
            let is_meant = match turn {
                Turn::RecordsFirst => true,
                Turn::OnlyRecords => range.has_records_first(),
                Turn::NoRecordsFirst => !range.has_records_first(),
            };
            let may_begin = is_meant && range.save.is_none() && (is_idle || !range.needs_all);
            may_begin && !range.fetching && !range.is_fetched && range.ready <= READY_PAGES
        };
        // what follows a job or is read again is read first: so there is never much of it in the cursor
        let turns = || (0..count).map(|turn| (self.next + turn) % count);
        let follows = |number: &usize| {
            let range = &self.ranges[*number].committed;
            range.attempt > 0 || range.only.is_some_and(|only| only != Only::RecordsFirst)
        };
        let is_first = |number: &usize| self.ranges[*number].has_records_first();
        let number = turns()
            .filter(is_first)
            .chain(turns().filter(follows))
            .chain(turns())
            .find(|&number| wants(&self.ranges[number]))?;
        let range = &mut self.ranges[number];
        if range.parts_of.take().is_some() {
            let parts = range.committed.for_cursor();
            (range.unfetched, range.unmapped) = (parts.clone(), parts.clone());
            range.committed = parts;
        }
        let range = &self.ranges[number];
        let limit = self.limit(range.cap).min(range.unfetched.next_records());
        let taken = match range.needs_all {
            true => self.memory.take_alone(self.memory.alone()),
            false => self.memory.take_page(self.held(), self.room_for(limit)),
        };
        self.lacks_memory = taken.is_none();
        let taken = taken?;
        self.next = number + 1;
        let (max_bytes, page_cap) = (taken.bytes(), self.page_cap());
        self.reserved.push((number, taken));
        let range = &mut self.ranges[number];
        range.fetching = true;
        let query = PageQuery {
            range: range.unfetched.clone(),
            options: self.options.clone(),
            limit,
            page_cap,
            max_bytes,
        };
        Some((number, query))
    }

    /// The most that a page of so many records may have: twice of what is known of their size.
    fn room_for(&self, limit: usize) -> usize {
        let most = self.memory.pages();
        self.record_bytes.map_or(FIRST_ROOM.min(most), |bytes| {
            let twice = bytes.saturating_mul(2 * limit);
            twice.clamp(LEAST_RESERVED.min(most), most)
        })
    }

    /// A page is under way no more; gives the memory that was reserved for it.
    fn arrived(&mut self, number: usize) -> Option<Taken> {
        self.ranges[number].fetching = false;
        let at = self.reserved.iter().position(|(range, _)| *range == number);
        at.map(|at| self.reserved.swap_remove(at).1)
    }

    /// A page has arrived.
    pub fn fetched(&mut self, number: usize, page: Page) {
        let taken = self.arrived(number);
        if std::mem::take(&mut self.ranges[number].drops_page) {
            self.give_up_solitude();
            return;
        }
        self.good_cap = self.slow_cap;
        self.pages_since += 1;
        if self.slow_cap < MAX_LIMIT && self.pages_since >= PAGES_BEFORE_LARGER {
            self.slow_cap = (self.slow_cap * 2).min(MAX_LIMIT);
            self.pages_since = 0;
        }
        if let Some(bytes) = page.bytes.checked_div(page.len) {
            // pages differ: the estimate follows the larger ones, because a page that is too large has to be read again
            self.record_bytes = Some(
                self.record_bytes
                    .map_or(bytes, |known| bytes.max((known * 3 + bytes) / 4))
                    .max(1),
            );
        }
        let range = &mut self.ranges[number];
        range.needs_all = false;
        range.cap = (range.cap * 2).min(MAX_LIMIT);
        range.is_fetched = page.is_last;
        if let Some(last) = &page.last {
            range.unfetched = range.unfetched.advanced_to(last);
        }
        range.ready += 1;
        if let Some(mut taken) = taken {
            taken.shrink_to(page.bytes);
            self.ready.push_back((number, page, taken));
        }
        self.give_up_solitude();
    }

    /// A page was larger than the room that was reserved for it: it is requested again with half as many records, or,
    /// where it was one, with the room that there is for one alone. `false` where a single record is too large for that.
    pub fn too_large(&mut self, number: usize, limit: usize) -> bool {
        let reserved = self.arrived(number).map_or(0, |taken| taken.bytes());
        if self.ranges[number].drops_page {
            // what is left of the range is read by another one
            return true;
        }
        let least = reserved / limit.max(1);
        self.record_bytes = Some(self.record_bytes.map_or(least, |known| known.max(least)));
        let range = &mut self.ranges[number];
        range.cap = (limit / 2).max(1);
        range.needs_all = limit == 1;
        self.give_up_solitude();
        limit > 1 || reserved < self.memory.alone()
    }

    /// Other windows may have pages again, if no range needs all the memory any more.
    fn give_up_solitude(&self) {
        if !self.ranges.iter().any(|range| range.needs_all) {
            self.memory.is_not_alone();
        }
    }

    /// A page took too long: it is asked for again with a quarter of the records, and so are the others. `false` where
    /// it was one record: then it is not the page's size.
    pub fn too_slow(&mut self, number: usize, limit: usize) -> bool {
        self.arrived(number);
        self.pages_since = 0;
        if limit == 1 {
            self.slow_cap = self.good_cap;
            return false;
        }
        self.slow_cap = self.slow_cap.min((limit / 4).max(1));
        true
    }

    /// The most records per page because larger pages took too long; `None` if none did.
    #[must_use]
    pub fn page_cap(&self) -> Option<usize> {
        (self.slow_cap < MAX_LIMIT).then_some(self.slow_cap)
    }

    /// A page did not arrive; nothing more will be fetched from this range in this window.
    pub fn failed(&mut self, number: usize) {
        self.arrived(number);
    }

    /// The page that is to be mapped next, with its range.
    pub fn page(&mut self) -> Option<(usize, &mut Page, &IdRange)> {
        let (number, page, _) = self.ready.front_mut()?;
        Some((*number, page, &self.ranges[*number].unmapped))
    }

    /// Everything up to here has been mapped.
    pub fn mapped(&mut self, number: usize, through: &str) {
        let range = &mut self.ranges[number];
        range.unmapped = range.unmapped.advanced_to(through);
    }

    /// The first page is mapped to its end; `true` if it is the last page of its range.
    pub fn page_done(&mut self) -> bool {
        let Some((number, page, _)) = self.ready.pop_front() else {
            return false;
        };
        self.ranges[number].ready -= 1;
        page.is_last
    }

    /// Whether a page is ready to be mapped.
    #[must_use]
    pub fn has_page(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether everything has been fetched.
    #[must_use]
    pub fn is_fetched(&self) -> bool {
        self.ranges.iter().all(|range| range.is_fetched)
    }

    /// Drops what is not mapped.
    pub fn discard(&mut self) {
        self.ready.clear();
    }

    /// What has been committed: a range is done up to this id.
    pub fn commit(&mut self, number: usize, through: &str) {
        let range = &mut self.ranges[number];
        range.committed = range.committed.advanced_to(through);
    }

    /// Nothing more is read: what has been fetched is dropped.
    pub fn finish(&mut self) {
        self.ready.clear();
        for range in &mut self.ranges {
            range.ready = 0;
            range.is_fetched = true;
            range.is_done = true;
        }
    }

    /// What has been committed: a range is done.
    pub fn commit_end(&mut self, number: usize) {
        self.ranges[number].is_done = true;
    }

    /// What is left, for the cursor.
    #[must_use]
    pub fn left(&self) -> Vec<IdRange> {
        self.ranges
            .iter()
            .filter(|range| !range.is_done)
            .map(|range| range.committed.for_cursor())
            .collect()
    }

    /// What that takes up in the document, about, in bytes.
    #[must_use]
    pub fn stored_bytes(&self) -> usize {
        let left = self.ranges.iter().filter(|range| !range.is_done);
        left.map(|range| range.committed.stored_bytes()).sum()
    }

    /// Mean size of a record in bytes, if it is known.
    #[must_use]
    pub fn record_bytes(&self) -> Option<usize> {
        self.record_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    #[test]
    fn however_many_parts_wait_the_cursor_can_be_read() {
        let memory = Rc::new(Memory::of(128).begin_window(0));
        let mut reader = Reader::new(Rc::default(), vec![IdRange::default()], memory, None, None);
        let records = 2 * Digests::MOST + 100;
        for first in (0..records).step_by(100) {
            let of_job = first..first + 100;
            reader.add_parts(0, of_job.map(|id| format!("{id:036}")).collect());
        }
        let left = reader.left();
        let text = serde_json::to_string(&left).expect("it serializes");
        let read: Vec<IdRange> = serde_json::from_str(&text).expect("what was written");
        assert_eq!(read, left);
        let digests: usize = read.iter().map(|range| range.digests.len()).sum();
        assert_eq!(digests, records);
    }
}
