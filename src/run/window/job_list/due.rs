//! When Klaviyo is asked next for which jobs.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use jiff::Timestamp;

use super::JobList;
use super::manner::{ListedKinds, Manner, is_listed};
use crate::run::state::Job;
use crate::run::window::job_looks::{LastLook, Over, Reach};
use crate::run::window::job_pace::{self, LAST_PAUSE, SHORT_PAUSE, Until};
use crate::time::later;

/// A look that reads so many pages is not taken while a single job is polled to know of the end.
const SHORT_LOOK: u32 = 12;

/// A look that reads more pages than this is not taken more often when the last jobs are expected to finish.
const LAST_PAGES: u32 = 2;

impl JobList {
    /// When Klaviyo is to be asked next for a job; `None` if it is being asked for each.
    pub(in crate::run::window) fn next_due(
        &self,
        listed: &ListedKinds,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let looks = listed.all();
        let looks = looks.filter_map(|kind| Some(self.look_due(kind, listed, now)?.0));
        let polls = self.to_poll(listed, now).map(|(_, due)| due);
        looks.chain(polls).min()
    }

    /// When the jobs of this kind are to be looked for, and which; `None` if there are none to look for now.
    pub(super) fn look_due(
        &self,
        kind: &str,
        listed: &ListedKinds,
        now: Timestamp,
    ) -> Option<(Timestamp, Reach)> {
        let last = self.looks.get(kind);
        let holds_others_up = self.holding == Some(kind);
        // the probe is finished, and so are the others, as far as can be expected
        let is_end_known = self.waits_until(kind) == Until::End
            && !holds_others_up
            && self.probes.get(kind) == Some(&None);
        let is_to_look_back = self.to_look_back.contains(kind);
        let reach = match last {
            // what is older is further back on the same pages
            Some(LastLook::Partly(_, look)) if is_to_look_back && look.reach == Reach::Recent => {
                Reach::All
            }
            Some(LastLook::Partly(_, look)) => Reach::Since(look.oldest),
            _ if is_end_known || is_to_look_back => Reach::All,
            _ if listed.recent.contains(kind) => Reach::Recent,
            _ => return None,
        };
        let jobs = self.to_look_for(kind, reach, listed, now);
        let first = jobs.map(|job| job.due).min();
        let is_probed = !listed.has_sampled(kind) && self.probe(kind).is_some();
        if reach == Reach::Recent && is_probed && !self.is_any_finished(kind) {
            // nothing is found before the first of them is finished, and that one is polled
            return None;
        }
        let due = match last {
            None if reach == Reach::All => first?,
            None => first?.max(self.not_before.get(kind).copied().unwrap_or(first?)),
            Some(LastLook::Partly(..)) => first?,
            Some(LastLook::UnderWay(_)) => return None,
            // a long look would keep the probe from being polled
            Some(LastLook::Over(Over {
                pages: SHORT_LOOK..,
                ..
            })) if is_probed => return None,
            Some(LastLook::Over(over)) => {
                let pause = match is_end_known {
                    true if is_to_look_back => Duration::ZERO,
                    true => SHORT_PAUSE,
                    false => {
                        let until = match self.waits_until(kind) {
                            // the phase is not over before the slow jobs are, and these are not looked for
                            Until::End if reach == Reach::Recent && self.has_slow(kind) => {
                                Until::Working
                            }
                            until => until,
                        };
                        job_pace::after_look(over.pages, over.worth, until, holds_others_up)
                    }
                };
                let due = first?.max(later(over.at, pause));
                let last_ends = self.last_ends(kind);
                let last_ends =
                    last_ends.filter(|ends| over.at < ends.end && over.pages <= LAST_PAGES);
                // after one that has failed, the jobs are not due before what it was told to wait is over
                let first = first?;
                last_ends.map_or(due, |ends| {
                    due.min(later(over.at, LAST_PAUSE).max(ends.start).max(first))
                })
            }
        };
        Some((due, reach))
    }

    /// When the last jobs of this kind are expected to finish, if nothing but their end is waited for: as soon as the
    /// quickest one did, or little later. Nothing is expected of them where some take much longer than others, and the few
    /// of a small import are polled often anyway.
    fn last_ends(&self, kind: &str) -> Option<Range<Timestamp>> {
        let is_end = self.waits_until(kind) == Until::End && self.holding != Some(kind);
        let is_expected = is_end && !self.are_few && !self.has_slow(kind);
        let submitted = *self.submitted_until.get(kind).filter(|_| is_expected)?;
        let quickest = *self.quickest.get(kind)?;
        let from = later(submitted, quickest);
        Some(from..later(from, quickest / 6))
    }

