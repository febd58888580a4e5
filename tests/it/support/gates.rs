//! Calls of the component that wait until the test lets them go on, so that who comes first is no matter of speed.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

use host::{Gate, Held, Outbound, Verdict};
use http::request::Parts;
use reqwest::Method;

/// Which of the calls with a method and a path: the first is 1.
type Which = RangeInclusive<u64>;

/// What becomes of them.
enum Effect {
    /// They wait before they are sent.
    Before(Gate),
    /// They have taken effect and wait for their answers.
    After(Gate),
    /// All instances are killed before they are sent.
    Killed,
}

struct Rule {
    method: Method,
    /// How the path ends.
    path: &'static str,
    which: Which,
    effect: Effect,
    seen: AtomicU64,
}

impl Rule {
    fn is_for(&self, request: &Parts) -> bool {
        let is_meant = request.method == self.method && request.uri.path().ends_with(self.path);
        is_meant
            && self
                .which
                .contains(&(self.seen.fetch_add(1, Ordering::SeqCst) + 1))
    }
}

/// Gates for chosen calls; all others pass.
#[derive(Default)]
pub(crate) struct Gates(Vec<Rule>);

impl Gates {
    fn rule(
        mut self,
        (method, path): (Method, &'static str),
        which: Which,
        effect: Effect,
    ) -> Self {
        self.0.push(Rule {
            method,
            path,
            which,
            effect,
            seen: AtomicU64::new(0),
        });
        self
    }

    /// These calls wait before they are sent.
    pub(crate) fn before(self, call: (Method, &'static str), which: Which, gate: &Gate) -> Self {
        self.rule(call, which, Effect::Before(gate.clone()))
    }

    /// These calls have taken effect and wait for their answers.
    pub(crate) fn after(self, call: (Method, &'static str), which: Which, gate: &Gate) -> Self {
        self.rule(call, which, Effect::After(gate.clone()))
    }

    /// All instances are killed before these calls are sent.
    pub(crate) fn killed(self, call: (Method, &'static str), which: Which) -> Self {
        self.rule(call, which, Effect::Killed)
    }
}

impl Outbound for Gates {
    fn decide(&self, _n: u64, request: &Parts) -> Verdict {
        let mut kills = self
            .0
            .iter()
            .filter(|rule| matches!(rule.effect, Effect::Killed));
        if kills.any(|rule| rule.is_for(request)) {
            Verdict::KillBefore
        } else {
            Verdict::Pass
        }
    }

    fn hold(&self, _n: u64, request: &Parts) -> Held {
        let mut held = Held::default();
        for rule in &self.0 {
            match &rule.effect {
                Effect::Before(gate) if rule.is_for(request) => held.before = Some(gate.hold()),
                Effect::After(gate) if rule.is_for(request) => held.after = Some(gate.hold()),
                _ => {}
            }
        }
        held
    }
}
