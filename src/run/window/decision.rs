//! What a window does next: a function of what it knows, without any I/O.

use std::time::Duration;

use super::end::End;
use super::timing::{CHECKPOINT, FINISHING};
use crate::memory::LOOK;

/// The shortest pause: what is due in less than this is due now.
const LEAST_PAUSE: Duration = Duration::from_millis(1);

/// A window does not save once more when it saves for the last time within this.
const SOON: Duration = Duration::from_secs(1);

/// What a window knows when it decides what to do next. Durations count from now; zero means that the time has passed.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    /// Time until the soft end.
    pub(super) soft_end_in: Duration,
    /// Time until the hard end: then nothing may be sent any more.
    pub(super) hard_end_in: Duration,
    /// Time until the next save is due.
    pub(super) save_in: Duration,
    /// A save is under way.
    pub(super) is_saving: bool,
    /// Nothing is to be done for this long (`notBefore`).
    pub(super) held_for: Option<Duration>,
    /// Requests are under way.
    pub(super) has_calls: bool,
    /// Everything has been fetched and mapped.
    pub(super) is_read: bool,
    /// Everything that was mapped has been sent and acknowledged.
    pub(super) is_sent: bool,
    /// Time until the next batch may be sent, as far as its rate limit is known; absent if no batch waits.
    pub(super) next_batch_in: Option<Duration>,
    /// Another batch may be sent at the same time.
    pub(super) may_send: bool,
    /// Klaviyo has jobs that are not known to be finished.
    pub(super) has_jobs: bool,
    /// There are so many jobs that no more are submitted.
    pub(super) jobs_are_full: bool,
    /// Time until the next poll of a job; absent if each is being polled or there is none.
    pub(super) next_poll_in: Option<Duration>,
    /// There is something to do for which other windows have the memory.
    pub(super) lacks_memory: bool,
    /// The window has made progress.
    pub(super) progress: bool,
    /// The window has mapped a record.
    pub(super) has_mapped: bool,
    /// The window is ending: it starts nothing new.
    pub(super) is_ending: bool,
    /// The window is ending: the time until batches that are not full are closed, if pages under way may fill them.
    pub(super) packs_for: Option<Duration>,
    /// Nothing was to be done for most of the window's time.
    pub(super) was_mostly_held: bool,
    /// How long it takes from the end of a window to the beginning of the next one.
    pub(super) handover: Duration,
}

/// What a window does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// There is more to do at once.
    Work,
    /// There is nothing to do for this long, unless a request ends.
    Wait(Duration),
    /// Everything is read, sent and finished: the next phase begins, or the run is over.
    PhaseOver,
    /// The window begins to end.
    End(Over),
    /// The batches that are left cannot be sent in this window: their rate limit allows it only after this long.
    DropUnsent(Duration),
    /// The window has ended.
    Leave,
}

/// Why a window ends before the run does.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// Its time is used up; the next window continues at once.
    TimeIsUp,
    /// Its time is used up while nothing was to be done.
    Held,
    /// The only thing left is to wait for a rate limit, longer than the window lasts.
    RateLimit(Duration),
    /// The only thing left is to wait for jobs, longer than the window lasts.
    Jobs(Duration),
}

impl Snapshot {
    /// The time that the window has left. A window without any result does not end while a page is under way: if pages
    /// take longer than a window, the next window would end without a result too.
    fn time_left(&self) -> Duration {
        let is_empty_handed = !self.progress && !self.has_mapped && self.held_for.is_none();
        if is_empty_handed && self.has_calls {
            self.hard_end_in
                .saturating_sub(FINISHING)
                .max(self.soft_end_in)
        } else {
            self.soft_end_in
        }
    }
}

/// In how long a window that was held for most of its time leaves what is to be done to the next one, which has all its
/// time for it.
fn leaves_in(snapshot: &Snapshot) -> Option<Duration> {
    let held_for = snapshot.held_for.filter(|_| snapshot.was_mostly_held)?;
    Some(held_for.saturating_sub(snapshot.handover))
}

/// Whether the window is about to leave to the next one.
pub(super) fn leaves_soon(snapshot: &Snapshot) -> bool {
    leaves_in(snapshot).is_some_and(|leaves_in| leaves_in <= SOON)
}

/// Whether the window's time is used up, and what that means.
pub(super) fn time_is_up(snapshot: &Snapshot) -> Option<Over> {
    let leaves_to_next = leaves_in(snapshot).is_some_and(|leaves_in| leaves_in.is_zero());
    let is_up = !snapshot.is_ending && (snapshot.time_left().is_zero() || leaves_to_next);
    is_up.then_some(match snapshot.held_for {
        Some(_) => Over::Held,
        None => Over::TimeIsUp,
    })
}

