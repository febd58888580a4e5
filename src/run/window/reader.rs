//! Reading ahead: which page of which range is fetched next, and how large it is.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::commercetools::query::MAX_LIMIT;
use crate::run::page::{Page, PageQuery};
use crate::run::state::{IdRange, RunOptions};

/// Records of a first page, while nothing is known of their size.
const FIRST_LIMIT: usize = 50;
/// What a page is aimed at, in bytes: large enough that the latency of a call does not matter, small enough that many
/// fit into memory.
const PAGE_BYTES: usize = 3_000_000;
/// Pages after which larger ones are tried again where they were too slow: a page that is too slow can cost 20 s.
const PAGES_BEFORE_LARGER: usize = 50;
/// Pages that one range may have ready while it fetches the next.
const READY_PAGES: usize = 1;

/// One range, and how far it is in memory.
#[derive(Debug)]
struct Range {
    /// What is left according to what has been committed.
    committed: IdRange,
    /// What is left to be fetched.
    unfetched: IdRange,
    /// What is left to be mapped.
    unmapped: IdRange,
    fetching: bool,
    is_fetched: bool,
    is_done: bool,
    ready: usize,
    /// Records a page, at most; lowered where an answer was too large.
    cap: usize,
}

impl Range {
    fn new(range: IdRange) -> Self {
        Self {
            committed: range.clone(),
            unfetched: range.clone(),
            unmapped: range,
            fetching: false,
            is_fetched: false,
            is_done: false,
            ready: 0,
            cap: MAX_LIMIT,
        }
    }
}

/// Everything that is being read.
pub struct Reader {
    options: Rc<RunOptions>,
    ranges: Vec<Range>,
    ready: VecDeque<(usize, Page)>,
    /// Bytes that may be held in pages, those under way included.
    budget: usize,
    /// The largest answer that is read.
    max_bytes: usize,
    /// Bytes that pages under way are expected to have.
    expected: Vec<(usize, usize)>,
    /// Mean size of a record, where it is known.
    record_bytes: Option<usize>,
    /// Records a page, at most, because larger ones took too long.
    slow_cap: usize,
    /// What that was when a page last arrived: a page of one record that does not arrive either was not too large.
    good_cap: usize,
    /// Pages that have arrived since it was lowered.
    pages_since: usize,
    next: usize,
}

impl Reader {
    /// Reads these ranges with at most `budget` bytes in memory and answers of at most `max_bytes`. `page_cap` is how many
    /// records a page may have because larger ones took too long in an earlier window.
    #[must_use]
    pub fn new(
        options: Rc<RunOptions>,
        ranges: Vec<IdRange>,
        budget: usize,
        max_bytes: usize,
        record_bytes: Option<usize>,
        page_cap: Option<usize>,
    ) -> Self {
        let slow_cap = page_cap.map_or(MAX_LIMIT, |cap| cap.clamp(1, MAX_LIMIT));
        let ranges = ranges.into_iter().map(Range::new).collect();
        Self {
            options,
            ranges,
            ready: VecDeque::new(),
            budget,
            max_bytes,
            expected: Vec::new(),
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

    fn limit(&self, cap: usize) -> usize {
        let wanted = self.record_bytes.map_or(FIRST_LIMIT, |bytes| {
            PAGE_BYTES.min(self.budget) / bytes.max(1)
        });
        wanted.clamp(1, cap.min(self.slow_cap))
    }

    fn held(&self) -> usize {
        let ready: usize = self.ready.iter().map(|(_, page)| page.bytes).sum();
        ready + self.expected.iter().map(|(_, bytes)| bytes).sum::<usize>()
    }

    /// The next page to fetch, where there is one to fetch and room for it. Ranges take turns.
    pub fn next_fetch(&mut self) -> Option<(usize, PageQuery)> {
        let count = self.ranges.len();
        let wants =
            |range: &Range| !range.fetching && !range.is_fetched && range.ready <= READY_PAGES;
        let number = (0..count)
            .map(|turn| (self.next + turn) % count)
            .find(|&number| wants(&self.ranges[number]))?;
        let limit = self.limit(self.ranges[number].cap);
        let expected = limit * self.record_bytes.unwrap_or(PAGE_BYTES / FIRST_LIMIT);
        if self.held() > 0 && self.held() + expected > self.budget {
            return None;
        }
        self.next = number + 1;
        self.expected.push((number, expected));
        let range = &mut self.ranges[number];
        range.fetching = true;
        let query = PageQuery {
            range: range.unfetched.clone(),
            options: self.options.clone(),
            limit,
            max_bytes: self.max_bytes,
        };
        Some((number, query))
    }

    fn arrived(&mut self, number: usize) {
        self.expected.retain(|(range, _)| *range != number);
        self.ranges[number].fetching = false;
    }

    /// A page has arrived.
    pub fn fetched(&mut self, number: usize, page: Page) {
        self.arrived(number);
        self.good_cap = self.slow_cap;
        self.pages_since += 1;
        if self.slow_cap < MAX_LIMIT && self.pages_since >= PAGES_BEFORE_LARGER {
            self.slow_cap = (self.slow_cap * 2).min(MAX_LIMIT);
            self.pages_since = 0;
        }
        if let Some(bytes) = page.bytes.checked_div(page.len) {
            // pages differ: lean to the larger, so that a page of large records does not come as a surprise
            self.record_bytes = Some(
                self.record_bytes
                    .map_or(bytes, |known| bytes.max((known * 3 + bytes) / 4))
                    .max(1),
            );
        }
        let range = &mut self.ranges[number];
        range.is_fetched = page.is_last;
        if let Some(last) = &page.last {
            range.unfetched = range.unfetched.advanced_to(last);
        }
        range.ready += 1;
        self.ready.push_back((number, page));
    }

    /// A page was larger than can be held: it is asked for again with half as many records. `false` where a single
    /// record is too large.
    pub fn too_large(&mut self, number: usize, limit: usize) -> bool {
        self.arrived(number);
        self.ranges[number].cap = (limit / 2).max(1);
        limit > 1
    }

    /// A page took too long: it is asked for again with a quarter of the records, and so are the others. `false` where it
    /// was one record: then it is not the page's size.
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

    /// How many records a page may have because larger ones took too long; `None` where none did.
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
        let (number, page) = self.ready.front_mut()?;
        Some((*number, page, &self.ranges[*number].unmapped))
    }

    /// Everything up to here has been mapped.
    pub fn mapped(&mut self, number: usize, through: &str) {
        let range = &mut self.ranges[number];
        range.unmapped = range.unmapped.advanced_to(through);
    }

    /// The page in front is mapped to its end; `true` where its range ends with it.
    pub fn page_done(&mut self) -> bool {
        let Some((number, page)) = self.ready.pop_front() else {
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

    /// Forgets what is not mapped.
    pub fn discard(&mut self) {
        self.ready.clear();
    }

    /// What has been committed: a range is done up to this id.
    pub fn commit(&mut self, number: usize, through: &str) {
        let range = &mut self.ranges[number];
        range.committed = range.committed.advanced_to(through);
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
            .map(|range| range.committed.clone())
            .collect()
    }

    /// Mean size of a record in bytes, where it is known.
    #[must_use]
    pub fn record_bytes(&self) -> Option<usize> {
        self.record_bytes
    }
}
