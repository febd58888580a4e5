//! Calls from one part of a world to another: on a virtual clock no time passes while one is on its way.
//!
//! The caller marks its request; whoever gets it says by the mark when it sleeps before it answers.

use std::future::Future;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::virtual_time::{Owner, VirtualTime};
use super::{Clock, Sleep};

/// Names a call in its request. Only callers who live on a virtual clock send it.
const MARK: HeaderName = HeaderName::from_static("x-simulated-call");

/// A call, from its beginning until its answer has been read or is no longer waited for.
#[derive(Debug)]
pub struct Call(Option<Known>);

#[derive(Debug)]
struct Known {
    time: Arc<VirtualTime>,
    number: u64,
}

impl Call {
    pub(super) fn begin(time: Option<&Arc<VirtualTime>>) -> Self {
        Self(time.map(|time| Known {
            time: Arc::clone(time),
            number: time.change(|state| {
                let number = state.number();
                state.begin_call(number);
                number
            }),
        }))
    }

    /// Writes into the request's headers which call it is.
    pub fn mark(&self, headers: &mut HeaderMap) {
        if let Some(known) = &self.0 {
            headers.insert(MARK, HeaderValue::from(known.number));
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(Known { time, number }) = &self.0 {
            time.change(|state| state.end_call(*number));
        }
    }
}

/// A call at the one who answers it.
#[derive(Clone, Debug)]
pub struct Arrived {
    clock: Clock,
    /// Its number, where it is marked.
    number: Option<u64>,
}

impl Arrived {
    pub(super) fn of(clock: &Clock, headers: &mut HeaderMap) -> Self {
        let number = headers
            .remove(MARK)
            .and_then(|mark| mark.to_str().ok()?.parse().ok())
            .filter(|_| clock.virtual_time().is_some());
        let clock = match number {
            Some(number) => clock.owned_by(Owner::Call(number)),
            None => clock.clone(),
        };
        Self { clock, number }
    }

    /// Time passes before the call is answered.
    pub fn sleep(&self, duration: std::time::Duration) -> Sleep {
        self.clock.sleep(duration)
    }

    /// What answers the call waits for others: time may pass meanwhile.
    pub async fn while_others_work<F: Future>(&self, work: F) -> F::Output {
        let _rest = self.number.zip(self.clock.virtual_time()).map(Rest::begin);
        work.await
    }
}

struct Rest<'a> {
    time: &'a VirtualTime,
    number: u64,
}

impl<'a> Rest<'a> {
    fn begin((number, time): (u64, &'a Arc<VirtualTime>)) -> Self {
        time.change(|state| state.mark_call(number, false));
        Self { time, number }
    }
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        self.time.change(|state| state.mark_call(self.number, true));
    }
}