/// What the window does next; `mapped` if it has just mapped records.
pub(super) fn next(snapshot: &Snapshot, mapped: bool) -> Next {
    if mapped {
        return Next::Work;
    }
    if snapshot.is_ending {
        return next_at_the_end(snapshot);
    }
    let time_left = snapshot.time_left();
    let until_save = match snapshot.is_saving || leaves_soon(snapshot) {
        true => CHECKPOINT,
        false => snapshot.save_in,
    };
    let mut pause = time_left.min(until_save);
    if snapshot.lacks_memory {
        // nobody tells when they give it back
        pause = pause.min(LOOK);
    }
    if let Some(held_for) = snapshot.held_for {
        let until_handover = leaves_in(snapshot).unwrap_or(held_for);
        return Next::Wait(pause.min(until_handover).max(LEAST_PAUSE));
    }
    let only_waits = !snapshot.has_calls;
    if only_waits && snapshot.is_read && snapshot.is_sent && !snapshot.has_jobs {
        return Next::PhaseOver;
    }
    if let Some(wait) = snapshot.next_batch_in.filter(|_| snapshot.may_send) {
        let next_poll = snapshot.next_poll_in.filter(|&poll| poll < time_left);
        if only_waits && wait > time_left && next_poll.is_none() {
            // without the rest of its group, what was sent so far would be sent again: the rest is sent before the end
            let finishes = !snapshot.progress && wait < snapshot.hard_end_in;
            return Next::End(match finishes {
                true => Over::TimeIsUp,
                false => Over::RateLimit(wait),
            });
        }
        pause = pause.min(wait).min(next_poll.unwrap_or(wait));
    } else if let Some(wait) = snapshot.next_poll_in {
        let nothing_else =
            only_waits && snapshot.is_sent && (snapshot.is_read || snapshot.jobs_are_full);
        if nothing_else && wait > time_left {
            return Next::End(Over::Jobs(wait));
        }
        pause = pause.min(wait);
    }
    Next::Wait(pause.max(LEAST_PAUSE))
}

/// The window is ending: it waits for what is under way and for what is left to send.
fn next_at_the_end(snapshot: &Snapshot) -> Next {
    let left = snapshot.hard_end_in;
    let until_closed = |pause: Duration| pause.min(snapshot.packs_for.unwrap_or(pause));
    match snapshot.next_batch_in {
        None if snapshot.has_calls => Next::Wait(until_closed(left.max(FINISHING))),
        None => Next::Leave,
        Some(wait) if wait >= left => Next::DropUnsent(wait),
        Some(wait) if snapshot.may_send => Next::Wait(until_closed(wait)),
        Some(_) => Next::Wait(until_closed(left)),
    }
}

