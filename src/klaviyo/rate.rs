//! Klaviyo's rate limits: fixed windows of a second (burst) and a minute (steady), per account and endpoint
//! (<https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling>).
//!
//! The component counts its own requests in both windows, whatever the headers say: `RateLimit-*` were recorded to tell
//! of the second only, with a reset of 0. Where they tell of the minute, as documented, they count too, because they
//! include the requests of the account's other apps. A 429 tells of the others in any case, by `Retry-After`. Until the
//! first response, and after a 429, one request is sent and the others wait for its response, so that a used-up window
//! costs one rejected request and not a burst of them.

use std::collections::VecDeque;
use std::time::Duration;

use http::HeaderMap;

use crate::retry::retry_after;

/// An endpoint with its documented limits.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Its name in errors and the key of its limiter, such as `import profiles`.
    pub name: &'static str,
    /// Requests per second.
    pub burst: u32,
    /// Requests per minute.
    pub steady: u32,
}

/// The burst window, with a margin for requests that take different times to arrive.
const BURST_WINDOW: Duration = Duration::from_millis(1_100);
/// A request that begins so long after a response arrives over a second after that response's request, however long that
/// one was on its way: the response was on its way back, and the next request is on its way there. Where both take no
/// time, [`BURST_WINDOW`] keeps them apart.
const AFTER_RESPONSE: Duration = Duration::from_millis(950);
/// A request that has no response after so long has arrived all the same: it is the response that takes long.
const LONGEST_ON_THE_WAY: Duration = Duration::from_secs(3);
/// The steady window, with a margin for requests that take different times to arrive. Where Klaviyo's windows begin is
/// not known: no more than a window's requests begin within any time as long as one.
pub(super) const STEADY_WINDOW: Duration = Duration::from_millis(60_500);
/// The pause between an instance's last request and the first one of the next instance: a burst window, and as much for
/// the difference of what they take for the time.
const BETWEEN_INSTANCES: Duration = Duration::from_secs(2);
/// A `RateLimit-Reset` that is further off is cut to this.
const LONGEST_RESET: Duration = Duration::from_secs(60);
/// A `RateLimit-Reset` of up to this many seconds is not of the steady window.
const RESET_OF_BURST: u32 = 1;
/// By as much may the end of a window seem later to a response that took long: more than any may take. The end of the next
/// window is later by a minute.
const LATEST_RESPONSE: Duration = Duration::from_secs(20);
/// The wait after a 429 without `Retry-After`.
const UNSAID_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The known state of one endpoint's rate limits. All times are on the instance's monotonic clock.
#[derive(Debug, Default)]
pub struct Limiter {
    /// The fewest requests that a response left in the steady window; `None` before the first response. Klaviyo counts one
    /// request after the other: each that has ended is in this figure, however the responses overtook each other, but for
    /// those [under way](Self::under_way) and [untold](Self::untold).
    told: Option<u32>,
    /// Requests of the same window that ended without saying what is left: each may have been counted after those that did.
    untold: u32,
    /// When the steady window ends.
    resets_at: Duration,
    /// No request before this time (`Retry-After`).
    held_until: Duration,
    /// When the requests began that are under way, oldest first.
    under_way: VecDeque<Duration>,
    /// Until when each request of the last second counts that has ended, the earliest first.
    arrived: VecDeque<Duration>,
    /// Until when each request of the last minute counts, oldest first.
    spent: VecDeque<Duration>,
    /// The same of this instance's own requests.
    own: VecDeque<Duration>,
    /// There has been a response, and none was a 429 since.
    is_answered: bool,
}

impl Limiter {
    /// When the next request may begin; `None` if that depends on the response to a request under way.
    #[must_use]
    pub fn ready_at(&self, endpoint: &Endpoint, now: Duration) -> Option<Duration> {
        let counted = self.counted(endpoint);
        let known = self.told.filter(|_| now < self.resets_at);
        let is_known = match self.told {
            Some(_) => known.is_some(),
            None => self.is_answered,
        };
        if !is_known && !self.under_way.is_empty() {
            return None;
        }
        let waits_for_counted = counted.is_some_and(|counted| counted > now);
        let told = match known.map(|left| left.saturating_sub(self.untold)) {
            Some(0) => self.resets_at,
            // those under way may have taken what is left
            Some(left) if left as usize <= self.under_way.len() && !waits_for_counted => {
                return None;
            }
            Some(_) | None => now,
        };
        let steady = told.max(counted.unwrap_or(now));
        let burst = self.burst_allows_at(endpoint, now)?;
        Some(steady.max(burst).max(self.held_until).max(now))
    }

