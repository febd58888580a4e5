//! Klaviyo's jobs that are not known to be finished, and when it is asked for them.
//!
//! Few jobs of a kind are polled one by one. Many are looked for in Klaviyo's list of complete jobs, newest first: one page
//! of it settles many. A look reads the list as far back as the oldest of the recent jobs. What that costs, and how much it
//! finds, decides when the next look is taken, and whether it is worthwhile at all.
//!
//! Jobs overtake each other, and some take minutes. Those that are slow are far back in the list: one of them is polled
//! from time to time, a *sample*, and only when that one is finished all are looked for. Where those that are much older
//! than the others are so few that such a look would read more pages for them than they are, all of them are polled then.
//! A few slow jobs are polled one by one from the beginning.
//!
//! When nothing is left to do but to wait for the last job of all, only one of each kind is polled, the *probe*: before it
//! is finished, nothing changes by knowing of the others. Then the others are asked for, and one of those that are not
//! finished is the next probe. Many are looked for meanwhile as well, if that takes few pages, so that few are left by then.

mod due;
mod manner;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;

pub(super) use manner::ListedKinds;
use manner::{MANY, Manner, SlowJobs, is_listed};

use super::job_looks::{LastLook, Reach};
use super::job_pace::{self, FIRST_POLL, LAST_PAUSE, SHORT_PAUSE, SMALL_PAUSE, Until};
use crate::klaviyo::job::Look;
use crate::run::import::{Finished, KnownJobs};
use crate::run::state::Job;
use crate::time::{between, later};

/// A job's poll comes this long before the time that the quickest one of its kind has taken.
const HEAD_START: Duration = Duration::from_millis(500);
/// As long as it is not known how many jobs a page of the list has, one is taken to have those of this time: 20, of the
/// 12.5 a second that Klaviyo takes of a kind.
const PAGE: Duration = Duration::from_millis(1_600);

/// The jobs of a window.
#[derive(Debug, Default)]
pub(super) struct JobList {
    list: Vec<Job>,
    /// Ids of jobs that Klaviyo is being asked for; they are left alone until the result has been handled.
    asked: HashSet<String>,
    /// When the latest job of a kind was submitted.
    submitted_until: HashMap<String, Timestamp>,
    /// How long the quickest job of a kind took, as far as this window has seen it.
    quickest: HashMap<String, Duration>,
    /// The latest look for the jobs of a kind.
    looks: HashMap<String, LastLook>,
    /// Before when the jobs of a kind are not looked for in this window, as earlier ones have looked for them.
    not_before: HashMap<String, Timestamp>,
    /// When the next one of the slow jobs of a kind is polled.
    next_sample: HashMap<String, Timestamp>,
    /// Ids of jobs that are being polled as samples.
    samples: HashSet<String>,
    /// Kinds of jobs of which a sample or the probe was finished: all of them are looked for, the slow ones, too.
    to_look_back: HashSet<String>,
    /// Ids of jobs that are polled now, as another one that is as far back was finished.
    to_poll_now: HashSet<String>,
    /// What is waited for.
    until: Until,
    /// The kind of jobs without whose results others cannot be submitted.
    holding: Option<&'static str>,
    /// Whether these are the last jobs of an import that has few: each is polled, until its end.
    are_few: bool,
    /// A job of each kind that was not finished when Klaviyo was asked last; `None` where that one is finished, and the
    /// others are to be asked for.
    probes: HashMap<String, Option<String>>,
    /// By how much our clock is ahead of Klaviyo's, as far as jobs have shown it.
    clock_ahead: Option<Duration>,
    /// Whether Klaviyo does not answer with a list of jobs.
    has_no_list: bool,
    /// What the jobs take up in the document, about, in bytes.
    bytes: usize,
}

impl JobList {
    pub(super) fn new(list: Vec<Job>) -> Self {
        let mut not_before: HashMap<String, Timestamp> = HashMap::new();
        let mut submitted_until = HashMap::new();
        for job in &list {
            let due = not_before.entry(job.kind.clone()).or_insert(job.due);
            *due = job.due.min(*due);
            note_submitted(&mut submitted_until, job);
        }
        Self {
            bytes: list.iter().map(Job::stored_bytes).sum(),
            list,
            next_sample: not_before.clone(),
            not_before,
            submitted_until,
            ..Self::default()
        }
    }

    /// Knows from earlier windows by how much our clock is ahead of Klaviyo's, in milliseconds.
    pub(super) fn with_clock_ahead(mut self, clock_ahead_ms: Option<u64>) -> Self {
        self.clock_ahead = clock_ahead_ms.map(Duration::from_millis);
        self
    }

    /// By how much our clock is ahead of Klaviyo's, in milliseconds, as far as jobs have shown it.
    pub(super) fn clock_ahead_ms(&self) -> Option<u64> {
        let ahead = self.clock_ahead?;
        u64::try_from(ahead.as_millis()).ok()
    }

    /// What the jobs take up in the document, about, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The jobs of a kind.
    pub(super) fn of_kind(&self, kind: &str) -> usize {
        self.list.iter().filter(|job| job.kind == kind).count()
    }