    /// Whether the last jobs of this kind are expected to finish now.
    pub(super) fn expects_last(&self, kind: &str, now: Timestamp) -> bool {
        self.last_ends(kind).is_some_and(|ends| ends.contains(&now))
    }

    /// Whether a job of this kind is slow.
    fn has_slow(&self, kind: &str) -> bool {
        let mut jobs = self.list.iter();
        jobs.any(|job| job.kind == kind && job.slow)
    }

    /// The jobs of this kind that a look goes back for.
    fn to_look_for(
        &self,
        kind: &str,
        reach: Reach,
        listed: &ListedKinds,
        now: Timestamp,
    ) -> impl Iterator<Item = &Job> {
        let jobs = self.list.iter().filter(move |job| job.kind == kind);
        let jobs = jobs.filter(move |job| is_listed(job, now) && !self.asked.contains(&job.id));
        jobs.filter(move |job| match reach {
            Reach::Recent => !job.slow,
            Reach::Since(oldest) => job.since >= oldest,
            Reach::All => !job.slow || listed.manner(job, now) == Manner::Sampled,
        })
    }

    /// The jobs that a look may find that begins now, and when the oldest was submitted that it goes back for; `None` where
    /// it goes back for none. Slow jobs may turn out to be on the pages that are read for the others.
    pub(super) fn of_look(
        &self,
        kind: &str,
        reach: Reach,
        listed: &ListedKinds,
        now: Timestamp,
    ) -> Option<(Vec<Job>, Timestamp)> {
        let reached = self.to_look_for(kind, reach, listed, now);
        let oldest = reached.map(|job| job.since).min()?;
        let found = match reach {
            Reach::Recent => Reach::All,
            Reach::Since(_) | Reach::All => reach,
        };
        let jobs = self.to_look_for(kind, found, listed, now);
        Some((jobs.cloned().collect(), oldest))
    }

    /// The jobs to poll, with when.
    pub(super) fn to_poll(
        &self,
        listed: &ListedKinds,
        now: Timestamp,
    ) -> impl Iterator<Item = (&Job, Timestamp)> {
        // found once for each kind, not for each job: finding them can mean to go through all of them
        let mut of_kinds: HashMap<&str, (Option<&str>, bool)> = HashMap::new();
        for job in &self.list {
            of_kinds.entry(&job.kind).or_insert_with(|| {
                let probe = match listed.has_sampled(&job.kind) {
                    true => None,
                    false => self.probe(&job.kind),
                };
                (probe, self.polls_last(&job.kind, listed, now))
            });
        }
        let is_sampled = [Manner::Sampled, Manner::SampledFarBack];
        let samples = listed.slow.keys().flat_map(|kind| {
            let sample = |manner| self.sample(kind, manner, listed, now);
            is_sampled.map(sample).into_iter().flatten()
        });
        let samples: Vec<(&Job, Timestamp)> = samples.collect();
        let jobs = self.list.iter();
        let jobs = jobs.filter(move |job| {
            // the errors of a finished job are read whatever is waited for
            job.errors_at.is_some()
                || self.to_poll_now.contains(&job.id)
                || match (of_kinds[job.kind.as_str()], listed.manner(job, now)) {
                    (_, Manner::Polled) if job.slow => true,
                    ((None, _) | (_, true), Manner::Polled) => true,
                    ((probe, _), _) => probe == Some(job.id.as_str()),
                }
        });
        let jobs = jobs.filter(|job| !self.asked.contains(&job.id));
        jobs.map(|job| (job, job.due)).chain(samples)
    }

    /// The slow job of this kind that is polled next of those that it becomes known of in this manner, any of them, and
    /// when.
    fn sample(
        &self,
        kind: &str,
        manner: Manner,
        listed: &ListedKinds,
        now: Timestamp,
    ) -> Option<(&Job, Timestamp)> {
        if manner == Manner::Sampled && self.to_look_back.contains(kind) {
            return None;
        }
        let slow = self.list.iter().filter(|job| job.kind == kind);
        let slow = slow.filter(|job| listed.manner(job, now) == manner);
        let slow: Vec<&Job> = slow.collect();
        let is_asked =
            |job: &&Job| self.asked.contains(&job.id) || self.to_poll_now.contains(&job.id);
        if slow.iter().any(is_asked) {
            return None;
        }
        // which one is left to chance: they are in the order in which they were submitted
        let index = usize::try_from(now.as_millisecond()).unwrap_or_default() % slow.len().max(1);
        let job = slow.get(index)?;
        Some((job, self.next_sample.get(kind).copied().unwrap_or(job.due)))
    }
}