    /// When the burst allows the next request, `None` if that depends on a response. When a request arrives is not known, but
    /// that it has arrived when there is a response: fewer than the burst are under way, or may have arrived within the
    /// second before the next one does.
    fn burst_allows_at(&self, endpoint: &Endpoint, now: Duration) -> Option<Duration> {
        let on_the_way = self.under_way.iter();
        let on_the_way = on_the_way.filter(|&&begun| now < begun + LONGEST_ON_THE_WAY);
        let places = (endpoint.burst as usize).checked_sub(on_the_way.count())?;
        let first = self.arrived.len().checked_sub(places);
        match (places, first) {
            (0, _) => None,
            (_, Some(first)) => Some(self.arrived[first]),
            (_, None) => Some(now),
        }
    }

    /// Whether the next request waits for nothing but the minute of requests that are counted here: instances after this
    /// one know of these.
    #[must_use]
    pub fn waits_for_counted(&self, endpoint: &Endpoint, now: Duration) -> bool {
        let counted = self.counted(endpoint);
        counted.is_some() && self.ready_at(endpoint, now) == counted
    }

    /// When the minute of the requests that are counted here allows the next one, if they use it up.
    fn counted(&self, endpoint: &Endpoint) -> Option<Duration> {
        let surplus = self.spent.len().checked_sub(endpoint.steady as usize)?;
        self.spent.get(surplus).copied()
    }

    /// A request begins.
    pub fn begin(&mut self, now: Duration) {
        self.under_way.push_back(now);
        self.spent.push_back(now + STEADY_WINDOW);
        self.own.push_back(now + STEADY_WINDOW);
        self.forget(now);
    }

    fn forget(&mut self, now: Duration) {
        while self.spent.front().is_some_and(|&until| until <= now) {
            self.spent.pop_front();
        }
        while self.own.front().is_some_and(|&until| until <= now) {
            self.own.pop_front();
        }
        while self.arrived.front().is_some_and(|&until| until <= now) {
            self.arrived.pop_front();
        }
    }

    /// Counts requests of another instance by the time for which each still counts; the last one began `since_last` ago.
    pub(super) fn remember(&mut self, left: &[Duration], since_last: Duration, now: Duration) {
        // how many there were in the last second is not known
        let pause = BETWEEN_INSTANCES.saturating_sub(since_last);
        self.held_until = self.held_until.max(now + pause);
        self.spent.extend(left.iter().map(|&left| now + left));
        self.spent.make_contiguous().sort_unstable();
    }

    /// How many requests of the last minute it counts, those of other instances included.
    pub(super) fn requests(&self, now: Duration) -> usize {
        self.spent.iter().filter(|until| **until > now).count()
    }

    /// The time for which each of this instance's own requests of the last minute still counts.
    pub(super) fn left(&self, now: Duration) -> impl Iterator<Item = Duration> {
        let left = self.own.iter().map(move |until| until.saturating_sub(now));
        left.filter(|left| !left.is_zero())
    }

    /// A request ended without a response. It may have arrived, or may still arrive.
    pub fn abandon(&mut self) {
        if let Some(begun) = self.under_way.pop_front() {
            self.count_until(begun + LONGEST_ON_THE_WAY);
        }
        self.untold = self.untold.saturating_add(1);
    }

    /// A request that has begun counts in the burst until then.
    fn count_until(&mut self, until: Duration) {
        let later = self.arrived.partition_point(|&other| other <= until);
        self.arrived.insert(later, until);
    }

