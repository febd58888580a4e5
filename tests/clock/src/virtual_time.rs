//! Time that jumps to the next moment that anybody sleeps until, as soon as nobody has anything else to do.
//!
//! It passes while
//! - somebody outside waits ([`Flow`]): between two steps of a test it stands still, however long the test takes;
//! - no call is on its way ([`Call`](super::Call)): whoever got it has answered it, or sleeps before that;
//! - no thread that has joined ([`Participant`]) has anything to run.
//!
//! Alarms ring one at a time, in the order of their moments, and those of one moment in the order in which they were set.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// The time of one world.
#[derive(Debug, Default)]
pub(super) struct VirtualTime(Mutex<State>);

#[derive(Debug, Default)]
pub(super) struct State {
    now: Duration,
    /// The next alarm's, call's or participant's number.
    next: u64,
    alarms: BTreeMap<AlarmKey, (Owner, Waker)>,
    /// Calls that are not answered; whether each is on its way.
    calls: HashMap<u64, bool>,
    /// Threads; whether each has something to run.
    participants: HashMap<u64, bool>,
    flows: usize,
}

/// When an alarm rings, and its number.
pub(super) type AlarmKey = (Duration, u64);

/// Whom an alarm concerns, and so what it changes when it rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nobody who is watched.
    Nobody,
    /// A thread: it has something to run.
    Participant(u64),
    /// The answering of a call: it is on its way again.
    Call(u64),
    /// Somebody outside: waiting is over.
    Flow,
}

impl VirtualTime {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Duration {
        self.lock().now
    }

    /// Changes something, which may be what the time has waited for.
    pub(super) fn change<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let mut rung = Vec::new();
        let result = {
            let mut state = self.lock();
            let result = act(&mut state);
            state.pass(&mut rung);
            result
        };
        // Only now: dropping a waker can drop a task, and with it alarms.
        drop(rung);
        result
    }

    /// Goes on to the next alarm, whoever waits; `false` where there is none.
    pub(super) fn advance(&self) -> bool {
        let mut rung = Vec::new();
        self.lock().ring(&mut rung)
    }

    pub(super) fn flow(self: &Arc<Self>) -> Flow {
        self.change(|state| state.flows += 1);
        Flow(Arc::clone(self))
    }
}

impl State {
    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn now(&self) -> Duration {
        self.now
    }

    /// Sets an alarm, or lets another one be woken by it.
    pub(super) fn set_alarm(&mut self, key: AlarmKey, owner: Owner, waker: Waker) -> Option<Waker> {
        let earlier = self.alarms.insert(key, (owner, waker));
        if earlier.is_none() {
            self.begins_to_wait(owner);
        }
        earlier.map(|(_, waker)| waker)
    }

    /// Takes an alarm back that has not rung.
    pub(super) fn take_alarm(&mut self, key: &AlarmKey) -> Option<Waker> {
        let (owner, waker) = self.alarms.remove(key)?;
        // A thread is not woken by this.
        if !matches!(owner, Owner::Participant(_)) {
            self.waits_no_more(owner);
        }
        Some(waker)
    }

    fn begins_to_wait(&mut self, owner: Owner) {
        match owner {
            // A thread says by itself when it has nothing to run.
            Owner::Nobody | Owner::Participant(_) => {}
            Owner::Call(call) => self.mark_call(call, false),
            Owner::Flow => self.flows += 1,
        }
    }

    fn waits_no_more(&mut self, owner: Owner) {
        match owner {
            Owner::Nobody => {}
            Owner::Participant(number) => {
                if let Some(is_working) = self.participants.get_mut(&number) {
                    *is_working = true;
                }
            }
            Owner::Call(call) => self.mark_call(call, true),
            Owner::Flow => self.flows -= 1,
        }
    }

    pub(super) fn begin_call(&mut self, call: u64) {
        self.calls.insert(call, true);
    }

    /// Says whether a call is on its way; one that has ended meanwhile stays so.
    pub(super) fn mark_call(&mut self, call: u64, is_on_its_way: bool) {
        if let Some(known) = self.calls.get_mut(&call) {
            *known = is_on_its_way;
        }
    }

    pub(super) fn end_call(&mut self, call: u64) {
        self.calls.remove(&call);
    }

    fn is_anybody_working(&self) -> bool {
        let is_so = |(_, working): (&u64, &bool)| *working;
        self.calls.iter().any(is_so) || self.participants.iter().any(is_so)
    }

    /// Rings alarms for as long as the time passes. Wakes under the lock: a thread that is woken has its task before it
    /// can say that it has nothing to run.
    fn pass(&mut self, rung: &mut Vec<Waker>) {
        while self.flows > 0 && !self.is_anybody_working() && self.ring(rung) {}
    }

    /// Rings the next alarm; `false` where there is none.
    fn ring(&mut self, rung: &mut Vec<Waker>) -> bool {
        let Some((key, (owner, waker))) = self.alarms.pop_first() else {
            return false;
        };
        self.now = self.now.max(key.0);
        self.waits_no_more(owner);
        waker.wake_by_ref();
        rung.push(waker);
        true
    }
}

/// Somebody outside waits, for as long as this is kept.
#[derive(Debug)]
pub struct Flow(Arc<VirtualTime>);

impl Drop for Flow {
    fn drop(&mut self) {
        self.0.change(|state| state.flows -= 1);
    }
}

/// A thread that says when it has nothing to run. Before it first says so it counts as busy, and after it is dropped as
/// gone.
#[derive(Debug)]
pub struct Participant {
    time: Arc<VirtualTime>,
    number: u64,
}

impl Participant {
    pub(super) fn join(time: &Arc<VirtualTime>) -> Self {
        let number = time.change(|state| {
            let number = state.number();
            state.participants.insert(number, true);
            number
        });
        Self {
            time: Arc::clone(time),
            number,
        }
    }

    pub(super) fn owner(&self) -> Owner {
        Owner::Participant(self.number)
    }

    /// The thread has nothing to run.
    pub fn rests(&self) {
        self.mark(false);
    }

    /// The thread may have something to run.
    pub fn works(&self) {
        self.mark(true);
    }

    fn mark(&self, is_working: bool) {
        self.time.change(|state| {
            state.participants.insert(self.number, is_working);
        });
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        self.time
            .change(|state| state.participants.remove(&self.number));
    }
}