/// Whether a window that ended like this counts as one without progress, which could follow one another for ever.
pub(super) fn stands_still(
    end: &End,
    progress: bool,
    has_jobs: bool,
    klaviyo_answered: bool,
) -> bool {
    match end {
        End::Continue => !progress && !has_jobs,
        End::Wait { .. } => !progress && klaviyo_answered,
        End::Completed | End::Broken(_) | End::GivenUp(_) | End::Unconfirmed | End::Lost => false,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::error::{Error, Peer};

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// In the middle of a window of 20 s: reading and sending, with progress.
    fn midway() -> Snapshot {
        Snapshot {
            soft_end_in: s(12),
            hard_end_in: s(17),
            save_in: s(4),
            has_calls: true,
            may_send: true,
            progress: true,
            has_mapped: true,
            ..Snapshot::default()
        }
    }

    /// All is read and sent; only jobs are under way.
    fn only_jobs(next_poll_in: Duration) -> Snapshot {
        Snapshot {
            has_calls: false,
            is_read: true,
            is_sent: true,
            has_jobs: true,
            next_poll_in: Some(next_poll_in),
            ..midway()
        }
    }

    /// A full batch waits for its rate limit, and nothing is under way.
    fn limited(next_batch_in: Duration) -> Snapshot {
        Snapshot {
            has_calls: false,
            next_batch_in: Some(next_batch_in),
            ..midway()
        }
    }

    fn ending(snapshot: Snapshot) -> Snapshot {
        Snapshot {
            is_ending: true,
            ..snapshot
        }
    }

    #[test]
    fn every_situation_has_its_next_step() {
        let table: &[(&str, Snapshot, Next)] = &[
            (
                "calls are under way: until the next save",
                midway(),
                Next::Wait(s(4)),
            ),
            (
                "a save is under way: no other is due",
                Snapshot {
                    save_in: s(0),
                    is_saving: true,
                    ..midway()
                },
                Next::Wait(CHECKPOINT),
            ),
            (
                "the window ends before the next save",
                Snapshot {
                    soft_end_in: s(1),
                    ..midway()
                },
                Next::Wait(s(1)),
            ),
            (
                "held: waits, but saves meanwhile",
                Snapshot {
                    held_for: Some(s(9)),
                    ..midway()
                },
                Next::Wait(s(4)),
            ),
            (
                "held for most of the window: until the next one is to begin",
                Snapshot {
                    held_for: Some(s(3)),
                    was_mostly_held: true,
                    handover: s(1),
                    ..midway()
                },
                Next::Wait(s(2)),
            ),
            (
                "ending: batches that are not full wait for pages, and are closed then",
                ending(Snapshot {
                    packs_for: Some(s(1)),
                    ..midway()
                }),
                Next::Wait(s(1)),
            ),
            (
                "ending: full ones wait for their rate limit meanwhile",
                ending(Snapshot {
                    packs_for: Some(s(1)),
                    ..limited(s(2))
                }),
                Next::Wait(s(1)),
            ),
            (
                "about to leave to the next window: does not save before its last save",
                Snapshot {
                    held_for: Some(Duration::from_millis(1_900)),
                    was_mostly_held: true,
                    handover: s(1),
                    save_in: s(0),
                    ..midway()
                },
                Next::Wait(Duration::from_millis(900)),
            ),
            (
                "held for less than that",
                Snapshot {
                    held_for: Some(s(2)),
                    ..midway()
                },
                Next::Wait(s(2)),
            ),
            (
                "other windows have the memory for what is to be done: looks again soon",
                Snapshot {
                    lacks_memory: true,
                    ..midway()
                },
                Next::Wait(LOOK),
            ),
            (
                "all is read, sent and finished",
                Snapshot {
                    has_jobs: false,
                    next_poll_in: None,
                    ..only_jobs(s(0))
                },
                Next::PhaseOver,
            ),
            (
                "the same, while a save is under way",
                Snapshot {
                    has_calls: true,
                    has_jobs: false,
                    next_poll_in: None,
                    ..only_jobs(s(0))
                },
                Next::Wait(s(4)),
            ),
            (
                "nothing left but jobs, whose poll is due in this window",
                only_jobs(s(3)),
                Next::Wait(s(3)),
            ),
            (
                "nothing left but jobs, whose poll is due after it",
                only_jobs(s(13)),
                Next::End(Over::Jobs(s(13))),
            ),
            (
                "jobs are due later, but there is more to read",
                Snapshot {
                    is_read: false,
                    ..only_jobs(s(13))
                },
                Next::Wait(s(4)),
            ),
            (
                "there is more to read, but no more jobs are handed in",
                Snapshot {
                    is_read: false,
                    jobs_are_full: true,
                    ..only_jobs(s(13))
                },
                Next::End(Over::Jobs(s(13))),
            ),
            (
                "held by a rate limit that ends in this window",
                limited(s(3)),
                Next::Wait(s(3)),
            ),
            (
                "held by a rate limit that ends after it",
                limited(s(13)),
                Next::End(Over::RateLimit(s(13))),
            ),
            (
                "the same, while jobs can be asked for until then",
                Snapshot {
                    next_poll_in: Some(s(2)),
                    ..limited(s(13))
                },
                Next::Wait(s(2)),
            ),
            (
                "the same, where these are due after the window, too",
                Snapshot {
                    next_poll_in: Some(s(13)),
                    ..limited(s(14))
                },
                Next::End(Over::RateLimit(s(14))),
            ),
            (
                "the same, without progress so far: what was begun is finished",
                Snapshot {
                    progress: false,
                    ..limited(s(13))
                },
                Next::End(Over::TimeIsUp),
            ),
            (
                "the same, where even the lease does not last so long",
                Snapshot {
                    progress: false,
                    ..limited(s(18))
                },
                Next::End(Over::RateLimit(s(18))),
            ),
            (
                "held by a rate limit while an answer is on its way",
                Snapshot {
                    has_calls: true,
                    ..limited(s(13))
                },
                Next::Wait(s(4)),
            ),
            (
                "no more batches may be under way: a job's poll is what comes first",
                Snapshot {
                    may_send: false,
                    has_calls: true,
                    next_batch_in: Some(s(0)),
                    next_poll_in: Some(s(1)),
                    ..midway()
                },
                Next::Wait(s(1)),
            ),
            (
                "something is due now",
                only_jobs(s(0)),
                Next::Wait(LEAST_PAUSE),
            ),
            (
                "a page is under way at the end",
                ending(midway()),
                Next::Wait(s(17)),
            ),
            (
                "a call is under way when the lease is about to run out",
                ending(Snapshot {
                    hard_end_in: s(0),
                    ..midway()
                }),
                Next::Wait(FINISHING),
            ),
            (
                "nothing is under way at the end",
                ending(only_jobs(s(3))),
                Next::Leave,
            ),
            (
                "a batch is left to send at the end",
                ending(limited(s(3))),
                Next::Wait(s(3)),
            ),
            (
                "a batch is left, and no more may be under way",
                ending(Snapshot {
                    may_send: false,
                    ..limited(s(0))
                }),
                Next::Wait(s(17)),
            ),
            (
                "a batch is left whose rate limit the lease does not outlast",
                ending(limited(s(17))),
                Next::DropUnsent(s(17)),
            ),
            (
                "lost: what is under way is waited for, nothing is sent",
                ending(Snapshot {
                    next_batch_in: None,
                    ..midway()
                }),
                Next::Wait(s(17)),
            ),
        ];
        for (situation, snapshot, expected) in table {
            assert_eq!(next(snapshot, false), *expected, "{situation}");
            assert_eq!(next(snapshot, true), Next::Work, "{situation}, mapping");
        }
    }

    #[test]
    fn a_window_is_over_when_its_time_is_used_up() {
        let late = |snapshot: Snapshot| Snapshot {
            soft_end_in: s(0),
            ..snapshot
        };
        let table: &[(&str, Snapshot, Option<Over>)] = &[
            ("there is time", midway(), None),
            ("its time is used up", late(midway()), Some(Over::TimeIsUp)),
            (
                "while it was held",
                late(Snapshot {
                    held_for: Some(s(30)),
                    ..midway()
                }),
                Some(Over::Held),
            ),
            (
                "what it has waited for is near: the next window has all its time for it",
                Snapshot {
                    held_for: Some(s(1)),
                    was_mostly_held: true,
                    handover: s(1),
                    ..midway()
                },
                Some(Over::Held),
            ),
            (
                "it has hardly waited, and goes on itself",
                Snapshot {
                    held_for: Some(s(1)),
                    handover: s(1),
                    ..midway()
                },
                None,
            ),
            ("it is ending already", ending(late(midway())), None),
            (
                "too short for its first page, which is on its way",
                late(Snapshot {
                    progress: false,
                    has_mapped: false,
                    ..midway()
                }),
                None,
            ),
            (
                "the same, when the lease is about to run out",
                late(Snapshot {
                    hard_end_in: FINISHING,
                    progress: false,
                    has_mapped: false,
                    ..midway()
                }),
                Some(Over::TimeIsUp),
            ),
            (
                "nothing is on its way",
                late(Snapshot {
                    has_calls: false,
                    progress: false,
                    has_mapped: false,
                    ..midway()
                }),
                Some(Over::TimeIsUp),
            ),
        ];
        for (situation, snapshot, expected) in table {
            assert_eq!(time_is_up(snapshot), *expected, "{situation}");
        }
    }

    #[test]
    fn standing_still_is_told_from_waiting() {
        let wait = || End::Wait {
            until: Timestamp::UNIX_EPOCH,
            what: String::new(),
        };
        let error = || Error::unreadable(Peer::Klaviyo, "test", "");
        // end, progress, jobs under way, Klaviyo has answered
        let table = [
            (
                "too short to get anything done",
                End::Continue,
                false,
                false,
                false,
                true,
            ),
            (
                "the same, with jobs under way",
                End::Continue,
                false,
                true,
                false,
                false,
            ),
            ("more to do", End::Continue, true, false, true, false),
            (
                "waiting in vain: what was sent will be sent again",
                wait(),
                false,
                false,
                true,
                true,
            ),
            (
                "waiting before anything was sent",
                wait(),
                false,
                false,
                false,
                false,
            ),
            ("waiting with progress", wait(), true, true, true, false),
            (
                "a failure is counted as such",
                End::Broken(error()),
                false,
                false,
                false,
                false,
            ),
            ("lost", End::Lost, false, false, false, false),
            ("completed", End::Completed, false, false, false, false),
        ];
        for (situation, end, progress, jobs, answered, expected) in table {
            assert_eq!(
                stands_still(&end, progress, jobs, answered),
                expected,
                "{situation}"
            );
        }
    }
}