    /// The ids of all jobs of a kind.
    pub(super) fn ids_of_kind(&self, kind: &str) -> KnownJobs {
        let jobs = self.list.iter().filter(|job| job.kind == kind);
        Rc::new(jobs.map(|job| job.id.clone()).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether a job of this kind has this entry.
    pub(super) fn has(&self, kind: &str, name: &str) -> bool {
        let mut jobs = self.list.iter().filter(|job| job.kind == kind);
        jobs.any(|job| match job.entries.is_empty() {
            true => job.digests.contains(name),
            false => job.entries.iter().any(|entry| entry == name),
        })
    }

    pub(super) fn add(&mut self, jobs: impl IntoIterator<Item = Job>) {
        for mut job in jobs {
            note_submitted(&mut self.submitted_until, &job);
            let quickest = self.quickest.get(&job.kind).copied().unwrap_or_default();
            let first = quickest.saturating_sub(HEAD_START).max(FIRST_POLL);
            job.due = later(job.since, first).max(job.due);
            self.bytes += job.stored_bytes();
            self.list.push(job);
        }
    }

    /// What is waited for from now on, and the kind of jobs that hold others up, if there is one. An import that `is_small`
    /// has few jobs in all.
    pub(super) fn wait_until(
        &mut self,
        until: Until,
        holding: Option<&'static str>,
        is_small: bool,
        now: Timestamp,
    ) {
        self.are_few = is_small && until == Until::End;
        if until == Until::End && self.until != Until::End {
            // pauses that were chosen while there were many to poll are too long for the few that are polled now
            for job in &mut self.list {
                job.due = job.due.min(later(now, SHORT_PAUSE));
            }
        }
        self.until = until;
        self.holding = holding;
    }

    /// A job has turned out to be finished.
    pub(super) fn note_end(&mut self, job: &Job, now: Timestamp) {
        let took = between(job.since, now);
        let quickest = self.quickest.entry(job.kind.clone()).or_insert(took);
        *quickest = took.min(*quickest);
    }

    /// The job with this id, which may be asked for again from now on.
    pub(super) fn answered(&mut self, id: &str) -> Option<&mut Job> {
        self.asked.remove(id);
        self.list.iter_mut().find(|job| job.id == id)
    }

    pub(super) fn remove(&mut self, id: &str, listed: &ListedKinds, now: Timestamp) {
        self.asked.remove(id);
        self.to_poll_now.remove(id);
        if let Some(index) = self.list.iter().position(|job| job.id == id) {
            let removed = self.list.remove(index);
            self.bytes -= removed.stored_bytes();
            let was_probe = self.forget_probe(&removed);
            let was_sample = self.samples.remove(id);
            let manner = listed.manner(&removed, now);
            if was_probe || (was_sample && manner == Manner::Sampled) {
                self.to_look_back.insert(removed.kind.clone());
            }
            if was_probe || (was_sample && manner == Manner::SampledFarBack) {
                let others = self.list.iter_mut().filter(|job| job.kind == removed.kind);
                for other in others.filter(|job| listed.manner(job, now) == Manner::SampledFarBack)
                {
                    other.due = other.since;
                    self.to_poll_now.insert(other.id.clone());
                }
            }
        }
    }

    /// The kinds of jobs that are looked for in the list, if the import can do that.
    pub(super) fn listed_kinds(&self, now: Timestamp) -> ListedKinds {
        if self.has_no_list || self.are_few {
            return ListedKinds::default();
        }
        let mut jobs: HashMap<&str, (Vec<Timestamp>, Vec<Timestamp>)> = HashMap::new();
        for job in self.list.iter().filter(|job| is_listed(job, now)) {
            let (recent, slow) = jobs.entry(&job.kind).or_default();
            let of = if job.slow { slow } else { recent };
            of.push(job.since);
        }
        let mut listed = ListedKinds::default();
        for (kind, (recent, slow)) in jobs {
            let over = match self.looks.get(kind) {
                Some(LastLook::Over(over)) => Some(over),
                Some(LastLook::UnderWay(_) | LastLook::Partly(..)) | None => None,
            };
            // a look that reads more pages than there are jobs is worth less than polling them
            let pages = over.map_or(0, |over| over.pages as usize);
            // polls are made beside each other, and pages are read one after the other: at the end that counts
            let worth = match self.waits_until(kind) {
                Until::End => 2 * pages,
                Until::Working | Until::Room => pages,
            };
            if recent.len() >= MANY.max(worth) {
                listed.recent.insert(kind.to_owned());
            }
            if !slow.is_empty() {
                let until = self.submitted_until.get(kind).copied();
                let reached = recent.into_iter().min().or(until).unwrap_or(now);
                let page = over.and_then(|over| over.page).unwrap_or(PAGE);
                let slow = SlowJobs::of(slow, reached, page);
                listed.slow.insert(kind.to_owned(), slow);
            }
        }
        listed
    }

    /// What is waited for by jobs of this kind. Before those are finished that hold others up, the others are not the last.
    fn waits_until(&self, kind: &str) -> Until {
        let holding = self.holding.filter(|&holding| holding != kind);
        match self.until {
            Until::End if holding.is_some_and(|kind| self.of_kind(kind) > 0) => Until::Working,
            until => until,
        }
    }

    /// The age from which on a job of this kind is slow if it is not finished.
    fn slow_after(&self, kind: &str) -> Duration {
        job_pace::slow_after(self.quickest.get(kind).copied())
    }

    /// The probe of a kind, while only its end is waited for: the latest job, as long as Klaviyo has not been asked.
    fn probe(&self, kind: &str) -> Option<&str> {
        if self.waits_until(kind) != Until::End || self.holding == Some(kind) {
            return None;
        }
        match self.probes.get(kind) {
            Some(probe) => probe.as_deref(),
            None if self.is_any_finished(kind) || self.of_kind(kind) < MANY => self.latest(kind),
            None => self.oldest(kind),
        }
    }

    /// Whether a job of this kind is known to have finished in this window.
    fn is_any_finished(&self, kind: &str) -> bool {
        self.quickest.contains_key(kind)
    }

    /// The oldest of those that are not slow, if there are such.
    fn oldest(&self, kind: &str) -> Option<&str> {
        let jobs = self.list.iter().filter(|job| job.kind == kind);
        let oldest = jobs.min_by_key(|job| (job.slow, job.since));
        oldest.map(|job| job.id.as_str())
    }

    fn latest(&self, kind: &str) -> Option<&str> {
        let jobs = self.list.iter().filter(|job| job.kind == kind);
        let latest = jobs.max_by_key(|job| job.since);
        latest.map(|job| job.id.as_str())
    }

    /// This job is finished. Returns whether it was the probe of its kind, and the others are asked for now.
    fn forget_probe(&mut self, removed: &Job) -> bool {
        let is_asked_for = self.waits_until(&removed.kind) == Until::End;
        let was_probe = match self.probes.get(&removed.kind) {
            Some(probe) => probe.as_ref() == Some(&removed.id),
            None => {
                let others = self.list.iter().filter(|job| job.kind == removed.kind);
                is_asked_for
                    && others
                        .map(|job| job.since)
                        .all(|since| since <= removed.since)
            }
        };
        if !was_probe {
            return false;
        }
        self.probes.insert(removed.kind.clone(), None);
        let others = self.list.iter_mut().filter(|job| job.kind == removed.kind);
        for other in others.filter(|_| is_asked_for) {
            other.due = other.since;
        }
        is_asked_for
    }

    /// The jobs of one of these kinds whose look is due; they count as being asked for from now on.
    pub(super) fn begin_look(
        &mut self,
        kinds: &ListedKinds,
        now: Timestamp,
    ) -> Option<(Vec<Job>, Look)> {
        let (kind, reach) = kinds.all().find_map(|kind| {
            let (due, reach) = self.look_due(kind, kinds, now)?;
            (due <= now).then(|| (kind.to_owned(), reach))
        })?;
        let (jobs, oldest) = self.of_look(&kind, reach, kinds, now)?;
        self.asked.extend(jobs.iter().map(|job| job.id.clone()));
        if reach == Reach::All {
            self.to_look_back.remove(&kind);
        }
        let (from, look) = LastLook::go_on(self.looks.remove(&kind), reach, oldest, now);
        self.looks.insert(kind, look);
        let look = Look {
            oldest,
            clock_ahead: self.clock_ahead,
            from,
        };
        Some((jobs, look))
    }

    /// Whether the look that is under way goes on with a page further back.
    pub(super) fn is_look_back(&self, kind: &str) -> bool {
        matches!(self.looks.get(kind), Some(LastLook::UnderWay(look)) if look.pages > 0)
    }

    /// A look for jobs of this kind has found what it says, and so many of the jobs, which have been dealt with.
    pub(super) fn end_look(&mut self, kind: &str, found: Finished, jobs: usize, now: Timestamp) {
        self.clock_ahead = self.clock_ahead.max(found.clock_ahead);
        let Some(LastLook::UnderWay(look)) = self.looks.remove(kind) else {
            return;
        };
        let (reach, oldest, begun) = (look.reach, look.oldest, look.begun);
        // as long as it is not known how our clock differs, a look would go on a minute too far
        let is_in_vain = reach == Reach::Recent && jobs == 0 && self.clock_ahead.is_none();
        let next = found.next.filter(|_| !is_in_vain);
        let look = look.read(found.pages, jobs, next, now);
        if matches!(look, LastLook::Over(_)) {
            let probe = match self.is_any_finished(kind) {
                true => self.latest(kind),
                false => self.oldest(kind),
            };
            let probe = probe.map(str::to_owned);
            self.probes.insert(kind.to_owned(), probe);
            // a list that could not be read is left alone as long as was asked for
            if found.pages > 0 && self.expects_last(kind, now) {
                // where few are left, these are polled, and not after a pause that was chosen before
                for job in self.list.iter_mut().filter(|job| job.kind == kind) {
                    job.due = job.due.min(later(now, LAST_PAUSE));
                }
            }
            let slow_after = self.slow_after(kind);
            let had_slow = self.list.iter().any(|job| job.kind == kind && job.slow);
            let jobs = self.list.iter_mut().filter(|job| job.kind == kind);
            for job in jobs.filter(|job| job.since >= oldest) {
                job.slow |= between(job.since, begun) >= slow_after;
            }
            if reach == Reach::All || !had_slow {
                self.sample_later(kind, now);
            }
        }
        self.looks.insert(kind.to_owned(), look);
    }

    /// The slow jobs of this kind are not finished, as far as Klaviyo was asked: one is polled after a pause.
    fn sample_later(&mut self, kind: &str, now: Timestamp) {
        let slow = self.list.iter().filter(|job| job.kind == kind);
        let slow = slow.filter(|job| job.slow);
        let youngest = slow.map(|job| between(job.since, now)).min();
        let pause = job_pace::after_sample(youngest.unwrap_or_default());
        self.next_sample.insert(kind.to_owned(), later(now, pause));
    }

    /// The list of finished jobs could not be read: where that does not pass, all jobs are polled from now on.
    pub(super) fn cannot_look(&mut self, may_pass: bool) {
        self.has_no_list |= !may_pass;
    }

    /// A job whose poll is due, unless it is looked for; it counts as being asked for from now on.
    pub(super) fn begin_poll(&mut self, listed: &ListedKinds, now: Timestamp) -> Option<Job> {
        let job = self.to_poll(listed, now).find(|&(_, due)| due <= now)?.0;
        let job = job.clone();
        if self.to_poll_now.remove(&job.id) {
            self.sample_later(&job.kind, now);
        } else if listed.is_sampled(&job, now) {
            self.samples.insert(job.id.clone());
        } else if self.probe(&job.kind) == Some(&job.id) {
            self.probes.insert(job.kind.clone(), Some(job.id.clone()));
        }
        self.asked.insert(job.id.clone());
        Some(job)
    }

    /// The job is not finished: it is polled again after a pause that depends on how many are polled and how long it has
    /// taken so far, and not before `least`.
    pub(super) fn poll_later(
        &mut self,
        id: &str,
        listed: &ListedKinds,
        now: Timestamp,
        least: Duration,
    ) {
        let Some(job) = self.list.iter().find(|job| job.id == id) else {
            return;
        };
        let (kind, age) = (job.kind.clone(), between(job.since, now));
        let manner = listed.manner(job, now);
        if let Some(probe @ None) = self.probes.get_mut(&kind) {
            *probe = Some(id.to_owned());
        }
        if self.samples.remove(id) {
            self.sample_later(&kind, now);
        }
        let is_probe = self.probe(&kind) == Some(id);
        let polled = self.polled(&kind, listed, now);
        let is_last = manner == Manner::Polled && self.polls_last(&kind, listed, now);
        let pause = match self.are_few {
            _ if is_last => LAST_PAUSE,
            true if is_probe => SMALL_PAUSE,
            true => SHORT_PAUSE,
            false => job_pace::after_poll(age, polled, is_probe),
        };
        let slow_after = self.slow_after(&kind);
        if let Some(job) = self.answered(id) {
            job.asked += 1;
            job.slow |= age >= slow_after;
            job.due = later(now, pause.max(least));
        }
    }

    /// Whether all jobs of this kind that are polled are polled now, as they are few and expected to finish.
    fn polls_last(&self, kind: &str, listed: &ListedKinds, now: Timestamp) -> bool {
        self.expects_last(kind, now) && self.polled(kind, listed, now) <= MANY
    }

    /// How many jobs of a kind are polled.
    fn polled(&self, kind: &str, listed: &ListedKinds, now: Timestamp) -> usize {
        let jobs = self.list.iter().filter(|job| job.kind == kind);
        jobs.filter(|job| listed.manner(job, now) == Manner::Polled)
            .count()
    }

    /// The jobs for the cursor. The next window asks again for a job that is being asked for now.
    pub(super) fn for_cursor(&self, listed: &ListedKinds, now: Timestamp) -> Vec<Job> {
        let due_of = |job: &Job| {
            let is_asked_now = self.asked.contains(&job.id) || self.to_poll_now.contains(&job.id);
            if is_asked_now || self.to_look_back.contains(&job.kind) {
                return now;
            }
            let of_kind = match listed.manner(job, now) {
                Manner::Sampled | Manner::SampledFarBack => {
                    self.next_sample.get(&job.kind).copied()
                }
                Manner::Listed => {
                    let due = self.look_due(&job.kind, listed, now);
                    due.map(|(due, _)| due)
                }
                Manner::Polled => None,
            };
            of_kind.map_or(job.due, |due| due.max(job.due))
        };
        let jobs = self.list.iter().map(|job| Job {
            due: due_of(job),
            ..job.clone()
        });
        jobs.collect()
    }
}

/// Keeps when the latest job of each kind was submitted.
fn note_submitted(until: &mut HashMap<String, Timestamp>, job: &Job) {
    let until = until.entry(job.kind.clone()).or_insert(job.since);
    *until = job.since.max(*until);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::state::{Counts, Digests};

    fn at(seconds: f64) -> Timestamp {
        later(Timestamp::UNIX_EPOCH, Duration::from_secs_f64(seconds))
    }

    fn job(id: usize, since: f64) -> Job {
        Job {
            id: id.to_string(),
            kind: "create catalog items".to_owned(),
            since: at(since),
            due: at(since + 2.0),
            asked: 0,
            slow: false,
            errors_at: None,
            errors_read: 0,
            spans: Vec::new(),
            counts: Counts::default(),
            entries: vec!["p/1".to_owned(), "p/22".to_owned()],
            digests: Digests::default(),
            attempt: 0,
        }
    }

    fn found(pages: u32, clock_ahead: Option<Duration>) -> Finished {
        Finished {
            pages,
            clock_ahead,
            ..Finished::default()
        }
    }

    /// A look is over that has read so many pages and found so many of the jobs.
    fn end_look(jobs: &mut JobList, pages: u32, number: usize, now: f64) {
        let kind = "create catalog items";
        let last = jobs.looks.remove(kind);
        let (_, look) = LastLook::go_on(last, Reach::Recent, at(0.0), at(now));
        jobs.looks.insert(kind.to_owned(), look);
        jobs.end_look(kind, found(pages, None), number, at(now));
    }

    /// The moments at which a job is polled that takes this long, if no job is looked for.
    fn polls(jobs: &mut JobList, until: f64) -> Vec<f64> {
        let alone = ListedKinds::default();
        let mut polls = Vec::new();
        let mut now = 2.0;
        while now < until {
            assert!(jobs.begin_poll(&alone, at(now)).is_some(), "{now}");
            polls.push(now);
            jobs.poll_later("1", &alone, at(now), Duration::ZERO);
            let due = jobs.next_due(&alone, at(now)).expect("it is due");
            now = between(Timestamp::UNIX_EPOCH, due).as_secs_f64();
        }
        polls
    }

    #[test]
    fn few_jobs_are_polled_often_until_they_take_unusually_long() {
        let mut jobs = JobList::new(vec![job(1, 0.0)]);
        assert_eq!(jobs.listed_kinds(at(2.0)), ListedKinds::default());
        let polls = polls(&mut jobs, 300.0);
        let pauses = polls.windows(2).map(|pair| pair[1] - pair[0]);
        for (pause, at) in pauses.zip(&polls) {
            let most = if *at < 40.0 { 1.5 } else { 30.0 };
            assert!(pause <= most + 0.01, "{pause} at {at}");
        }
        assert!(polls.len() < 45, "{} polls", polls.len());
    }

    #[test]
    fn a_job_of_many_is_not_polled_before_others_of_its_kind_were_over() {
        let alone = ListedKinds::default();
        let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
        let first = jobs.begin_poll(&alone, at(12.0)).expect("it is due");
        jobs.note_end(&first, at(12.0));
        jobs.remove(&first.id, &alone, at(12.0));
        jobs.add([job(30, 12.0)]);
        let due = jobs
            .for_cursor(&alone, at(12.0))
            .pop()
            .expect("the last one")
            .due;
        assert_eq!(due, at(12.0 + 11.5));
        let next = jobs.begin_poll(&alone, at(12.0));
        assert!(next.is_some_and(|job| job.id == "1"));
        jobs.poll_later("1", &alone, at(12.0), Duration::ZERO);
        let again = jobs.for_cursor(&alone, at(12.0));
        assert_eq!(again[0].due, at(12.0 + 20.0 * 0.11));
    }

    #[test]
    fn many_jobs_of_a_kind_are_looked_for_at_once_and_as_often_as_that_pays() {
        let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
        let kinds = jobs.listed_kinds(at(2.0));
        assert_eq!((kinds.recent.len(), kinds.slow.len()), (1, 0));
        assert_eq!(jobs.next_due(&kinds, at(1.0)), Some(at(2.0)));
        assert!(jobs.begin_look(&kinds, at(1.9)).is_none(), "too early");
        assert!(
            jobs.begin_poll(&kinds, at(2.0)).is_none(),
            "looked for instead"
        );
        let (wanted, look) = jobs.begin_look(&kinds, at(2.0)).expect("it is due");
        assert_eq!((wanted.len(), look.oldest), (20, at(0.0)));
        assert_eq!(look.clock_ahead, None);
        jobs.add([job(30, 2.0)]);
        assert!(jobs.begin_look(&kinds, at(5.0)).is_none(), "one at a time");
        for wanted in &wanted {
            jobs.answered(&wanted.id);
        }
        let ahead = Some(Duration::from_secs(1));
        let kind = "create catalog items";
        jobs.end_look(kind, found(1, ahead), 1, at(5.0));
        for (pages, number, until, holding, pause) in [
            (1, 1, Until::Working, None, 1.5),
            (10, 1, Until::Working, None, 12.0),
            (10, 1, Until::Room, None, 6.0),
            (10, 1, Until::Working, Some(kind), 3.0),
            (10, 1, Until::Working, Some("another"), 12.0),
            (60, 1, Until::Working, None, 30.0),
            // what has found nothing is expected to find little
            (10, 0, Until::Room, None, 18.0),
            (10, 0, Until::Working, Some(kind), 9.0),
            (1, 0, Until::Working, Some(kind), 1.5),
            (60, 0, Until::Working, None, 30.0),
            // what one page may tell is put off the longest while nothing waits for it
            (1, 0, Until::Working, None, 9.0),
            (1, 0, Until::Room, None, 4.5),
        ] {
            end_look(&mut jobs, pages, number, 5.0);
            jobs.wait_until(until, holding, false, at(5.0));
            assert_eq!(jobs.next_due(&kinds, at(5.0)), Some(at(5.0 + pause)));
        }
        let (_, look) = jobs.begin_look(&kinds, at(35.0)).expect("it is due");
        assert_eq!(look.clock_ahead, ahead);
    }

    #[test]
    fn the_last_jobs_are_looked_for_more_often_when_they_are_expected_to_finish() {
        let kind = "create catalog items";
        let with_jobs = |slow: bool| {
            let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
            jobs.note_end(&job(50, 0.0), at(12.0));
            jobs.add((20..40).map(|id| job(id, 4.0)));
            jobs.list[0].slow = slow;
            jobs.wait_until(Until::End, None, false, at(12.0));
            jobs
        };
        // the last ones are expected from 16 s on, for two seconds
        for (over, slow, next) in [
            (14.0, false, 15.5),
            (15.0, false, 16.0),
            (16.0, false, 16.25),
            (17.75, false, 18.0),
            (18.0, false, 19.5),
            (16.0, true, 17.5),
        ] {
            let mut jobs = with_jobs(slow);
            end_look(&mut jobs, 1, 1, over);
            jobs.list[0].slow = slow;
            let kinds = jobs.listed_kinds(at(over));
            let due = jobs.look_due(kind, &kinds, at(over)).map(|(due, _)| due);
            assert_eq!(due, Some(at(next)), "{over} {slow}");
        }
    }

    #[test]
    fn the_last_few_jobs_are_all_polled_when_they_are_expected_to_finish() {
        for (now, slow, polled) in [(16.5, false, 3), (15.0, false, 1), (16.5, true, 1)] {
            let mut jobs = JobList::new(vec![job(1, 4.0), job(2, 4.0), job(3, 3.5)]);
            jobs.note_end(&job(50, 0.0), at(12.0));
            jobs.wait_until(Until::End, None, false, at(12.0));
            end_look(&mut jobs, 1, 1, now);
            // polled anyway, as it is slow
            jobs.list[2].slow = slow;
            let kinds = jobs.listed_kinds(at(now));
            let due = |job: (&Job, Timestamp)| (job.1 <= at(now + 0.25)).then(|| job.0.id.clone());
            let to_poll = jobs.to_poll(&kinds, at(now)).filter_map(due).count();
            assert_eq!(to_poll, polled + usize::from(slow), "{now} {slow}");
        }
        // where all are polled, as the list cannot be read, there may be hundreds
        for (number, polled) in [(MANY, MANY), (MANY + 1, 1)] {
            let mut jobs = JobList::new((0..number).map(|id| job(id, 4.0)).collect());
            jobs.note_end(&job(50, 0.0), at(12.0));
            jobs.wait_until(Until::End, None, false, at(12.0));
            end_look(&mut jobs, 1, 0, 16.5);
            jobs.cannot_look(false);
            let kinds = jobs.listed_kinds(at(16.75));
            assert_eq!(jobs.to_poll(&kinds, at(16.75)).count(), polled, "{number}");
        }
        let mut jobs = JobList::new(vec![job(1, 4.0), job(2, 4.0)]);
        jobs.note_end(&job(50, 0.0), at(12.0));
        jobs.wait_until(Until::End, None, false, at(12.0));
        let kinds = ListedKinds::default();
        for (now, pause) in [(16.5, 0.25), (15.0, 1.5), (18.5, 1.5)] {
            jobs.poll_later("1", &kinds, at(now), Duration::ZERO);
            assert_eq!(jobs.list[0].due, at(now + pause), "{now}");
        }
    }

    #[test]
    fn a_list_that_could_not_be_read_is_left_alone_as_long_as_it_asks_for() {
        let kind = "create catalog items";
        // also where only its second page could not
        for first_page in [false, true] {
            let mut jobs = JobList::new((0..20).map(|id| job(id, 4.0)).collect());
            jobs.note_end(&job(50, 0.0), at(12.0));
            jobs.wait_until(Until::End, None, false, at(12.0));
            let kinds = jobs.listed_kinds(at(16.0));
            assert!(jobs.begin_look(&kinds, at(16.0)).is_some());
            if first_page {
                let next = Some("further back".to_owned());
                let found = Finished {
                    next,
                    ..found(1, None)
                };
                jobs.asked.clear();
                jobs.end_look(kind, found, 1, at(16.0));
                assert!(jobs.begin_look(&kinds, at(16.0)).is_some());
            }
            let ids: Vec<String> = jobs.list.iter().map(|job| job.id.clone()).collect();
            for id in ids {
                jobs.poll_later(&id, &kinds, at(16.0), Duration::from_secs(10));
            }
            jobs.end_look(kind, found(0, None), 0, at(16.0));
            assert!(jobs.expects_last(kind, at(16.0)));
            assert_eq!(jobs.next_due(&kinds, at(16.0)), Some(at(26.0)));
        }
    }

    #[test]
    fn how_far_the_clock_is_ahead_is_known_to_the_next_window() {
        let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
        assert_eq!(jobs.clock_ahead_ms(), None);
        let kinds = jobs.listed_kinds(at(5.0));
        jobs.begin_look(&kinds, at(5.0)).expect("it is due");
        let ahead = Duration::from_millis(1_500);
        jobs.end_look("create catalog items", found(1, Some(ahead)), 1, at(5.0));
        let stored = jobs.clock_ahead_ms();
        assert_eq!(stored, Some(1_500));
        let next = (20..40).map(|id| job(id, 5.0)).collect();
        let mut next = JobList::new(next).with_clock_ahead(stored);
        let kinds = next.listed_kinds(at(10.0));
        let (_, look) = next.begin_look(&kinds, at(10.0)).expect("it is due");
        assert_eq!(look.clock_ahead, Some(ahead));
    }

    #[test]
    fn a_job_that_takes_unusually_long_is_polled_as_a_cancelled_one_is_in_no_list() {
        let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
        let kinds = jobs.listed_kinds(at(301.0));
        assert_eq!(kinds, ListedKinds::default());
        assert!(jobs.begin_poll(&kinds, at(301.0)).is_some());
        // nor are jobs looked for where there is no list
        let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
        jobs.cannot_look(true);
        assert_eq!(jobs.listed_kinds(at(2.0)).recent.len(), 1);
        jobs.cannot_look(false);
        assert_eq!(jobs.listed_kinds(at(2.0)), ListedKinds::default());
    }

    #[test]
    fn a_look_that_reads_more_pages_than_there_are_jobs_is_worth_less_than_polls() {
        let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
        end_look(&mut jobs, 20, 1, 5.0);
        assert_eq!(jobs.listed_kinds(at(5.0)).recent.len(), 1);
        end_look(&mut jobs, 21, 1, 5.0);
        assert_eq!(jobs.listed_kinds(at(5.0)), ListedKinds::default());
    }

    #[test]
    fn while_only_the_end_is_waited_for_one_job_of_a_kind_is_polled_and_then_the_others() {
        let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
        let kind = "create catalog items";
        jobs.add([job(30, 4.0)]);
        jobs.note_end(&job(40, 0.0), at(4.0));
        jobs.wait_until(Until::End, None, false, at(4.0));
        let kinds = jobs.listed_kinds(at(6.0));
        // the latest one is the probe: no other is polled, but they are looked for
        let (wanted, _) = jobs.begin_look(&kinds, at(6.0)).expect("a first look");
        wanted.iter().for_each(|job| {
            jobs.answered(&job.id);
        });
        jobs.end_look(kind, found(10, None), 1, at(6.0));
        let probe = jobs.begin_poll(&kinds, at(9.0)).expect("the probe");
        assert_eq!(probe.id, "30");
        assert!(jobs.begin_poll(&kinds, at(9.0)).is_none());
        jobs.poll_later("30", &kinds, at(9.0), Duration::ZERO);
        assert_eq!(jobs.next_due(&kinds, at(9.0)), Some(at(10.5)));
        assert!(jobs.begin_look(&kinds, at(11.9)).is_none());
        // it is finished: the others are looked for sooner
        jobs.remove("30", &kinds, at(7.5));
        let (wanted, _) = jobs.begin_look(&kinds, at(7.5)).expect("a look");
        assert_eq!(wanted.len(), 20);
    }

    #[test]
    fn jobs_that_hold_others_up_are_looked_for_whatever_else_is_over_but_slow_ones_less_often() {
        let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
        let kind = "create catalog items";
        end_look(&mut jobs, 10, 1, 11.0);
        let kinds = jobs.listed_kinds(at(11.0));
        jobs.wait_until(Until::End, Some(kind), false, at(11.0));
        assert_eq!(jobs.next_due(&kinds, at(11.0)), Some(at(14.0)));
        end_look(&mut jobs, 10, 1, 160.0);
        let kinds = jobs.listed_kinds(at(160.0));
        let due = jobs.next_due(&kinds, at(160.0));
        assert_eq!(due, Some(at(160.0 + 16.0)));
    }

    #[test]
    fn before_jobs_that_hold_others_up_are_finished_the_others_are_not_the_last() {
        let kind = "create catalog items";
        let variant = |id| Job {
            kind: "create catalog variants".to_owned(),
            ..job(id, 0.0)
        };
        let mut jobs = JobList::new((0..20).map(variant).collect());
        jobs.add([job(30, 0.0)]);
        let variants = "create catalog variants";
        jobs.wait_until(Until::End, Some(kind), false, at(2.0));
        assert_eq!(jobs.waits_until(kind), Until::End);
        assert_eq!(jobs.waits_until(variants), Until::Working);
        assert_eq!(jobs.probe(variants), None);
        let kinds = jobs.listed_kinds(at(2.0));
        jobs.remove("30", &kinds, at(2.0));
        assert_eq!(jobs.waits_until(variants), Until::End);
        assert!(jobs.probe(variants).is_some());
    }

    #[test]
    fn before_a_job_of_many_is_finished_the_oldest_is_polled_and_none_looked_for_again() {
        let mut jobs = JobList::new((0..20).map(|id| job(id, f64::from(id as u32))).collect());
        jobs.wait_until(Until::End, None, false, at(20.0));
        end_look(&mut jobs, 1, 0, 20.0);
        let kinds = jobs.listed_kinds(at(30.0));
        assert!(jobs.begin_look(&kinds, at(30.0)).is_none());
        let probe = jobs.begin_poll(&kinds, at(30.0)).expect("the oldest");
        assert_eq!(probe.id, "0");
        assert!(jobs.begin_poll(&kinds, at(30.0)).is_none());
        jobs.note_end(&probe, at(30.0));
        jobs.remove(&probe.id, &kinds, at(30.0));
        let (wanted, _) = jobs.begin_look(&kinds, at(30.0)).expect("a look");
        assert_eq!(wanted.len(), 19);
    }

    #[test]
    fn one_of_many_slow_jobs_is_polled_and_all_are_looked_for_when_it_is_finished() {
        let mut jobs = JobList::new((0..30).map(|id| job(id, 0.0)).collect());
        end_look(&mut jobs, 10, 1, 30.0);
        assert!(jobs.list.iter().all(|job| !job.slow), "30 s are usual");
        end_look(&mut jobs, 10, 0, 42.0);
        assert!(jobs.list.iter().all(|job| job.slow));
        jobs.add([job(40, 41.0)]);
        // this window or the next one
        let kinds = jobs.listed_kinds(at(42.0));
        let stored = jobs.for_cursor(&kinds, at(42.0));
        for mut jobs in [jobs, JobList::new(stored)] {
            let kinds = jobs.listed_kinds(at(44.0));
            assert_eq!((kinds.recent.len(), kinds.slow.len()), (0, 1));
            let none = jobs.begin_poll(&kinds, at(44.0)).filter(|job| job.slow);
            assert!(none.is_none(), "{none:?}");
            let sample = jobs.begin_poll(&kinds, at(52.6)).expect("a sample");
            assert!(jobs.begin_look(&kinds, at(70.0)).is_none());
            let others = std::iter::from_fn(|| jobs.begin_poll(&kinds, at(70.0)));
            assert!(others.take(30).all(|other| !other.slow));
            jobs.poll_later(&sample.id, &kinds, at(70.0), Duration::ZERO);
            assert!(jobs.begin_poll(&kinds, at(85.9)).is_none());
            let sample = jobs.begin_poll(&kinds, at(86.0)).expect("a sample");
            jobs.remove(&sample.id, &kinds, at(86.0));
            let (wanted, look) = jobs.begin_look(&kinds, at(100.0)).expect("a look");
            assert_eq!((wanted.len(), look.oldest), (29, at(0.0)));
            assert!(jobs.begin_poll(&kinds, at(100.0)).is_none());
        }
    }

    #[test]
    fn a_few_slow_jobs_are_polled_and_make_no_look_for_the_others_long() {
        let mut jobs = JobList::new((0..20).map(|id| job(id, 50.0)).collect());
        jobs.add((30..33).map(|id| slow(id, 0.0)));
        let kinds = jobs.listed_kinds(at(60.0));
        assert_eq!(kinds.recent.len(), 1);
        for (until, now) in [(Until::Working, at(60.0)), (Until::End, at(70.0))] {
            jobs.wait_until(until, None, false, now);
            let kind = "create catalog items";
            jobs.to_look_back.insert(kind.to_owned());
            let (wanted, look) = jobs.begin_look(&kinds, now).expect("it is due");
            assert_eq!((wanted.len(), look.oldest), (20, at(50.0)));
            let polled = std::iter::from_fn(|| jobs.begin_poll(&kinds, now));
            let mut polled: Vec<String> = polled.map(|job| job.id).collect();
            polled.sort_unstable();
            assert_eq!(polled, ["30", "31", "32"], "{until:?}");
            for job in wanted.iter().map(|job| &job.id).chain(&polled) {
                jobs.answered(job);
            }
            jobs.end_look(kind, found(1, None), 0, now);
        }
    }

    fn slow(id: usize, since: f64) -> Job {
        Job {
            slow: true,
            ..job(id, since)
        }
    }

    #[test]
    fn slow_jobs_far_back_make_no_look_for_many_slow_ones_long() {
        // the number of those far back, when they and the many were submitted, since when jobs are looked for, and how many
        // are polled
        for (far_back, then, later, oldest, polled) in [
            (3, 0.0, 10.0, 10.0, 3),
            (1, 40.0, 50.0, 50.0, 1),
            (3, 0.0, 4.7, 0.0, 0),
            // one of many
            (4, 0.0, 50.0, 50.0, 1),
        ] {
            let many = (10..30).map(|id| slow(id, later));
            let jobs = (0..far_back).map(|id| slow(id, then)).chain(many);
            let mut jobs = JobList::new(jobs.collect());
            let kind = "create catalog items";
            jobs.to_look_back.insert(kind.to_owned());
            let kinds = jobs.listed_kinds(at(60.0));
            let (wanted, look) = jobs.begin_look(&kinds, at(60.0)).expect("it is due");
            let alone = if oldest == then { 0 } else { far_back };
            assert_eq!(wanted.len(), 20 + far_back - alone);
            assert_eq!(look.oldest, at(oldest));
            let asked = std::iter::from_fn(|| jobs.begin_poll(&kinds, at(60.0)));
            let asked: Vec<Job> = asked.collect();
            assert_eq!(asked.len(), polled, "{asked:?}");
            assert!(asked.iter().all(|job| job.since == at(then)));
        }
    }

    #[test]
    fn of_many_slow_jobs_far_back_one_is_polled_and_the_others_when_it_is_finished() {
        let jobs = (0..10).map(|id| slow(id, 0.0));
        let mut jobs = JobList::new(jobs.chain((30..50).map(|id| job(id, 50.0))).collect());
        let kinds = jobs.listed_kinds(at(60.0));
        let (wanted, look) = jobs.begin_look(&kinds, at(60.0)).expect("it is due");
        assert_eq!((wanted.len(), look.oldest), (20, at(50.0)));
        let sample = jobs.begin_poll(&kinds, at(60.0)).expect("a sample");
        assert!(jobs.begin_poll(&kinds, at(60.0)).is_none());
        jobs.poll_later(&sample.id, &kinds, at(60.0), Duration::ZERO);
        let due = jobs.next_due(&kinds, at(60.0));
        assert_eq!(due, Some(later(at(60.0), Duration::from_secs(60) / 4)));
        let sample = jobs.begin_poll(&kinds, at(75.0)).expect("a sample");
        jobs.remove(&sample.id, &kinds, at(75.0));
        let now = at(75.0);
        // nobody asks for a job that a look asks for
        let looked_for = jobs.to_poll_now.iter().next().cloned().expect("another");
        jobs.asked.insert(looked_for.clone());
        let others = std::iter::from_fn(|| jobs.begin_poll(&kinds, now)).take(20);
        let others: Vec<Job> = others.collect();
        assert!(others.iter().all(|job| job.id != looked_for), "{others:?}");
        assert_eq!(others.len(), 8);
        jobs.asked.remove(&looked_for);
        let others = others.into_iter().chain(jobs.begin_poll(&kinds, now));
        let mut others: Vec<String> = others.map(|job| job.id).collect();
        assert_eq!(others.len(), 9);
        // what is not finished is one of many again
        let left = others.split_off(5);
        others.iter().for_each(|id| jobs.remove(id, &kinds, now));
        left.iter()
            .for_each(|id| jobs.poll_later(id, &kinds, now, Duration::ZERO));
        let kinds = jobs.listed_kinds(at(91.0));
        assert!(jobs.begin_poll(&kinds, at(90.9)).is_none());
        assert!(jobs.begin_poll(&kinds, at(91.0)).is_some());
        assert!(jobs.begin_poll(&kinds, at(91.0)).is_none());
    }

    #[test]
    fn a_look_that_is_under_way_goes_on_to_slow_jobs_when_a_sample_of_them_is_finished() {
        let jobs = (0..40).map(|id| slow(id, 40.0));
        let mut jobs = JobList::new(jobs.chain((50..80).map(|id| job(id, 50.0))).collect());
        let kinds = jobs.listed_kinds(at(60.0));
        let sample = jobs.begin_poll(&kinds, at(60.0)).expect("a sample");
        let (wanted, look) = jobs.begin_look(&kinds, at(60.0)).expect("it is due");
        // it goes back for 30, and may find the others
        assert_eq!((wanted.len(), look.oldest), (69, at(50.0)));
        jobs.remove(&sample.id, &kinds, at(60.3));
        wanted.iter().for_each(|job| {
            jobs.answered(&job.id);
        });
        let partly = Finished {
            next: Some("/api/next".to_owned()),
            ..found(4, None)
        };
        jobs.end_look("create catalog items", partly, 1, at(61.0));
        let (wanted, look) = jobs.begin_look(&kinds, at(61.0)).expect("it goes on");
        assert_eq!((wanted.len(), look.oldest), (69, at(40.0)));
        assert_eq!(look.from.as_deref(), Some("/api/next"));
    }

    #[test]
    fn jobs_that_are_not_slow_are_not_urgent_while_slow_ones_are_left() {
        for (slow_ones, pause) in [(0, 0.25), (10, 9.0)] {
            let recent = (50..80).map(|id| job(id, 50.0));
            let jobs = (0..slow_ones).map(|id| slow(id, 40.0)).chain(recent);
            let mut jobs = JobList::new(jobs.collect());
            jobs.wait_until(Until::End, None, false, at(60.0));
            jobs.note_end(&job(80, 50.0), at(62.0));
            // nothing was found
            end_look(&mut jobs, 1, 0, 62.0);
            let kinds = jobs.listed_kinds(at(62.0));
            let due = jobs.look_due("create catalog items", &kinds, at(62.0));
            let due = due.expect("a look");
            assert_eq!(due, (at(62.0 + pause), Reach::Recent), "{slow_ones}");
        }
    }

    #[test]
    fn a_long_look_is_taken_at_the_end_when_a_sample_is_finished() {
        let jobs = (0..40).map(|id| slow(id, 40.0));
        let mut jobs = JobList::new(jobs.chain((50..80).map(|id| job(id, 50.0))).collect());
        jobs.wait_until(Until::End, None, false, at(60.0));
        end_look(&mut jobs, 13, 1, 60.0);
        let kinds = jobs.listed_kinds(at(60.0));
        let sample = jobs.begin_poll(&kinds, at(66.0)).expect("a sample");
        assert!(sample.slow);
        jobs.remove(&sample.id, &kinds, at(66.0));
        let (wanted, _) = jobs.begin_look(&kinds, at(70.0)).expect("a look");
        assert!(wanted.iter().any(|job| job.slow), "{wanted:?}");
    }

    #[test]
    fn when_the_probe_of_many_is_finished_the_others_are_looked_for_at_once() {
        let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
        let kind = "create catalog items";
        jobs.note_end(&job(40, 0.0), at(12.0));
        jobs.wait_until(Until::End, None, false, at(12.0));
        end_look(&mut jobs, 5, 60, 14.0);
        let kinds = jobs.listed_kinds(at(14.0));
        assert_eq!(kinds.recent.len(), 1);
        let probe = jobs.begin_poll(&kinds, at(14.0)).expect("the probe");
        jobs.note_end(&probe, at(14.2));
        jobs.remove(&probe.id, &kinds, at(14.2));
        let (wanted, _) = jobs.begin_look(&kinds, at(14.2)).expect("a look at once");
        assert_eq!(wanted.len(), 19);
        wanted.iter().for_each(|job| {
            jobs.answered(&job.id);
        });
        // what has not been found then is not looked for all the time
        jobs.end_look(kind, found(1, None), 0, at(14.5));
        assert!(jobs.begin_look(&kinds, at(14.6)).is_none());
    }

    #[test]
    fn a_look_that_goes_on_is_for_the_same_jobs_whatever_became_slow_meanwhile() {
        let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
        let kinds = jobs.listed_kinds(at(5.0));
        jobs.begin_look(&kinds, at(5.0)).expect("it is due");
        (0..20).for_each(|id| {
            jobs.answered(&id.to_string());
        });
        let partly = Finished {
            next: Some("/api/next".to_owned()),
            ..found(4, None)
        };
        jobs.end_look("create catalog items", partly, 1, at(6.0));
        jobs.list.iter_mut().for_each(|job| job.slow = true);
        let (wanted, look) = jobs.begin_look(&kinds, at(6.0)).expect("it goes on");
        assert_eq!((wanted.len(), look.from.is_some()), (20, true));
    }

    #[test]
    fn when_the_probe_of_a_few_is_finished_the_others_are_polled_at_once() {
        let alone = ListedKinds::default();
        let mut jobs = JobList::new((0..3).map(|id| job(id, 0.0)).collect());
        jobs.wait_until(Until::End, None, false, at(0.5));
        let probe = jobs.begin_poll(&alone, at(2.0)).expect("one of them").id;
        jobs.poll_later(&probe, &alone, at(2.0), Duration::ZERO);
        assert_eq!(jobs.begin_poll(&alone, at(9.0)).expect("it").id, probe);
        assert!(jobs.begin_poll(&alone, at(9.0)).is_none());
        jobs.remove(&probe, &alone, at(9.0));
        let others = [(); 2].map(|()| jobs.begin_poll(&alone, at(9.0)).expect("the others"));
        for other in others {
            jobs.poll_later(&other.id, &alone, at(9.0), Duration::ZERO);
        }
        // one of them is the next probe
        assert!(jobs.begin_poll(&alone, at(20.0)).is_some());
        assert!(jobs.begin_poll(&alone, at(20.0)).is_none());
    }

    #[test]
    fn a_look_goes_on_further_back_at_once_and_the_pages_add_up() {
        let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
        let kind = "create catalog items";
        let kinds = jobs.listed_kinds(at(5.0));
        let (wanted, look) = jobs.begin_look(&kinds, at(5.0)).expect("it is due");
        assert_eq!((look.from, jobs.is_look_back(kind)), (None, false));
        wanted.iter().for_each(|job| {
            jobs.answered(&job.id);
        });
        let next = Some("/api/next".to_owned());
        let partly = Finished {
            next: next.clone(),
            ..found(4, None)
        };
        jobs.end_look(kind, partly, 1, at(6.0));
        let (wanted, look) = jobs.begin_look(&kinds, at(6.0)).expect("it goes on");
        assert_eq!((look.from, jobs.is_look_back(kind)), (next, true));
        wanted.iter().for_each(|job| {
            jobs.answered(&job.id);
        });
        jobs.end_look(kind, found(2, None), 1, at(7.0));
        assert_eq!(jobs.next_due(&kinds, at(7.0)), Some(at(7.0 + 6.0 * 1.2)));
    }

    #[test]
    fn what_jobs_take_up_is_counted() {
        let mut jobs = JobList::new(vec![job(1, 0.0)]);
        assert_eq!(jobs.bytes(), job(1, 0.0).stored_bytes());
        jobs.add([job(2, 0.0)]);
        assert_eq!(jobs.of_kind("create catalog items"), 2);
        let alone = ListedKinds::default();
        jobs.remove("1", &alone, at(0.0));
        jobs.remove("2", &alone, at(0.0));
        assert_eq!((jobs.bytes(), jobs.of_kind("create catalog items")), (0, 0));
    }
}
