//! The end that a perfect client would have reached with the same jobs: what an import's time is compared with.
//!
//! All records are known to it at the beginning, reading is free, and it learns of a job's end at that moment. It posts
//! every job the moment that the limits of its operation allow (calls a second and a minute, in windows that are fixed
//! from the beginning on; jobs under way) and that what it depends on is there: variants are created when the job of
//! their items is over. Which items a job's variants are of is not known; they are taken to follow each other as the
//! items do.
//!
//! Where Klaviyo's windows begin, no answer tells. A client that causes no 429 whatever they are posts no more than a
//! window's calls within any time as long as one: [`Windows::Unknown`] is the end that a perfect one of these would reach.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use super::operation::{Action, JobKind, Kind, Operation, Rate};

/// "The maximum number of jobs in progress at one time is 500", of each kind.
const MAX_JOBS: usize = 500;

/// What a perfect client knows of the windows of the rate limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Windows {
    /// They begin with the import.
    FromStart,
    /// Nothing.
    Unknown,
}

/// How long a perfect client would have taken for jobs of these kinds that take these times from their submission on, in
/// the order in which they were submitted.
#[must_use]
pub fn perfect_time(jobs: &[(JobKind, Duration)], windows: Windows) -> Duration {
    let mut by_kind: BTreeMap<JobKind, Vec<Duration>> = BTreeMap::new();
    for (kind, takes) in jobs {
        by_kind.entry(*kind).or_default().push(*takes);
    }
    let items = JobKind::Catalog(Kind::Item, Action::Create);
    let variants = JobKind::Catalog(Kind::Variant, Action::Create);
    let nothing = Vec::new();
    let items_end = ready(by_kind.get(&items).unwrap_or(&nothing), &[]);
    let items_end = posted(items, &items_end, windows);
    let ends = by_kind.iter().flat_map(|(&kind, takes)| {
        let before: &[Duration] = if kind == variants { &items_end } else { &[] };
        posted(kind, &ready(takes, before), windows)
    });
    ends.max().unwrap_or_default()
}

/// When a perfect client would have posted the last of so many calls of an operation that depend on nothing.
#[must_use]
pub fn perfect_calls(operation: Operation, count: u64, windows: Windows) -> Duration {
    let mut calls = Calls::new(operation.rate(), windows);
    let mut at = Duration::ZERO;
    for _ in 0..count {
        loop {
            let allowed = calls.allowed(at);
            if allowed == at {
                break;
            }
            at = allowed;
        }
        calls.post(at);
    }
    at
}

/// Jobs with when they may be posted: each when its share of those before it is over.
fn ready(takes: &[Duration], before: &[Duration]) -> Vec<(Duration, Duration)> {
    let jobs = takes.len();
    let ready = |index: usize| before.get(index * before.len() / jobs.max(1)).copied();
    let jobs = takes.iter().enumerate();
    jobs.map(|(index, &takes)| (ready(index).unwrap_or_default(), takes))
        .collect()
}

/// The calls of one operation so far.
struct Calls {
    windows: Windows,
    rate: Rate,
    in_second: BTreeMap<u64, u32>,
    in_minute: BTreeMap<u64, u32>,
    /// When each was posted.
    at: Vec<Duration>,
}

impl Calls {
    fn new(rate: Rate, windows: Windows) -> Self {
        Self {
            windows,
            rate,
            in_second: BTreeMap::new(),
            in_minute: BTreeMap::new(),
            at: Vec::new(),
        }
    }

    /// When the next call is allowed that would be made at this time; this time if it is now.
    fn allowed(&self, at: Duration) -> Duration {
        let Rate { burst, steady } = self.rate;
        let second = at.as_secs();
        let minute = second / 60;
        match self.windows {
            Windows::FromStart => {
                let is_full = |calls: Option<&u32>, most| calls.is_some_and(|&calls| calls >= most);
                if is_full(self.in_minute.get(&minute), steady) {
                    Duration::from_secs((minute + 1) * 60)
                } else if is_full(self.in_second.get(&second), burst) {
                    Duration::from_secs(second + 1)
                } else {
                    at
                }
            }
            Windows::Unknown => {
                let after = |most: u32, window| {
                    let first = self.at.len().checked_sub(most as usize);
                    first.map_or(at, |first| self.at[first] + Duration::from_secs(window))
                };
                at.max(after(steady, 60)).max(after(burst, 1))
            }
        }
    }

