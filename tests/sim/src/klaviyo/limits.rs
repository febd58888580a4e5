//! Rate limits: fixed windows of one second (burst) and one minute (steady), per operation.

use std::collections::HashMap;

use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;

use super::operation::{Operation, Rate};
use super::options::{Options, RateHeaders};

const MINUTE: i64 = 60;

/// Calls counted in the windows in which the last call fell.
#[derive(Default)]
struct Windows {
    second: i64,
    in_second: u32,
    minute: i64,
    in_minute: u32,
}

/// What the windows say to a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Counted; these are the headers' figures.
    Passed(Left),
    /// Not counted; try again after so many whole seconds.
    Throttled { retry_after: u64 },
}

/// What is left of both windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    rate: Rate,
    in_second: u32,
    in_minute: u32,
    /// Whole seconds until the minute is over.
    reset: u64,
}

impl Left {
    pub(super) fn write(self, how: RateHeaders, headers: &mut HeaderMap) {
        let Rate { burst, steady } = self.rate;
        let limit = format!("{burst}, {burst};w=1, {steady};w=60");
        let (limit, remaining, reset) = match how {
            RateHeaders::Recorded => (limit, self.in_second, 0),
            RateHeaders::Documented => (steady.to_string(), self.in_minute, self.reset),
        };
        if let Ok(limit) = HeaderValue::from_str(&limit) {
            headers.insert("RateLimit-Limit", limit);
        }
        headers.insert("RateLimit-Remaining", HeaderValue::from(remaining));
        headers.insert("RateLimit-Reset", HeaderValue::from(reset));
    }
}

/// The windows of all operations of one account.
#[derive(Default)]
pub(super) struct RateLimits {
    windows: HashMap<Operation, Windows>,
}

impl RateLimits {
    /// Counts a call at `now`, or throttles it where a window is full and limits are enforced.
    pub(super) fn admit(
        &mut self,
        now: Timestamp,
        operation: Operation,
        options: &Options,
    ) -> Verdict {
        let Rate { burst, steady } = operation.rate();
        let is_bulk = matches!(
            operation,
            Operation::StartJob(_) | Operation::BulkCreateEvents
        );
        let left = options.left_by_others.filter(|_| is_bulk);
        let steady = left.map_or(steady, |left| left.min(steady));
        let windows = self.windows.entry(operation).or_default();
        let second = now.as_second();
        let minute = second.div_euclid(MINUTE);
        if windows.second != second {
            (windows.second, windows.in_second) = (second, 0);
        }
        if windows.minute != minute {
            (windows.minute, windows.in_minute) = (minute, 0);
        }
        let reset = (MINUTE - second.rem_euclid(MINUTE)).unsigned_abs();
        if options.rate_limits {
            if windows.in_minute >= steady {
                return Verdict::Throttled { retry_after: reset };
            }
            if windows.in_second >= burst {
                return Verdict::Throttled { retry_after: 1 };
            }
        }
        windows.in_second += 1;
        windows.in_minute += 1;
        Verdict::Passed(Left {
            rate: operation.rate(),
            in_second: burst.saturating_sub(windows.in_second),
            in_minute: steady.saturating_sub(windows.in_minute),
            reset,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + millis).expect("a time in range")
    }

    fn passed(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Passed(_))
    }

    #[test]
    fn the_burst_window_is_one_second() {
        let limited = Options::default();
        let mut limits = RateLimits::default();
        let operation = Operation::BulkCreateEvents;
        for call in 0..10 {
            assert!(passed(&limits.admit(at(call * 50), operation, &limited)));
        }
        assert_eq!(
            limits.admit(at(999), operation, &limited),
            Verdict::Throttled { retry_after: 1 }
        );
        assert!(
            passed(&limits.admit(at(999), Operation::ListProfiles, &limited)),
            "each operation has its own windows"
        );
        assert!(passed(&limits.admit(at(1000), operation, &limited)));
    }

    #[test]
    fn the_steady_window_is_one_minute() {
        let limited = Options::default();
        let mut limits = RateLimits::default();
        let operation = Operation::BulkCreateEvents;
        let mut last = None;
        for call in 0..150 {
            let verdict = limits.admit(at(call / 10 * 1000), operation, &limited);
            assert!(passed(&verdict), "call {call}");
            last = Some(verdict);
        }
        assert_eq!(
            last,
            Some(Verdict::Passed(Left {
                rate: operation.rate(),
                in_second: 0,
                in_minute: 0,
                reset: 46
            }))
        );
        assert_eq!(
            limits.admit(at(20_500), operation, &limited),
            Verdict::Throttled { retry_after: 40 }
        );
        let unlimited = Options {
            rate_limits: false,
            ..Options::default()
        };
        assert!(passed(&limits.admit(at(20_500), operation, &unlimited)));
        assert!(passed(&limits.admit(at(60_000), operation, &limited)));
    }
}
