//! The guest's clocks: real time, or time that runs faster so that a simulated minute passes in a second.
//!
//! Both generations of `wasi:clocks` are served, since Rust's standard library uses 0.2 and the component's own waiting
//! uses 0.3. At a speed of 1 wasmtime's own implementation is used as it is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime::component::{Accessor, HasData, Linker, Resource};
use wasmtime_wasi::clocks::{WasiClocksCtxView, WasiClocksView};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock as p2;
use wasmtime_wasi::p3::bindings::clocks::monotonic_clock as p3;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder};

use crate::instance::Guest;

/// A clock that agreed with the real one at its origin and runs at its own speed from there.
///
/// Hosts that are started with copies of the same clock agree on the time, so that a host that takes over after a kill
/// does not set its guest back.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    wall: SystemTime,
    speed: f64,
}

impl Clock {
    /// A clock that starts at the present time and runs `speed` times as fast as the real one.
    ///
    /// # Panics
    /// When `speed` is not a finite number above 0.
    pub fn new(speed: f64) -> Self {
        Self::starting_at(SystemTime::now(), speed)
    }

    /// A clock that shows `wall` now and runs `speed` times as fast as the real one.
    ///
    /// # Panics
    /// When `speed` is not a finite number above 0.
    pub fn starting_at(wall: SystemTime, speed: f64) -> Self {
        assert!(
            speed.is_finite() && speed > 0.0,
            "the speed of a clock is a finite number above 0, not {speed}"
        );
        Self {
            started: Instant::now(),
            wall,
            speed,
        }
    }

    /// How many times as fast as the real one it runs.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// How long `duration` on this clock takes in real time.
    pub(crate) fn real(&self, duration: Duration) -> Duration {
        Duration::try_from_secs_f64(duration.as_secs_f64() / self.speed).unwrap_or(Duration::MAX)
    }

    /// Whether it is the real time, so that nothing has to be replaced.
    fn is_real(&self) -> bool {
        self.speed == 1.0
    }

    /// The time since the origin, as this clock counts it.
    fn elapsed(&self) -> Duration {
        self.started.elapsed().mul_f64(self.speed)
    }

    /// Lets a guest's `now` follow this clock.
    pub(crate) fn configure(&self, wasi: &mut WasiCtxBuilder) {
        if !self.is_real() {
            wasi.wall_clock(*self).monotonic_clock(*self);
        }
    }

    /// Lets a guest's waiting follow this clock: replaces the monotonic clocks that are in `linker` already.
    pub(crate) fn link(&self, linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
        if self.is_real() {
            return Ok(());
        }
        linker.allow_shadowing(true);
        p2::add_to_linker::<Guest, Waiting>(linker, waiting)?;
        p3::add_to_linker::<Guest, Waiting>(linker, waiting)?;
        linker.allow_shadowing(false);
        Ok(())
    }
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        // Before 1970 there is nothing to import.
        (self.wall + self.elapsed())
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        1_000
    }

    fn now(&self) -> u64 {
        nanoseconds(self.elapsed())
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
        clock: guest.clock(),
        plain: guest.clocks(),
    }
}

impl WaitingView<'_> {
    /// The real nanoseconds that `guest` nanoseconds take.
    fn real(&self, guest: u64) -> u64 {
        nanoseconds(self.clock.real(Duration::from_nanos(guest)))
    }

    /// The nanoseconds until `when`, on the guest's clock.
    fn until(&self, when: u64) -> u64 {
        when.saturating_sub(HostMonotonicClock::now(&self.clock))
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
        let wait = self.real(self.until(when));
        p2::Host::subscribe_duration(&mut self.plain, wait)
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let wait = self.real(duration);
        p2::Host::subscribe_duration(&mut self.plain, wait)
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
        let wait = store.with(|mut access| {
            let view = access.get();
            view.real(view.until(when))
        });
        wait_real(wait).await;
        Ok(())
    }

    async fn wait_for(store: &Accessor<T, Self>, duration: u64) -> wasmtime::Result<()> {
        let wait = store.with(|mut access| access.get().real(duration));
        wait_real(wait).await;
        Ok(())
    }
}

async fn wait_real(nanoseconds: u64) {
    if nanoseconds > 0 {
        tokio::time::sleep(Duration::from_nanos(nanoseconds)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_shrink_with_the_speed() {
        let clock = Clock::new(60.0);
        assert_eq!(clock.real(Duration::from_secs(60)), Duration::from_secs(1));
        assert_eq!(
            Clock::new(0.5).real(Duration::from_secs(1)),
            Duration::from_secs(2)
        );
        assert_eq!(Clock::new(1e-9).real(Duration::MAX), Duration::MAX);
    }

    #[test]
    fn the_time_begins_where_it_was_set_and_runs_ahead() {
        let start = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let clock = Clock::starting_at(start, 1e6);
        std::thread::sleep(Duration::from_millis(2));
        let shown = HostWallClock::now(&clock);
        assert!(shown >= Duration::from_secs(1_002_000), "{shown:?}");
    }
}