    fn post(&mut self, at: Duration) {
        let second = at.as_secs();
        *self.in_minute.entry(second / 60).or_default() += 1;
        *self.in_second.entry(second).or_default() += 1;
        self.at.push(at);
    }
}

/// When jobs of one kind end, in their order.
fn posted(kind: JobKind, jobs: &[(Duration, Duration)], windows: Windows) -> Vec<Duration> {
    let mut calls = Calls::new(Operation::StartJob(kind).rate(), windows);
    let mut under_way: BinaryHeap<Reverse<Duration>> = BinaryHeap::new();
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_key(|&index| jobs[index].0);
    let mut ends = vec![Duration::ZERO; jobs.len()];
    for index in order {
        let (ready, takes) = jobs[index];
        let mut at = ready;
        loop {
            while under_way.peek().is_some_and(|Reverse(end)| *end <= at) {
                under_way.pop();
            }
            let allowed = calls.allowed(at);
            if let (MAX_JOBS.., Some(Reverse(end))) = (under_way.len(), under_way.peek()) {
                at = *end;
            } else if allowed > at {
                at = allowed;
            } else {
                break;
            }
        }
        calls.post(at);
        ends[index] = at + takes;
        under_way.push(Reverse(ends[index]));
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEMS: JobKind = JobKind::Catalog(Kind::Item, Action::Create);
    const VARIANTS: JobKind = JobKind::Catalog(Kind::Variant, Action::Create);

    fn of(jobs: &[(JobKind, usize, u64)]) -> u64 {
        let jobs = jobs.iter().flat_map(|&(kind, jobs, seconds)| {
            std::iter::repeat_n((kind, Duration::from_secs(seconds)), jobs)
        });
        perfect_time(&jobs.collect::<Vec<_>>(), Windows::FromStart).as_secs()
    }

    #[test]
    fn windows_that_begin_anywhere_count_from_the_calls_themselves() {
        let unknown = |jobs: &[(JobKind, Duration)]| perfect_time(jobs, Windows::Unknown).as_secs();
        let of = |kind, jobs: usize, seconds| {
            std::iter::repeat_n((kind, Duration::from_secs(seconds)), jobs)
        };
        let jobs: Vec<_> = of(ITEMS, 751, 1).collect();
        assert_eq!(unknown(&jobs), 61);
        // the minute of the variants begins with the first of them, when the items are there
        let jobs: Vec<_> = of(ITEMS, 1, 10).chain(of(VARIANTS, 751, 1)).collect();
        assert_eq!(unknown(&jobs), 71);
        assert_eq!(perfect_time(&jobs, Windows::FromStart).as_secs(), 61);
    }

    #[test]
    fn calls_that_depend_on_nothing_go_as_the_limits_allow() {
        for windows in [Windows::FromStart, Windows::Unknown] {
            let of = |calls| perfect_calls(Operation::BulkCreateEvents, calls, windows).as_secs();
            let calls = [0, 10, 11, 150, 151, 301, 311];
            assert_eq!(calls.map(of), [0, 0, 1, 14, 60, 120, 121], "{windows:?}");
        }
    }

    #[test]
    fn limits_of_a_second_a_minute_and_of_jobs_under_way_hold() {
        assert_eq!(of(&[]), 0);
        assert_eq!(of(&[(ITEMS, 1, 10)]), 10);
        assert_eq!(of(&[(ITEMS, 75, 10)]), 10);
        assert_eq!(of(&[(ITEMS, 76, 10)]), 11);
        assert_eq!(of(&[(ITEMS, 751, 1)]), 61);
        // 500 are under way after 6.7 s, and the others follow as these end
        assert_eq!(of(&[(ITEMS, 501, 40)]), 80);
    }

    #[test]
    fn variants_follow_their_items_and_other_kinds_hold_up_nothing() {
        assert_eq!(of(&[(ITEMS, 1, 10), (VARIANTS, 1, 5)]), 15);
        assert_eq!(of(&[(ITEMS, 75, 10), (VARIANTS, 76, 5)]), 16);
        let updates = JobKind::Catalog(Kind::Variant, Action::Update);
        assert_eq!(of(&[(ITEMS, 1, 10), (updates, 1, 12)]), 12);
    }
}
