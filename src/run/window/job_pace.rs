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
/// The pause between two polls of the job that the end of a small import waits for: it is to end within 2 s of it, however
/// long calls take. Klaviyo takes 150 reads of profile jobs a minute.
pub(super) const SMALL_PAUSE: Duration = Duration::from_millis(500);
/// The pause between two questions for the last jobs when they are expected to finish.
pub(super) const LAST_PAUSE: Duration = Duration::from_millis(250);
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
/// No job is slow before it has taken so long.
const LEAST_SLOW: Duration = Duration::from_secs(15);
/// The longest pause between two polls of one of many slow jobs.
const LONGEST_SAMPLE_PAUSE: Duration = Duration::from_secs(16);
/// A look that is not expected to find much is put off for so many times the pause after it.
const WORTH_WAITING: u32 = 3;
/// The same for a look of one page while nothing waits for what it finds.
const IDLE_WAITING: u32 = 6;
/// The longest pause between two polls of the one job that is polled while nothing else is left to do.
const LONGEST_PROBE_PAUSE: Duration = Duration::from_secs(8);
/// The pause after a look for each page that it read. Klaviyo takes 12.5 jobs of a kind a second: so long a pause fills
/// a page of ten of them, and those of its neighbours.
const PAUSE_PER_PAGE: Duration = Duration::from_millis(1_200);
/// The same while nothing more can be sent until a job is finished.
const URGENT_PAUSE_PER_PAGE: Duration = Duration::from_millis(600);
/// The same for jobs that hold others up: variants cannot be sent before their items are there.
const HOLDING_PAUSE_PER_PAGE: Duration = Duration::from_millis(300);

/// The pause after a look for the jobs of a kind that read so many pages. `worth` is the pause after which it is expected
/// to find enough jobs: it is kept to as far as that does not make the import wait too long for them.
pub(super) fn after_look(
    pages: u32,
    worth: Duration,
    until: Until,
    holds_others_up: bool,
) -> Duration {
    let page = match until {
        _ if holds_others_up => HOLDING_PAUSE_PER_PAGE,
        Until::Working => PAUSE_PER_PAGE,
        Until::Room | Until::End => URGENT_PAUSE_PER_PAGE,
    };
    let least = (page * pages).max(SHORT_PAUSE);
    let most = match pages {
        // nothing else is left to do but to know of them
        _ if until == Until::End => least,
        // the first page alone costs little
        0..=1 if holds_others_up => least,
        0..=1 if until == Until::Working => least * IDLE_WAITING,
        _ => least * WORTH_WAITING,
    };
    worth.clamp(least, most).min(LONGEST_PAUSE)
}

/// From which age on a job of a kind is slow, the quickest of which took so long.
pub(super) fn slow_after(quickest: Option<Duration>) -> Duration {
    let slow = quickest.map(|quickest| (quickest * 3 / 2).clamp(LEAST_SLOW, USUAL));
    slow.unwrap_or(USUAL)
}

/// The pause until one of the slow jobs of a kind is polled again, the latest of which is so old.
pub(super) fn after_sample(age: Duration) -> Duration {
    (age / 4).clamp(SHORT_PAUSE, LONGEST_SAMPLE_PAUSE)
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
