//! Waiting for a moment, in real or in virtual time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::virtual_time::{AlarmKey, Owner, VirtualTime};

/// Comes to its end when a simulated duration has passed.
#[derive(Debug)]
pub struct Sleep(Kind);

#[derive(Debug)]
enum Kind {
    Real {
        speed: f64,
        sleep: Pin<Box<tokio::time::Sleep>>,
    },
    Virtual(Alarm),
}

/// An alarm, set when it is first looked at: a sleep that nobody waits for yet must not hold up anybody.
#[derive(Debug)]
struct Alarm {
    time: Arc<VirtualTime>,
    owner: Owner,
    until: Duration,
    /// Once it has been set.
    key: Option<AlarmKey>,
}

/// How long a simulated duration takes in real time; for ever where that is longer than can be said.
fn real(duration: Duration, speed: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() / speed).unwrap_or(Duration::MAX)
}

/// The moment so long from now; a far one where it cannot be said.
fn after(duration: Duration) -> Instant {
    let now = Instant::now();
    let far = || now + Duration::from_hours(24 * 365);
    now.checked_add(duration).unwrap_or_else(far)
}

impl Sleep {
    pub(super) fn real(speed: f64, duration: Duration) -> Self {
        let sleep = tokio::time::sleep_until(after(real(duration, speed)));
        Self(Kind::Real {
            speed,
            sleep: Box::pin(sleep),
        })
    }

    pub(super) fn of(time: &Arc<VirtualTime>, owner: Owner, duration: Duration) -> Self {
        Self(Kind::Virtual(Alarm::new(Arc::clone(time), owner, duration)))
    }

    /// Begins anew, for `duration` from now.
    pub fn reset(&mut self, duration: Duration) {
        match &mut self.0 {
            Kind::Real { speed, sleep } => sleep.as_mut().reset(after(real(duration, *speed))),
            Kind::Virtual(alarm) => {
                *alarm = Alarm::new(Arc::clone(&alarm.time), alarm.owner, duration);
            }
        }
    }
}

impl Alarm {
    fn new(time: Arc<VirtualTime>, owner: Owner, duration: Duration) -> Self {
        let until = time.now().saturating_add(duration);
        Self {
            time,
            owner,
            until,
            key: None,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let alarm = match &mut self.0 {
            Kind::Real { sleep, .. } => return sleep.as_mut().poll(context),
            Kind::Virtual(alarm) => alarm,
        };
        let Alarm {
            time,
            owner,
            until,
            key,
        } = alarm;
        let mut is_over = false;
        // An earlier waker goes when the time is no longer locked.
        let earlier = time.change(|state| {
            is_over = state.now() >= *until;
            if is_over {
                return key.take().and_then(|key| state.take_alarm(&key));
            }
            let key = *key.get_or_insert_with(|| (*until, state.number()));
            state.set_alarm(key, *owner, context.waker().clone())
        });
        drop(earlier);
        if is_over {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            // The waker goes when the time is no longer locked.
            drop(self.time.change(|state| state.take_alarm(&key)));
        }
    }
}
