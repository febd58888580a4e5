//! How long to wait between two questions for Klaviyo's jobs.

use std::time::Duration;

/// What the window can do until jobs are finished: how urgent it is to know of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Until {
    /// There is more to read or to send.
    #[default]
    Working,
    /// Nothing more is sent until there is room for another job.
    Room,
    /// Everything is read and sent: the phase is over with the last job.
    End,
}

/// When Klaviyo is asked for a job for the first time, at the earliest.
pub(super) const FIRST_POLL: Duration = Duration::from_secs(2);
/// The shortest pause between two questions for the same jobs: an import ends that soon after its last job.
pub(super) const SHORT_PAUSE: Duration = Duration::from_millis(1_500);
/// With more jobs that are polled one by one than this, each is polled less often.
const FEW: usize = 10;
/// While there are many, the pause between two polls of a job is this for each of them: so many polls a minute leave
/// room for the first poll of new jobs within the 750 a minute that Klaviyo allows.
const PAUSE_PER_JOB: Duration = Duration::from_millis(110);
/// Most jobs were recorded to take from 7 to 33 s, and others minutes: those that take longer than this are polled less
/// and less often.
const USUAL: Duration = Duration::from_secs(40);
/// The longest pause between two polls of a job, and between two looks for the jobs of a kind.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause between two polls of the one job that is polled while nothing else is left to do.
const LONGEST_PROBE_PAUSE: Duration = Duration::from_secs(8);
/// The pause after a look for each page that it read. Klaviyo takes 12.5 jobs of a kind a second: so long a pause fills
/// a page of ten of them, and those of its neighbours.
const PAUSE_PER_PAGE: Duration = Duration::from_millis(1_200);
/// The same while nothing more can be sent until a job is finished.
const URGENT_PAUSE_PER_PAGE: Duration = Duration::from_millis(600);
/// The same for jobs that hold others up: variants cannot be sent before their items are there.
const HOLDING_PAUSE_PER_PAGE: Duration = Duration::from_millis(300);

/// The pause after a look for the jobs of a kind that read so many pages. `youngest` is how old the latest of the jobs is
/// that were not finished: where even that takes unusually long, they are looked for less and less often.
pub(super) fn after_look(
    pages: u32,
    until: Until,
    holds_others_up: bool,
    youngest: Duration,
) -> Duration {
    let page = match until {
        _ if holds_others_up => HOLDING_PAUSE_PER_PAGE,
        Until::Working => PAUSE_PER_PAGE,
        Until::Room | Until::End => URGENT_PAUSE_PER_PAGE,
    };
    let least = match youngest {
        age if age < USUAL => SHORT_PAUSE,
        age => (age / 16).max(SHORT_PAUSE),
    };
    (page * pages).max(least).min(LONGEST_PAUSE)
}

/// The pause after a poll of a job of this age, one of so many; `is_probe` if it is the only one of its kind that is
/// polled.
pub(super) fn after_poll(age: Duration, jobs: usize, is_probe: bool) -> Duration {
    let usual = match jobs {
        _ if is_probe => SHORT_PAUSE,
        0..=FEW => SHORT_PAUSE,
        jobs => SHORT_PAUSE.max(PAUSE_PER_JOB * u32::try_from(jobs).unwrap_or(u32::MAX)),
    };
    match age {
        age if age < USUAL => usual,
        age if is_probe => (age / 24).clamp(SHORT_PAUSE, LONGEST_PROBE_PAUSE),
        age => (age / 8).min(LONGEST_PAUSE).max(usual),
    }
}