    /// A request ended with this response.
    pub fn end(&mut self, status: u16, headers: &HeaderMap, now: Duration) {
        // which of them it was does not matter: so many of those that began have arrived by now
        if let Some(begun) = self.under_way.pop_front() {
            self.count_until((begun + BURST_WINDOW).max(now + AFTER_RESPONSE));
        }
        self.forget(now);
        if status == 429 {
            self.held_until = self
                .held_until
                .max(now + retry_after(headers).unwrap_or(UNSAID_RETRY_AFTER));
            self.told = None;
            self.is_answered = false;
            return;
        }
        self.is_answered = true;
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
        let told = number("ratelimit-remaining").zip(number("ratelimit-reset"));
        let Some((left, reset)) = told.filter(|&(_, reset)| reset > RESET_OF_BURST) else {
            self.untold = self.untold.saturating_add(1);
            // nothing is told any more, or nothing of the window that has begun
            self.told.take_if(|_| now >= self.resets_at);
            return;
        };
        let resets_at = now + Duration::from_secs(u64::from(reset)).min(LONGEST_RESET);
        let same_window = now < self.resets_at && resets_at < self.resets_at + LATEST_RESPONSE;
        if let Some(known) = self.told.filter(|_| same_window) {
            self.told = Some(known.min(left));
            self.resets_at = self.resets_at.min(resets_at);
        } else {
            (self.told, self.untold, self.resets_at) = (Some(left), 0, resets_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::RETRY_AFTER;

    use super::*;

    static ENDPOINT: Endpoint = Endpoint {
        name: "test",
        burst: 3,
        steady: 10,
    };

    fn seconds(number: f64) -> Duration {
        Duration::from_secs_f64(number)
    }

    fn says(remaining: u32, reset: u32) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("ratelimit-remaining", remaining.into());
        headers.insert("ratelimit-reset", reset.into());
        headers
    }

    /// A limiter that knows how much is left, and the current time.
    fn informed(remaining: u32, reset: u32) -> (Limiter, Duration) {
        let mut limiter = Limiter::default();
        limiter.begin(Duration::ZERO);
        let now = seconds(10.0);
        limiter.end(202, &says(remaining, reset), now);
        (limiter, now)
    }

    #[test]
    fn one_call_goes_ahead_and_the_others_wait_for_what_it_brings() {
        let mut limiter = Limiter::default();
        let now = seconds(1.0);
        assert_eq!(limiter.ready_at(&ENDPOINT, now), Some(now));
        limiter.begin(now);
        assert_eq!(limiter.ready_at(&ENDPOINT, now), None);
        limiter.end(202, &says(9, 50), now);
        assert_eq!(limiter.ready_at(&ENDPOINT, now), Some(now));
        // after one without a response, the next may begin
        let mut limiter = Limiter::default();
        limiter.begin(now);
        limiter.abandon();
        assert_eq!(limiter.ready_at(&ENDPOINT, now), Some(now));
    }

    #[test]
    fn no_more_than_the_burst_may_arrive_within_a_second() {
        let (mut limiter, since) = informed(9, 50);
        let now = since + BURST_WINDOW;
        for request in 0..3 {
            let at = now + seconds(0.1) * request;
            assert_eq!(limiter.ready_at(&ENDPOINT, at), Some(at));
            limiter.begin(at);
        }
        // none of them is known to have arrived
        let at = now + seconds(1.5);
        assert_eq!(limiter.ready_at(&ENDPOINT, at), None);
        // one that arrived late is over a second later
        limiter.end(202, &HeaderMap::new(), at);
        let next = at + AFTER_RESPONSE;
        assert_eq!(limiter.ready_at(&ENDPOINT, at), Some(next));
        limiter.end(202, &HeaderMap::new(), at + seconds(0.4));
        assert_eq!(limiter.ready_at(&ENDPOINT, next), Some(next));
        limiter.begin(next);
        let ready = limiter.ready_at(&ENDPOINT, next);
        assert_eq!(ready, Some(next + seconds(0.4)));
        // responses that come at once
        let (mut limiter, _) = informed(9, 50);
        for _ in 0..3 {
            limiter.begin(now);
            limiter.end(202, &HeaderMap::new(), now);
        }
        assert_eq!(limiter.ready_at(&ENDPOINT, now), Some(now + BURST_WINDOW));
    }

    #[test]
    fn a_response_that_does_not_come_holds_up_the_others_for_some_seconds() {
        let (mut limiter, _) = informed(9, 50);
        let now = seconds(20.0);
        (0..3).for_each(|_| limiter.begin(now));
        let later = now + LONGEST_ON_THE_WAY;
        let before = later - seconds(0.1);
        assert_eq!(limiter.ready_at(&ENDPOINT, before), None);
        assert_eq!(limiter.ready_at(&ENDPOINT, later), Some(later));
        // one that is given up may still arrive, and others have arrived meanwhile
        let (mut limiter, _) = informed(9, 50);
        (0..3).for_each(|_| limiter.begin(now));
        limiter.abandon();
        let at = now + seconds(0.5);
        assert_eq!(limiter.ready_at(&ENDPOINT, at), Some(later));
        limiter.end(202, &HeaderMap::new(), at);
        let ready = limiter.ready_at(&ENDPOINT, at);
        assert_eq!(ready, Some(at + AFTER_RESPONSE));
    }

    #[test]
    fn a_used_up_window_is_waited_out() {
        let (mut limiter, now) = informed(2, 30);
        limiter.begin(now);
        limiter.begin(now);
        // they have used it up, unless one of them does not arrive
        let ready = limiter.ready_at(&ENDPOINT, now + seconds(5.0));
        assert_eq!(ready, None);
        // the window is over, but the responses to the requests under way are not known yet
        let after = now + seconds(31.0);
        assert_eq!(limiter.ready_at(&ENDPOINT, after), None);
        limiter.end(202, &says(0, 29), now + seconds(1.0));
        limiter.end(202, &says(1, 29), now + seconds(1.2));
        assert_eq!(
            limiter.ready_at(&ENDPOINT, now + seconds(2.0)),
            Some(now + seconds(30.0)),
            "an older response arrived after a newer one"
        );
        assert_eq!(limiter.ready_at(&ENDPOINT, after), Some(after));
    }

    #[test]
    fn responses_that_overtake_each_other_cost_no_request_of_the_minute() {
        let (mut limiter, since) = informed(8, 40);
        let now = since + BURST_WINDOW;
        (0..3).for_each(|_| limiter.begin(now));
        // the last one that Klaviyo counted has its response first
        let at = now + seconds(0.3);
        for left in [5, 7, 6] {
            limiter.end(202, &says(left, 39), at);
        }
        let next = at + AFTER_RESPONSE;
        for nth in 0..5 {
            let begins = next + seconds(1.5) * nth;
            let ready = limiter.ready_at(&ENDPOINT, begins);
            assert_eq!(
                ready,
                Some(begins),
                "of the five that are left, the {nth}th"
            );
            limiter.begin(begins);
            limiter.end(202, &HeaderMap::new(), begins);
        }
        let after = next + seconds(9.0);
        let ready = limiter.ready_at(&ENDPOINT, after);
        assert_eq!(ready, Some(since + seconds(40.0)), "untold ones count, too");
        // one that has no response may have been counted, and after one that has
        let (mut limiter, now) = informed(2, 40);
        limiter.begin(now);
        limiter.begin(now);
        limiter.end(202, &HeaderMap::new(), now);
        limiter.end(202, &says(1, 40), now);
        let ready = limiter.ready_at(&ENDPOINT, now + LONGEST_ON_THE_WAY);
        assert_eq!(ready, Some(now + seconds(40.0)));
        let (mut limiter, now) = informed(1, 40);
        limiter.begin(now);
        limiter.abandon();
        let ready = limiter.ready_at(&ENDPOINT, now + LONGEST_ON_THE_WAY);
        assert_eq!(ready, Some(now + seconds(40.0)));
    }

    #[test]
    fn a_response_that_took_long_tells_of_the_same_window() {
        let (mut limiter, since) = informed(9, 30);
        let now = since + seconds(2.0);
        (0..3).for_each(|_| limiter.begin(now));
        limiter.end(202, &says(5, 28), now);
        limiter.end(202, &says(6, 28), now);
        // it was counted first
        limiter.end(202, &says(7, 28), now + seconds(12.0));
        for nth in 0..5 {
            let at = now + seconds(14.0) + seconds(1.5) * nth;
            assert_eq!(limiter.ready_at(&ENDPOINT, at), Some(at), "the {nth}th");
            limiter.begin(at);
            limiter.end(202, &HeaderMap::new(), at);
        }
        let ready = limiter.ready_at(&ENDPOINT, now + seconds(24.0));
        assert_eq!(ready, Some(since + seconds(30.0)));
    }

    #[test]
    fn requests_go_side_by_side_again_where_headers_tell_nothing_any_more() {
        let (mut limiter, since) = informed(9, 30);
        let after = since + seconds(31.0);
        limiter.begin(after);
        assert_eq!(limiter.ready_at(&ENDPOINT, after), None);
        limiter.end(202, &says(2, 0), after);
        limiter.begin(after);
        assert_eq!(limiter.ready_at(&ENDPOINT, after), Some(after));
    }

    #[test]
    fn the_minute_is_counted_where_headers_tell_of_the_second() {
        let mut limiter = Limiter::default();
        let mut now = Duration::ZERO;
        for _ in 0..10 {
            assert_eq!(limiter.ready_at(&ENDPOINT, now), Some(now));
            limiter.begin(now);
            limiter.end(202, &says(0, 0), now);
            now += seconds(0.5);
        }
        let ready = limiter.ready_at(&ENDPOINT, now);
        assert_eq!(ready, Some(STEADY_WINDOW), "the first one's minute is over");
        now = STEADY_WINDOW;
        limiter.begin(now);
        let ready = limiter.ready_at(&ENDPOINT, now);
        assert_eq!(ready, Some(STEADY_WINDOW + seconds(0.5)));
    }

    #[test]
    fn waits_for_what_is_counted_are_told_from_those_that_klaviyo_asks_for() {
        let mut limiter = Limiter::default();
        let now = seconds(1.0);
        assert!(!limiter.waits_for_counted(&ENDPOINT, now));
        for call in 0..10 {
            assert!(!limiter.waits_for_counted(&ENDPOINT, now));
            limiter.begin(now + seconds(2.0) * call);
            limiter.end(202, &says(0, 0), now);
        }
        let after = now + seconds(25.0);
        assert!(limiter.waits_for_counted(&ENDPOINT, after));
        // the minute of the headers ends later
        limiter.end(202, &says(0, 50), after);
        assert!(!limiter.waits_for_counted(&ENDPOINT, after));
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, 59.into());
        limiter.end(429, &headers, after);
        assert!(!limiter.waits_for_counted(&ENDPOINT, after));
    }

    #[test]
    fn what_another_instance_has_sent_counts() {
        let mut limiter = Limiter::default();
        let now = seconds(0.1);
        limiter.remember(&[seconds(40.0); 9], seconds(0.5), now);
        let first = now + BETWEEN_INSTANCES - seconds(0.5);
        assert_eq!(limiter.ready_at(&ENDPOINT, now), Some(first));
        limiter.begin(now);
        limiter.end(202, &says(2, 0), now);
        let ready = limiter.ready_at(&ENDPOINT, now);
        assert_eq!(ready, Some(now + seconds(40.0)));
        // what is passed on of this instance is its own
        let left: Vec<Duration> = limiter.left(now + seconds(1.0)).collect();
        assert_eq!(left, [STEADY_WINDOW - seconds(1.0)]);
        assert_eq!(limiter.left(now + STEADY_WINDOW).count(), 0);
    }

    #[test]
    fn what_others_of_the_account_take_counts() {
        let (mut limiter, now) = informed(9, 30);
        limiter.begin(now);
        limiter.end(202, &says(0, 28), now + seconds(2.0));
        let ready = limiter.ready_at(&ENDPOINT, now + seconds(3.0));
        assert_eq!(ready, Some(now + seconds(30.0)));
    }

    #[test]
    fn a_refusal_holds_everything_for_as_long_as_it_says() {
        let (mut limiter, now) = informed(9, 30);
        limiter.begin(now);
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, 7.into());
        limiter.end(429, &headers, now);
        let ready = |limiter: &Limiter| limiter.ready_at(&ENDPOINT, now);
        assert_eq!(ready(&limiter), Some(now + seconds(7.0)));
        // a shorter Retry-After does not shorten the wait, and a 429 without one has the default wait
        limiter.begin(now);
        headers.insert(RETRY_AFTER, 2.into());
        limiter.end(429, &headers, now);
        assert_eq!(ready(&limiter), Some(now + seconds(7.0)));
        let later = now + seconds(20.0);
        limiter.begin(later);
        limiter.end(429, &HeaderMap::new(), later);
        let ready = limiter.ready_at(&ENDPOINT, later);
        assert_eq!(ready, Some(later + UNSAID_RETRY_AFTER));
    }

    #[test]
    fn headers_are_read_in_any_case_and_nonsense_is_passed_over() {
        let mut headers = HeaderMap::new();
        let name: http::HeaderName = "Retry-After".parse().expect("a name");
        headers.insert(name, " 12 ".parse().expect("a value"));
        assert_eq!(retry_after(&headers), Some(seconds(12.0)));
        headers.insert(RETRY_AFTER, "soon".parse().expect("a value"));
        assert_eq!(retry_after(&headers), None);
        let (mut limiter, now) = informed(9, 30);
        limiter.begin(now);
        limiter.end(202, &headers, now);
        assert_eq!(limiter.ready_at(&ENDPOINT, now), Some(now));
    }
}
