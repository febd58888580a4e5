//! The requests of the last minute, as they pass from instance to instance in the run document.
//!
//! Klaviyo's headers were recorded to tell of the limit per second only. So the component counts by itself what it has
//! sent in a minute; on WASI 0.2 each window has an instance of its own.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::rate::STEADY_WINDOW;
use crate::time::between;

/// An instance takes commercetools' time, which the requests are noted in, for a little earlier than it is: by as long as the
/// quickest of its responses was on its way. The next instance may be closer to it by this much.
const CLOCKS: Duration = Duration::from_millis(250);
/// Requests of so many milliseconds are noted together.
const STEP: i64 = 100;
/// The same where that gives more than [`MOST_STEPS`]: the document is to stay small.
const LONG_STEP: i64 = 1_000;
const MOST_STEPS: usize = 150;

/// Requests by endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentCalls(BTreeMap<String, Calls>);

/// Requests to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Calls {
    /// The end of each step, in milliseconds since 1970, and the number of its requests. Earlier versions wrote seconds: those
    /// requests count as over.
    steps: Vec<(i64, u32)>,
    /// When the last of them began.
    last: Timestamp,
}

/// What another instance's requests leave to this one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Left {
    /// The time for which each request still counts.
    pub(super) steady: Vec<Duration>,
    /// The time since the last of them.
    pub(super) last: Duration,
}

impl RecentCalls {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds requests to an endpoint by the time for which each still counts.
    pub(super) fn note(
        &mut self,
        endpoint: &str,
        left: impl IntoIterator<Item = Duration>,
        now: Timestamp,
    ) {
        let known = self.0.remove(endpoint);
        let known_last = known.as_ref().map(|calls| calls.last);
        let known = known.into_iter().flat_map(|calls| calls.steps);
        let mut steps: BTreeMap<i64, u32> = known.collect();
        let mut last = STEADY_WINDOW;
        for left in left {
            let age = STEADY_WINDOW.saturating_sub(left);
            last = last.min(age);
            let at = end_of_step((now - age).as_millisecond(), STEP);
            *steps.entry(at).or_default() += 1;
        }
        if steps.len() > MOST_STEPS {
            let mut longer = BTreeMap::new();
            for (at, calls) in steps {
                *longer.entry(end_of_step(at, LONG_STEP)).or_default() += calls;
            }
            steps = longer;
        }
        if !steps.is_empty() {
            let last = now - last;
            let calls = Calls {
                steps: steps.into_iter().collect(),
                last: known_last.map_or(last, |known| known.max(last)),
            };
            self.0.insert(endpoint.to_owned(), calls);
        }
    }

    /// Those that still count, with the moments that they had: what is passed on again and again must not get younger.
    /// One that is further ahead than clocks differ was written by somebody else, and would count for ever.
    #[must_use]
    pub(super) fn current(&self, now: Timestamp) -> Self {
        let still_counts = |at: i64| {
            let age = now.as_millisecond().saturating_sub(at);
            Duration::from_millis(age.unsigned_abs()) < STEADY_WINDOW + CLOCKS
        };
        let current = self.0.iter().filter_map(|(endpoint, calls)| {
            let mut calls = calls.clone();
            calls.steps.retain(|&(at, _)| still_counts(at));
            (!calls.steps.is_empty()).then(|| (endpoint.clone(), calls))
        });
        Self(current.collect())
    }

    /// Takes over the requests to those endpoints that are wanted.
    pub(super) fn take(&mut self, from: &Self, is_wanted: impl Fn(&str) -> bool) {
        let wanted = from.0.iter().filter(|(endpoint, _)| is_wanted(endpoint));
        self.0
            .extend(wanted.map(|(endpoint, calls)| (endpoint.clone(), calls.clone())));
    }

    /// What is left of the requests to an endpoint; `None` if all of them are over.
    pub(super) fn left(&self, endpoint: &str, now: Timestamp) -> Option<Left> {
        // a document that somebody has changed holds nothing up for longer than a minute, nor fills the memory
        const MOST: usize = 4_000;
        let calls = self.0.get(endpoint)?;
        let left = calls.steps.iter().flat_map(|&(at, calls)| {
            let age = Timestamp::from_millisecond(at).map(|at| between(at, now));
            let left = match age {
                Ok(age) => (STEADY_WINDOW + CLOCKS).saturating_sub(age),
                Err(_) if at > 0 => STEADY_WINDOW,
                Err(_) => Duration::ZERO,
            };
            let calls = usize::try_from(calls).unwrap_or(MOST).min(MOST);
            std::iter::repeat_n(left, calls)
        });
        let steady: Vec<Duration> = left.filter(|left| !left.is_zero()).take(MOST).collect();
        let last = between(calls.last, now);
        (!steady.is_empty()).then_some(Left { steady, last })
    }

