//! Klaviyo's rate limits: fixed windows of a second (burst) and a minute (steady), per account and endpoint
//! (<https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling>).
//!
//! The server's word wins: `RateLimit-Remaining`, `RateLimit-Reset` and `Retry-After` are believed, what the account's
//! other users take included. Until the first answer of a steady window one call goes ahead and the others wait for
//! what it brings, so that a used-up window costs one refused call and not a burst of them.

use std::collections::VecDeque;
use std::time::Duration;

use http::HeaderMap;

use crate::retry::retry_after;

/// An endpoint with its documented limits.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// For errors and as the key of its limiter, such as `import profiles`.
    pub name: &'static str,
    /// Calls a second.
    pub burst: u32,
    /// Calls a minute.
    pub steady: u32,
}

/// The burst window, with some room for calls that travel at different speeds.
const BURST_WINDOW: Duration = Duration::from_millis(1_100);
/// The steady window: no answer is believed that puts its end further off.
const STEADY_WINDOW: Duration = Duration::from_secs(60);
/// How long to hold back after a 429 that does not say.
const UNSAID_RETRY_AFTER: Duration = Duration::from_secs(5);

/// What is known of one endpoint's limits. All times are on the instance's monotonic clock.
#[derive(Debug, Default)]
pub struct Limiter {
    /// Calls left in the steady window by the last answer, less those begun since; `None` before the first answer.
    remaining: Option<u32>,
    /// When the steady window ends.
    resets_at: Duration,
    /// No call before this moment (`Retry-After`).
    held_until: Duration,
    /// Calls that are under way.
    in_flight: u32,
    /// When the calls of the last second began.
    recent: VecDeque<Duration>,
}

impl Limiter {
    /// When the next call may begin; `None` when that depends on the answer of a call under way.
    #[must_use]
    pub fn ready_at(&self, endpoint: &Endpoint, now: Duration) -> Option<Duration> {
        let known = self.remaining.filter(|_| now < self.resets_at);
        let steady = match known {
            Some(0) => self.resets_at,
            Some(_) => now,
            None if self.in_flight > 0 => return None,
            None => now,
        };
        let burst = match self.recent.len().checked_sub(endpoint.burst as usize) {
            Some(surplus) => self
                .recent
                .get(surplus)
                .map_or(now, |&begun| begun + BURST_WINDOW),
            None => now,
        };
        Some(steady.max(burst).max(self.held_until).max(now))
    }

    /// A call begins.
    pub fn begin(&mut self, now: Duration) {
        self.in_flight += 1;
        self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(1));
        self.recent.push_back(now);
        while self
            .recent
            .front()
            .is_some_and(|&begun| begun + BURST_WINDOW <= now)
        {
            self.recent.pop_front();
        }
    }

    /// A call ended without an answer.
    pub fn abandon(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A call ended with this answer.
    pub fn end(&mut self, status: u16, headers: &HeaderMap, now: Duration) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if status == 429 {
            self.held_until = self
                .held_until
                .max(now + retry_after(headers).unwrap_or(UNSAID_RETRY_AFTER));
            self.remaining = None;
            return;
        }
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
        let (Some(remaining), Some(reset)) =
            (number("ratelimit-remaining"), number("ratelimit-reset"))
        else {
            return;
        };
        // the server may not have counted the calls that are still on their way to it
        let remaining = remaining.saturating_sub(self.in_flight);
        let resets_at = now + Duration::from_secs(u64::from(reset.max(1))).min(STEADY_WINDOW);
        let same_window =
            now < self.resets_at && resets_at < self.resets_at + Duration::from_secs(2);
        self.remaining = Some(match self.remaining {
            // answers overtake each other: within one window the lowest count is the latest
            Some(known) if same_window => known.min(remaining),
            _ => remaining,
        });
        self.resets_at = if same_window {
            self.resets_at.min(resets_at)
        } else {
            resets_at
        };
    }
}
