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
    /// The call has no effect; the answer is this status, such as 429, 500 or 503, with `Retry-After` in seconds where
    /// given.
    Refuse(u16, Option<u32>),
    /// The call has its effect; the connection is closed after half the answer's body.
    HalfAnswer,
    /// The call has its effect; the answer's body comes one byte a (simulated) second.
    Trickle,
    /// The call has no effect, and nobody hears of it any more.
    Hang,
    /// The call has its effect; the answer does not tell how long its body is.
    Unannounced,
    /// The call arrives twice, and has its effect twice; the answer is that of the second copy.
    Double,
}

impl Fault {
    /// The call has no effect; the answer is this status.
    pub const fn refuse(status: u16) -> Self {
        Self::Refuse(status, None)
    }

    /// The call has no effect; the answer is 429 with `Retry-After` in seconds.
    pub const fn throttle(seconds: u32) -> Self {
        Self::Refuse(429, Some(seconds))
    }
}

/// Which of the calls that a rule is for go wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    Always,
    Nth(u64),
    Every(u64),
    Chance(f64),
}

/// A rule of the plan: which calls it is for, which of them go wrong, and how.
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
    /// Every call goes wrong.
    pub fn always(fault: Fault) -> Self {
        Self::new(When::Always, fault)
    }

    /// The n-th call since the rule was added goes wrong; the first is 1.
    pub fn nth(n: u64, fault: Fault) -> Self {
        Self::new(When::Nth(n), fault)
    }

    /// Every n-th call goes wrong.
    pub fn every(n: u64, fault: Fault) -> Self {
        Self::new(When::Every(n), fault)
    }

    /// Each call goes wrong with this probability, drawn from the plan's seed.
    pub fn chance(chance: f64, fault: Fault) -> Self {
        Self::new(When::Chance(chance), fault)
    }

    fn new(when: When, fault: Fault) -> Self {
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

    /// At most so many calls go wrong.
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
    applied: u64,
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
            applied: 0,
        })))
    }

    /// Adds a rule; of several that apply to the same call, the first added wins.
    pub fn add(&self, rule: Rule) {
        self.plan().rules.push(rule);
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.plan().rules.clear();
    }

    /// How many calls have gone wrong.
    pub fn applied(&self) -> u64 {
        self.plan().applied
    }

    /// What goes wrong with this call, if anything. To be asked once a call.
    pub fn fault_for<B>(&self, request: &Request<B>) -> Option<Fault> {
        let mut plan = self.plan();
        let Plan {
            rng,
            rules,
            applied,
        } = &mut *plan;
        let mut fault = None;
        for rule in rules.iter_mut().filter(|rule| rule.fits(request)) {
            rule.seen += 1;
            let is_faulty = match rule.when {
                When::Always => true,
                When::Nth(n) => rule.seen == n,
                When::Every(n) => rule.seen.is_multiple_of(n),
                When::Chance(chance) => rng.f64() < chance,
            };
            if is_faulty && fault.is_none() && rule.left != Some(0) {
                rule.left = rule.left.map(|left| left - 1);
                fault = Some(rule.fault.clone());
            }
        }
        *applied += u64::from(fault.is_some());
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
    fn a_rule_is_for_the_calls_it_names_and_no_others() {
        let faults = Faults::new(1);
        faults.add(
            Rule::nth(2, Fault::LoseAnswer)
                .method(Method::POST)
                .path("/events"),
        );
        assert_eq!(faults.fault_for(&call(Method::POST, "/api/events")), None);
        assert_eq!(faults.fault_for(&call(Method::GET, "/api/events")), None);
        assert_eq!(faults.fault_for(&call(Method::POST, "/api/items")), None);
        let second = faults.fault_for(&call(Method::POST, "/api/events"));
        assert_eq!(second, Some(Fault::LoseAnswer));
        assert_eq!(faults.fault_for(&call(Method::POST, "/api/events")), None);
        assert_eq!(faults.applied(), 1);
    }

    #[test]
    fn a_rule_can_be_used_up_and_removed() {
        let faults = Faults::new(1);
        faults.add(Rule::always(Fault::HalfAnswer).times(1));
        faults.add(Rule::every(2, Fault::Trickle));
        let request = call(Method::GET, "/");
        assert_eq!(faults.fault_for(&request), Some(Fault::HalfAnswer));
        assert_eq!(faults.fault_for(&request), Some(Fault::Trickle));
        assert_eq!(faults.fault_for(&request), None);
        faults.clear();
        assert_eq!(faults.fault_for(&request), None);
    }

    #[test]
    fn chance_is_decided_by_the_seed() {
        let run = |seed| {
            let faults = Faults::new(seed);
            faults.add(Rule::chance(0.3, Fault::LoseRequest));
            let request = call(Method::GET, "/");
            (0..1_000)
                .map(|_| faults.fault_for(&request).is_some())
                .collect::<Vec<_>>()
        };
        let applied = run(5).into_iter().filter(|applied| *applied).count();
        assert!((200..400).contains(&applied), "{applied}");
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
    }
}
