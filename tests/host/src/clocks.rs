//! What guests see of time: real time, time that runs faster, or virtual time.
//!
//! Both generations of `wasi:clocks` are served, since Rust's standard library uses 0.2 and the component's own waiting
//! uses 0.3. On a real clock wasmtime's own implementation is used as it is.

use std::time::Duration;

use clock::Clock;
use wasmtime::component::{Accessor, HasData, Linker, Resource};
use wasmtime_wasi::clocks::{WasiClocksCtxView, WasiClocksView};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock as p2;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::p3::bindings::clocks::monotonic_clock as p3;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder};

use crate::instance::Guest;

/// Lets a guest's `now` follow `clock`.
pub(crate) fn configure(clock: &Clock, wasi: &mut WasiCtxBuilder) {
    if !clock.is_real() {
        wasi.wall_clock(Shown(clock.clone()))
            .monotonic_clock(Shown(clock.clone()));
    }
}

/// Lets a guest's waiting follow `clock`: replaces the monotonic clocks that are in `linker` already.
pub(crate) fn link(clock: &Clock, linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    if clock.is_real() {
        return Ok(());
    }
    linker.allow_shadowing(true);
    p2::add_to_linker::<Guest, Waiting>(linker, waiting)?;
    p3::add_to_linker::<Guest, Waiting>(linker, waiting)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// A clock as guests read it.
struct Shown(Clock);

impl HostWallClock for Shown {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        // Before 1970 there is nothing to import.
        let since = self.0.now().duration_since(jiff::Timestamp::UNIX_EPOCH);
        Duration::try_from(since).unwrap_or_default()
    }
}

impl HostMonotonicClock for Shown {
    fn resolution(&self) -> u64 {
        1_000
    }

    fn now(&self) -> u64 {
        nanoseconds(self.0.elapsed())
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

/// Marks our implementation of the monotonic clocks.
struct Waiting;

/// What our implementation of the monotonic clocks sees of a guest.
struct WaitingView<'a> {
    clock: Clock,
    plain: WasiClocksCtxView<'a>,
}

impl HasData for Waiting {
    type Data<'a> = WaitingView<'a>;
}

fn waiting(guest: &mut Guest) -> WaitingView<'_> {
    WaitingView {
        clock: guest.clock().clone(),
        plain: guest.clocks(),
    }
}

impl WaitingView<'_> {
    /// The time until `when`, on the guest's clock.
    fn until(&self, when: u64) -> Duration {
        Duration::from_nanos(when).saturating_sub(self.clock.elapsed())
    }

    fn subscribe(&mut self, wait: Duration) -> wasmtime::Result<Resource<DynPollable>> {
        let alarm = self.plain.table.push(Alarm {
            clock: self.clock.clone(),
            moment: self.clock.elapsed().saturating_add(wait),
        })?;
        subscribe(self.plain.table, alarm)
    }
}

/// What a guest of the older generation waits for.
struct Alarm {
    clock: Clock,
    /// On the clock, since it started.
    moment: Duration,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Alarm {
    async fn ready(&mut self) {
        let wait = self.moment.saturating_sub(self.clock.elapsed());
        self.clock.sleep(wait).await;
    }
}

impl p2::Host for WaitingView<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        p2::Host::now(&mut self.plain)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        p2::Host::resolution(&mut self.plain)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe(self.until(when))
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe(Duration::from_nanos(duration))
    }
}

impl p3::Host for WaitingView<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        p3::Host::now(&mut self.plain)
    }

    fn get_resolution(&mut self) -> wasmtime::Result<u64> {
        p3::Host::get_resolution(&mut self.plain)
    }
}

impl<T> p3::HostWithStore<T> for Waiting {
    async fn wait_until(store: &Accessor<T, Self>, when: u64) -> wasmtime::Result<()> {
        let sleep = store.with(|mut access| {
            let view = access.get();
            view.clock.sleep(view.until(when))
        });
        sleep.await;
        Ok(())
    }

    async fn wait_for(store: &Accessor<T, Self>, duration: u64) -> wasmtime::Result<()> {
        let sleep = store.with(|mut access| {
            let clock = access.get().clock;
            clock.sleep(Duration::from_nanos(duration))
        });
        sleep.await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_are_shown_the_time_that_was_set() {
        let start = jiff::Timestamp::from_second(1_000_000).unwrap();
        let clock = Shown(Clock::virtual_from(start));
        assert_eq!(HostWallClock::now(&clock), Duration::from_secs(1_000_000));
        assert_eq!(HostMonotonicClock::now(&clock), 0);
    }
}