    /// The same without the requests that an instance knows, which has been away for a while: those that it does not know
    /// are the latest. Those that are over soon are left out, as an instance counts its own for a little less long.
    pub(super) fn left_beyond(&self, known: usize, endpoint: &str, now: Timestamp) -> Option<Left> {
        let soon = CLOCKS + Duration::from_millis(LONG_STEP.unsigned_abs());
        let mut left = self.left(endpoint, now)?;
        left.steady.retain(|&left| left > soon);
        let unknown = left.steady.len().saturating_sub(known);
        left.steady.sort_unstable_by_key(|&left| Reverse(left));
        left.steady.truncate(unknown);
        (unknown > 0).then_some(left)
    }
}

/// The end of the step that a moment is in: a request counts for a little longer, never for less.
fn end_of_step(at: i64, step: i64) -> i64 {
    at.div_euclid(step).saturating_add(1).saturating_mul(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time in range")
    }

    #[test]
    fn calls_count_for_as_long_in_the_next_instance_or_a_little_longer() {
        let mut calls = RecentCalls::default();
        let left = [1, 20, 59, 60].map(Duration::from_secs);
        calls.note("create events", left, at(0));
        let after = |second: i64| -> Vec<Duration> {
            let found = calls.left("create events", at(second));
            found.map_or_else(Vec::new, |left| left.steady)
        };
        assert_eq!(after(0).len(), 4);
        for (kept, left) in after(0).into_iter().zip(left) {
            let longest = left + Duration::from_millis(STEP.unsigned_abs()) + CLOCKS;
            assert!(kept >= left && kept <= longest, "{kept:?} {left:?}");
        }
        assert_eq!(after(30).len(), 2);
        assert_eq!(after(70), [Duration::ZERO; 0]);
        let text = serde_json::to_string(&calls).expect("it serializes");
        assert_eq!(
            serde_json::from_str::<RecentCalls>(&text).expect("calls"),
            calls
        );
    }

    #[test]
    fn many_calls_take_up_no_more_than_a_step_each_second() {
        let mut calls = RecentCalls::default();
        let left = (1..=600).map(|tenth| Duration::from_millis(100) * tenth);
        calls.note("create events", left, at(0));
        let steps = &calls.0["create events"].steps;
        assert!(steps.len() <= 62, "{}", steps.len());
        assert_eq!(steps.iter().map(|&(_, calls)| calls).sum::<u32>(), 600);
        let kept = calls.left("create events", at(0)).expect("an endpoint");
        let tenths = (1..=600).map(|tenth| Duration::from_millis(100) * tenth);
        for (kept, left) in kept.steady.iter().zip(tenths) {
            assert!(*kept >= left, "{kept:?} {left:?}");
        }
    }

    #[test]
    fn a_document_from_elsewhere_fills_no_memory_and_holds_nothing_up_for_long() {
        let calls = r#"{"create events": {"last": "2099-01-01T00:00:00Z",
            "steps": [[9223372036854775807, 4294967295], [-9223372036854775808, 7]]}}"#;
        let calls: RecentCalls = serde_json::from_str(calls).expect("calls");
        let left = calls.left("create events", at(0)).expect("an endpoint");
        assert_eq!((left.steady.len(), left.last), (4_000, Duration::ZERO));
        assert!(left.steady.iter().all(|&left| left <= STEADY_WINDOW));
        assert!(calls.current(at(0)).is_empty(), "it is not passed on");
    }

    #[test]
    fn an_instance_that_comes_back_learns_of_the_calls_that_were_made_meanwhile() {
        let mut calls = RecentCalls::default();
        calls.note("create events", [STEADY_WINDOW; 3], at(0));
        let beyond = |calls: &RecentCalls, known: usize, second: i64| -> Vec<u64> {
            let left = calls.left_beyond(known, "create events", at(second));
            let left = left.map_or_else(Vec::new, |left| left.steady);
            left.iter().map(Duration::as_secs).collect()
        };
        assert_eq!(beyond(&calls, 3, 20), [0; 0], "its own");
        calls.note("create events", [STEADY_WINDOW; 2], at(20));
        assert_eq!(beyond(&calls, 3, 30), [50, 50]);
        assert_eq!(beyond(&calls, 5, 30), [0; 0]);
        assert_eq!(beyond(&calls, 0, 30).len(), 5);
        // what is over for the one is nearly over for the other
        assert_eq!(beyond(&calls, 2, 60), [0; 0]);
    }

    #[test]
    fn calls_that_are_passed_on_again_and_again_get_no_younger() {
        let mut calls = RecentCalls::default();
        calls.note("create events", [STEADY_WINDOW; 3], at(0));
        for second in 0..80 {
            calls = calls.current(at(second));
            let is_there = calls.left("create events", at(second)).is_some();
            assert_eq!(is_there, second < 61, "after {second} s");
        }
        assert!(calls.is_empty());
        // another instance adds its own
        calls.note("create events", [STEADY_WINDOW; 3], at(0));
        calls.note("create events", [STEADY_WINDOW; 2], at(30));
        let left = calls.left("create events", at(31)).expect("an endpoint");
        assert_eq!((left.steady.len(), left.last), (5, Duration::from_secs(1)));
    }
}
