//! The end that a perfect client would have reached with the same jobs: what an import's time is compared with.
//!
//! All records are known to it at the beginning, reading is free, and it learns of a job's end at that moment. It posts
//! every job the moment that the limits of its operation allow (calls a second and a minute, in windows that are fixed
//! from the beginning on; jobs under way) and that what it depends on is there: variants are created when the job of
//! their items is over. Which items a job's variants are of is not known; they are taken to follow each other as the
//! items do.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use super::operation::{Action, JobKind, Kind, Operation, Rate};

/// "The maximum number of jobs in progress at one time is 500", of each kind.
const MAX_JOBS: usize = 500;

/// How long a perfect client would have taken for jobs of these kinds that take these times from their submission on, in
/// the order in which they were submitted.
#[must_use]
pub fn perfect_time(jobs: &[(JobKind, Duration)]) -> Duration {
    let mut by_kind: BTreeMap<JobKind, Vec<Duration>> = BTreeMap::new();
    for (kind, takes) in jobs {
        by_kind.entry(*kind).or_default().push(*takes);
    }
    let items = JobKind::Catalog(Kind::Item, Action::Create);
    let variants = JobKind::Catalog(Kind::Variant, Action::Create);
    let nothing = Vec::new();
    let items_end = posted(items, &ready(by_kind.get(&items).unwrap_or(&nothing), &[]));
    let ends = by_kind.iter().flat_map(|(&kind, takes)| {
        let before: &[Duration] = if kind == variants { &items_end } else { &[] };
        posted(kind, &ready(takes, before))
    });
    ends.max().unwrap_or_default()
}

/// Jobs with when they may be posted: each when its share of those before it is over.
fn ready(takes: &[Duration], before: &[Duration]) -> Vec<(Duration, Duration)> {
    let jobs = takes.len();
    let ready = |index: usize| before.get(index * before.len() / jobs.max(1)).copied();
    let jobs = takes.iter().enumerate();
    jobs.map(|(index, &takes)| (ready(index).unwrap_or_default(), takes))
        .collect()
}

/// When jobs of one kind end, in their order.
fn posted(kind: JobKind, jobs: &[(Duration, Duration)]) -> Vec<Duration> {
    let Rate { burst, steady } = Operation::StartJob(kind).rate();
    let mut in_second: BTreeMap<u64, u32> = BTreeMap::new();
    let mut in_minute: BTreeMap<u64, u32> = BTreeMap::new();
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
            let second = at.as_secs();
            let minute = second / 60;
            if let (MAX_JOBS.., Some(Reverse(end))) = (under_way.len(), under_way.peek()) {
                at = *end;
            } else if in_minute.get(&minute).is_some_and(|&calls| calls >= steady) {
                at = Duration::from_secs((minute + 1) * 60);
            } else if in_second.get(&second).is_some_and(|&calls| calls >= burst) {
                at = Duration::from_secs(second + 1);
            } else {
                *in_minute.entry(minute).or_default() += 1;
                *in_second.entry(second).or_default() += 1;
                break;
            }
        }
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
        perfect_time(&jobs.collect::<Vec<_>>()).as_secs()
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
