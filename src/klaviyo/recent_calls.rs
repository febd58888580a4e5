//! The requests of the last minute, as they pass from instance to instance in the run document.
//!
//! Klaviyo's headers were recorded to tell of the limit per second only. So the component counts by itself what it has
//! sent in a minute; on WASI 0.2 each window has an instance of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::rate::STEADY_WINDOW;
use crate::time::between;

/// Requests are counted in steps of this many seconds, so that the document stays small: a minute has 13 of them.
const STEP: i64 = 5;

/// Requests by endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentCalls(BTreeMap<String, Calls>);

/// Requests to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Calls {
    /// The end of each step, in seconds since 1970, and the number of its requests.
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

    /// Notes requests to an endpoint by the time for which each still counts.
    pub(super) fn note(
        &mut self,
        endpoint: &str,
        left: impl IntoIterator<Item = Duration>,
        now: Timestamp,
    ) {
        let mut steps: BTreeMap<i64, u32> = BTreeMap::new();
        let mut last = STEADY_WINDOW;
        for left in left {
            let age = STEADY_WINDOW.saturating_sub(left);
            last = last.min(age);
            let at = now.as_second() - i64::try_from(age.as_secs()).unwrap_or(0);
            // rounded up: a request counts for a little longer, never for less
            let step = (at.div_euclid(STEP) + 1) * STEP;
            *steps.entry(step).or_default() += 1;
        }
        if !steps.is_empty() {
            let calls = Calls {
                steps: steps.into_iter().collect(),
                last: now - last,
            };
            self.0.insert(endpoint.to_owned(), calls);
        }
    }

    /// What is left of each endpoint's requests; those that are over are left out.
    pub(super) fn left(&self, now: Timestamp) -> impl Iterator<Item = (&str, Left)> {
        // a document that somebody has changed holds nothing up for longer than a minute, nor fills the memory
        const MOST: usize = 4_000;
        self.0.iter().map(move |(endpoint, calls)| {
            let left = calls.steps.iter().flat_map(|&(at, calls)| {
                let age = now.as_second().saturating_sub(at);
                let left = match u64::try_from(age) {
                    Ok(age) => STEADY_WINDOW.saturating_sub(Duration::from_secs(age)),
                    Err(_) => STEADY_WINDOW,
                };
                let calls = usize::try_from(calls).unwrap_or(MOST).min(MOST);
                std::iter::repeat_n(left, calls)
            });
            let left = left.filter(|left| !left.is_zero()).take(MOST);
            let left = Left {
                steady: left.collect(),
                last: between(calls.last, now),
            };
            (endpoint.as_str(), left)
        })
    }
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
            let found = calls.left(at(second)).map(|(_, left)| left);
            found.flat_map(|left| left.steady).collect()
        };
        let step = Duration::from_secs(STEP.unsigned_abs());
        assert_eq!(after(0).len(), 4);
        for (kept, left) in after(0).into_iter().zip(left) {
            // rounded up to a step, and its age down to a second
            let longest = left + step + Duration::from_secs(1);
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
    fn a_document_from_elsewhere_fills_no_memory_and_holds_nothing_up_for_long() {
        let calls = r#"{"create events": {"last": "2099-01-01T00:00:00Z",
            "steps": [[9223372036854775807, 4294967295], [-9223372036854775808, 7]]}}"#;
        let calls: RecentCalls = serde_json::from_str(calls).expect("calls");
        let (_, left) = calls.left(at(0)).next().expect("an endpoint");
        assert_eq!((left.steady.len(), left.last), (4_000, Duration::ZERO));
        assert!(left.steady.iter().all(|&left| left <= STEADY_WINDOW));
    }
}
