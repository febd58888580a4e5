//! What goes wrong on the way: a seeded plan of faults that tests write and change while the servers run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Method, Request};

/// One thing that goes wrong with one call.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The connection is closed before the call has any effect.
    LoseRequest,
    /// The call has its effect, then the connection is closed without an answer.
    LoseAnswer,
    /// The call has its effect; its answer comes so much (simulated) time later.
    Hold(Duration),
    /// The call has no effect; the answer is this status, with `Retry-After` in seconds where given.
    Refuse {
        /// The status, such as 429, 500 or 503.
        status: u16,
        /// The value of `Retry-After`, in seconds.
        retry_after: Option<u32>,
    },
    /// The call arrives twice; the answer is that of the second copy.
    Double,
    /// The call has its effect; the connection is closed after half the answer's body.
    HalfBody,
    /// The call has its effect; the answer's body comes one byte a (simulated) second.
    Trickle,
}

/// Which of the calls that fit a rule it strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// Every one.
    Always,
    /// The n-th since the rule was added; the first is 1.
    Nth(u64),
    /// Every n-th.
    Every(u64),
    /// Each with this probability, drawn from the plan's seed.
    Chance(f64),
}

/// A rule of the plan: to which calls it applies, when it strikes, what then goes wrong.
#[derive(Clone, Debug)]
pub struct Rule {
    method: Option<Method>,
    path: Option<String>,
    when: When,
    left: Option<u64>,
    fault: Fault,
    seen: u64,
}

impl Rule {
    /// A rule for all calls.
    pub fn new(when: When, fault: Fault) -> Self {
        Self {
            method: None,
            path: None,
            when,
            left: None,
            fault,
            seen: 0,
        }
    }

    /// Only for calls with this method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Only for calls whose path contains this text.
    #[must_use]
    pub fn path(mut self, part: impl Into<String>) -> Self {
        self.path = Some(part.into());
        self
    }

    /// Strikes at most so many times.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.left = Some(times);
        self
    }

    fn fits<B>(&self, request: &Request<B>) -> bool {
        let path = request.uri().path();
        self.method
            .as_ref()
            .is_none_or(|method| method == request.method())
            && self
                .path
                .as_ref()
                .is_none_or(|part| path.contains(part.as_str()))
    }
}

/// The fault plan of one peer; clones share it.
#[derive(Clone, Debug)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug)]
struct Plan {
    rng: fastrand::Rng,
    rules: Vec<Rule>,
    struck: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Faults {
    /// A plan without rules; the same seed, rules and calls give the same faults.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Plan {
            rng: fastrand::Rng::with_seed(seed),
            rules: Vec::new(),
            struck: 0,
        })))
    }

    /// Adds a rule; of several that strike the same call, the first added wins.
    pub fn add(&self, rule: Rule) {
        self.plan().rules.push(rule);
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.plan().rules.clear();
    }

    /// How many calls a fault has struck.
    pub fn struck(&self) -> u64 {
        self.plan().struck
    }

    /// What goes wrong with this call, if anything. To be asked once a call.
    pub fn strike<B>(&self, request: &Request<B>) -> Option<Fault> {
        let mut plan = self.plan();
        let Plan { rng, rules, struck } = &mut *plan;
        let mut fault = None;
        for rule in rules.iter_mut().filter(|rule| rule.fits(request)) {
            rule.seen += 1;
            let strikes = match rule.when {
                When::Always => true,
                When::Nth(n) => rule.seen == n,
                When::Every(n) => rule.seen.is_multiple_of(n),
                When::Chance(chance) => rng.f64() < chance,
            };
            if strikes && fault.is_none() && rule.left != Some(0) {
                rule.left = rule.left.map(|left| left - 1);
                fault = Some(rule.fault.clone());
            }
        }
        *struck += u64::from(fault.is_some());
        fault
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: Method, path: &str) -> Request<()> {
        Request::builder()
            .method(method)
            .uri(path)
            .body(())
            .unwrap()
    }

    #[test]
    fn a_rule_strikes_the_calls_it_names_and_no_others() {
        let faults = Faults::new(1);
        faults.add(
            Rule::new(When::Nth(2), Fault::LoseAnswer)
                .method(Method::POST)
                .path("/events"),
        );
        assert_eq!(faults.strike(&call(Method::POST, "/api/events")), None);
        assert_eq!(faults.strike(&call(Method::GET, "/api/events")), None);
        assert_eq!(faults.strike(&call(Method::POST, "/api/items")), None);
        let second = faults.strike(&call(Method::POST, "/api/events"));
        assert_eq!(second, Some(Fault::LoseAnswer));
        assert_eq!(faults.strike(&call(Method::POST, "/api/events")), None);
        assert_eq!(faults.struck(), 1);
    }

    #[test]
    fn a_rule_can_be_used_up_and_removed() {
        let faults = Faults::new(1);
        faults.add(Rule::new(When::Always, Fault::HalfBody).times(1));
        faults.add(Rule::new(When::Every(2), Fault::Trickle));
        let request = call(Method::GET, "/");
        assert_eq!(faults.strike(&request), Some(Fault::HalfBody));
        assert_eq!(faults.strike(&request), Some(Fault::Trickle));
        assert_eq!(faults.strike(&request), None);
        faults.clear();
        assert_eq!(faults.strike(&request), None);
    }

    #[test]
    fn chance_is_decided_by_the_seed() {
        let run = |seed| {
            let faults = Faults::new(seed);
            faults.add(Rule::new(When::Chance(0.3), Fault::LoseRequest));
            let request = call(Method::GET, "/");
            (0..1_000)
                .map(|_| faults.strike(&request).is_some())
                .collect::<Vec<_>>()
        };
        let struck = run(5).into_iter().filter(|struck| *struck).count();
        assert!((200..400).contains(&struck), "{struck}");
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
    }
}
