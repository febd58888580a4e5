//! Klaviyo's jobs that are not known to be finished, and when it is asked for them.
//!
//! Few jobs of a kind are polled one by one. Many are looked for in Klaviyo's list of complete jobs, newest first: one page
//! of it settles many. Jobs overtake each other, so the list is read as far back as the oldest of them: what that costs
//! decides when the next look is taken, and whether it is worthwhile at all.
//!
//! When nothing is left to do but to wait for the last job of all, only one of each kind is polled, the *probe*: before it
//! is finished, nothing changes by knowing of the others. Then the others are asked for, and one of those that are not
//! finished is the next probe. Many are looked for meanwhile as well, if that takes few pages, so that few are left by then.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::job_pace::{self, FIRST_POLL, SHORT_PAUSE, Until};
use crate::klaviyo::job::Look;
use crate::run::import::Finished;
use crate::run::state::Job;
use crate::time::{between, later};

/// The most pages of the list that are read before it is begun with anew.
const MAX_PAGES: u32 = 60;
/// A look that reads so many pages is not taken while a single job is polled to know of the end.
const SHORT_LOOK: u32 = 12;
/// From so many jobs of a kind on they are looked for in the list.
const MANY: usize = 4;
/// A job's poll comes this long before the time that the quickest one of its kind has taken.
const HEAD_START: Duration = Duration::from_millis(500);
/// Jobs that take longer than this are polled one by one whatever their number: a cancelled job is in no list of
/// complete ones. The longest recorded one took 274 s.
const LISTED_FOR: Duration = Duration::from_secs(300);
/// The jobs of a window.
#[derive(Debug, Default)]
pub(super) struct JobList {
    list: Vec<Job>,
    /// Ids of jobs that Klaviyo is being asked for; they are left alone until the result has been handled.
    asked: HashSet<String>,
    /// How long the quickest job of a kind took, as far as this window has seen it.
    quickest: HashMap<String, Duration>,
    /// The latest look for the jobs of a kind.
    looks: HashMap<String, LastLook>,
    /// What is waited for.
    until: Until,
    /// The kind of jobs without whose results others cannot be submitted.
    holding: Option<&'static str>,
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

/// A look for the jobs of a kind.
#[derive(Debug, Clone)]
enum LastLook {
    /// How many pages were read before, if it goes on further back.
    UnderWay(u32),
    /// It goes on with the page at this path; so many were read.
    Partly(String, u32),
    /// When it was over, and how many pages it has read.
    Over(Timestamp, u32),
}

impl JobList {
    pub(super) fn new(list: Vec<Job>) -> Self {
        Self {
            bytes: list.iter().map(Job::stored_bytes).sum(),
            list,
            ..Self::default()
        }
    }

    /// What the jobs take up in the document, about, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The jobs of a kind.
    pub(super) fn of_kind(&self, kind: &str) -> usize {
        self.list.iter().filter(|job| job.kind == kind).count()
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn add(&mut self, jobs: impl IntoIterator<Item = Job>) {
        for mut job in jobs {
            let quickest = self.quickest.get(&job.kind).copied().unwrap_or_default();
            let first = quickest.saturating_sub(HEAD_START).max(FIRST_POLL);
            job.due = later(job.since, first).max(job.due);
            self.bytes += job.stored_bytes();
            self.list.push(job);
        }
    }

    /// What is waited for from now on, and the kind of jobs that hold others up, if there is one.
    pub(super) fn wait_until(
        &mut self,
        until: Until,
        holding: Option<&'static str>,
        now: Timestamp,
    ) {
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

    pub(super) fn remove(&mut self, id: &str) {
        self.asked.remove(id);
        if let Some(index) = self.list.iter().position(|job| job.id == id) {
            let removed = self.list.remove(index);
            self.bytes -= removed.stored_bytes();
            self.forget_probe(&removed);
        }
    }

    /// The kinds of jobs that are looked for in the list, if the import can do that.
    pub(super) fn listed_kinds(&self, now: Timestamp) -> HashSet<String> {
        if self.has_no_list {
            return HashSet::new();
        }
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        for job in self.list.iter().filter(|job| is_listed(job, now)) {
            *numbers.entry(&job.kind).or_default() += 1;
        }
        // a look that reads more pages than there are jobs is worth less than polling them
        let many = numbers.into_iter().filter(|&(kind, jobs)| {
            let pages = match self.looks.get(kind) {
                Some(&LastLook::Over(_, pages)) => pages as usize,
                Some(LastLook::UnderWay(_) | LastLook::Partly(..)) | None => 0,
            };
            jobs >= MANY.max(pages)
        });
        many.map(|(kind, _)| kind.to_owned()).collect()
    }

    /// The probe of a kind, while only its end is waited for: the latest job, as long as Klaviyo has not been asked.
    fn probe(&self, kind: &str) -> Option<&str> {
        if self.until != Until::End || self.holding == Some(kind) {
            return None;
        }
        match self.probes.get(kind) {
            Some(probe) => probe.as_deref(),
            None => self.latest(kind),
        }
    }

    fn latest(&self, kind: &str) -> Option<&str> {
        let jobs = self.list.iter().filter(|job| job.kind == kind);
        let latest = jobs.max_by_key(|job| job.since);
        latest.map(|job| job.id.as_str())
    }

    /// This job is finished. Where it was the probe of its kind, the others are asked for now.
    fn forget_probe(&mut self, removed: &Job) {
        let is_asked_for = self.until == Until::End;
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
            return;
        }
        self.probes.insert(removed.kind.clone(), None);
        let others = self.list.iter_mut().filter(|job| job.kind == removed.kind);
        for other in others.filter(|_| is_asked_for) {
            other.due = other.since;
        }
    }

    /// The jobs of one of these kinds whose look is due; they count as being asked for from now on.
    pub(super) fn begin_look(
        &mut self,
        kinds: &HashSet<String>,
        now: Timestamp,
    ) -> Option<(Vec<Job>, Look)> {
        let kind = kinds
            .iter()
            .find(|kind| self.look_due(kind, now).is_some_and(|due| due <= now))?;
        let jobs = self.to_look_for(kind, now).cloned().collect::<Vec<_>>();
        let oldest = jobs.iter().map(|job| job.since).min()?;
        self.asked.extend(jobs.iter().map(|job| job.id.clone()));
        let (from, pages) = match self.looks.remove(kind) {
            Some(LastLook::Partly(path, pages)) => (Some(path), pages),
            _ => (None, 0),
        };
        self.looks.insert(kind.clone(), LastLook::UnderWay(pages));
        let look = Look {
            oldest,
            clock_ahead: self.clock_ahead,
            from,
        };
        Some((jobs, look))
    }

    /// Whether the look that is under way goes on with a page further back.
    pub(super) fn is_look_back(&self, kind: &str) -> bool {
        matches!(self.looks.get(kind), Some(LastLook::UnderWay(1..)))
    }

    /// A look for jobs of this kind has found what it says; the jobs among it have been dealt with.
    pub(super) fn end_look(&mut self, kind: &str, found: Finished, now: Timestamp) {
        let earlier = match self.looks.get(kind) {
            Some(&LastLook::UnderWay(pages)) => pages,
            _ => 0,
        };
        self.clock_ahead = self.clock_ahead.max(found.clock_ahead);
        let pages = earlier + found.pages;
        let look = match found.next {
            Some(path) if pages < MAX_PAGES => LastLook::Partly(path, pages),
            _ => LastLook::Over(now, pages),
        };
        if matches!(look, LastLook::Over(..)) {
            let latest = self.latest(kind).map(str::to_owned);
            self.probes.insert(kind.to_owned(), latest);
        }
        self.looks.insert(kind.to_owned(), look);
    }

    /// The list of finished jobs could not be read: where that does not pass, all jobs are polled from now on.
    pub(super) fn cannot_look(&mut self, may_pass: bool) {
        self.has_no_list |= !may_pass;
    }

    /// A job whose poll is due, unless it is of one of the kinds that are looked for; it counts as being asked for from
    /// now on.
    pub(super) fn begin_poll(
        &mut self,
        looked_for: &HashSet<String>,
        now: Timestamp,
    ) -> Option<Job> {
        let job = self.to_poll(looked_for, now).find(|job| job.due <= now)?;
        let job = job.clone();
        self.asked.insert(job.id.clone());
        Some(job)
    }

    /// The job is not finished: it is polled again after a pause that depends on how many are polled and how long it has
    /// taken so far, and not before `least`.
    pub(super) fn poll_later(&mut self, id: &str, now: Timestamp, least: Duration) {
        let jobs = self.list.len();
        if let Some(job) = self.list.iter().find(|job| job.id == id)
            && let Some(probe @ None) = self.probes.get_mut(&job.kind)
        {
            *probe = Some(id.to_owned());
        }
        let until = self.until;
        let is_probe = |job: &Job| until == Until::End && self.probe(&job.kind) == Some(&job.id);
        let is_probe = self.list.iter().any(|job| job.id == id && is_probe(job));
        if let Some(job) = self.answered(id) {
            job.asked += 1;
            let pause = job_pace::after_poll(between(job.since, now), jobs, is_probe);
            job.due = later(now, pause.max(least));
        }
    }

    /// When Klaviyo is to be asked next for a job; `None` if it is being asked for each.
    pub(super) fn next_due(
        &self,
        looked_for: &HashSet<String>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let looks = looked_for
            .iter()
            .filter_map(|kind| self.look_due(kind, now));
        let polls = self.to_poll(looked_for, now).map(|job| job.due);
        looks.chain(polls).min()
    }

    /// When the jobs of this kind are to be looked for; `None` if there are none to look for now.
    fn look_due(&self, kind: &str, now: Timestamp) -> Option<Timestamp> {
        let first = self.to_look_for(kind, now).map(|job| job.due).min()?;
        match self.looks.get(kind) {
            None | Some(LastLook::Partly(..)) => Some(first),
            Some(LastLook::UnderWay(_)) => None,
            // a long look would keep the probe from being polled
            Some(&LastLook::Over(_, SHORT_LOOK..)) if self.probe(kind).is_some() => None,
            Some(&LastLook::Over(at, pages)) => {
                let holds_others_up = self.holding == Some(kind);
                let is_end_known = self.until == Until::End && self.probe(kind).is_none();
                let pause = match is_end_known && !holds_others_up {
                    // the probe is finished, and so are the others, as far as can be expected
                    true => SHORT_PAUSE,
                    false => {
                        let youngest = self.to_look_for(kind, now).map(|job| job.since).max();
                        let youngest = youngest.map_or(Duration::ZERO, |since| between(since, now));
                        job_pace::after_look(pages, self.until, holds_others_up, youngest)
                    }
                };
                Some(first.max(later(at, pause)))
            }
        }
    }

    fn to_look_for(&self, kind: &str, now: Timestamp) -> impl Iterator<Item = &Job> {
        let jobs = self.list.iter().filter(move |job| job.kind == kind);
        jobs.filter(move |job| is_listed(job, now) && !self.asked.contains(&job.id))
    }

    fn to_poll(&self, looked_for: &HashSet<String>, now: Timestamp) -> impl Iterator<Item = &Job> {
        // found once for each kind, not for each job: finding one can mean to go through all of them
        let mut probes: HashMap<&str, Option<&str>> = HashMap::new();
        for job in &self.list {
            let probe = || self.probe(&job.kind);
            probes.entry(&job.kind).or_insert_with(probe);
        }
        let jobs = self.list.iter();
        let jobs = jobs.filter(move |job| match probes[job.kind.as_str()] {
            // the errors of a finished job are read whatever is waited for
            Some(probe) => job.id == probe || job.errors_at.is_some(),
            None => !(looked_for.contains(&job.kind) && is_listed(job, now)),
        });
        jobs.filter(|job| !self.asked.contains(&job.id))
    }

    /// The jobs for the cursor. The next window asks again for a job that is being asked for now.
    pub(super) fn for_cursor(&self, now: Timestamp) -> Vec<Job> {
        let jobs = self.list.iter().map(|job| Job {
            due: match self.asked.contains(&job.id) {
                true => now,
                false => job.due,
            },
            ..job.clone()
        });
        jobs.collect()
    }
}

/// Whether the list of complete jobs will have this one, if it goes as it usually does.
fn is_listed(job: &Job, now: Timestamp) -> bool {
    between(job.since, now) < LISTED_FOR
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

    /// The moments at which a job is polled that takes this long, if no job is looked for.
    fn polls(jobs: &mut JobList, until: f64) -> Vec<f64> {
        let alone = HashSet::new();
        let mut polls = Vec::new();
        let mut now = 2.0;
        while now < until {
            assert!(jobs.begin_poll(&alone, at(now)).is_some(), "{now}");
            polls.push(now);
            jobs.poll_later("1", at(now), Duration::ZERO);
            let due = jobs.next_due(&alone, at(now)).expect("it is due");
            now = between(Timestamp::UNIX_EPOCH, due).as_secs_f64();
        }
        polls
    }

    #[test]
    fn few_jobs_are_polled_often_until_they_take_unusually_long() {
        let mut jobs = JobList::new(vec![job(1, 0.0)]);
        assert!(jobs.listed_kinds(at(2.0)).is_empty());
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
        let alone = HashSet::new();
        let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
        let first = jobs.begin_poll(&alone, at(12.0)).expect("it is due");
        jobs.note_end(&first, at(12.0));
        jobs.remove(&first.id);
        jobs.add([job(30, 12.0)]);
        let due = jobs.for_cursor(at(12.0)).pop().expect("the last one").due;
        assert_eq!(due, at(12.0 + 11.5));
        let next = jobs.begin_poll(&alone, at(12.0));
        assert!(next.is_some_and(|job| job.id == "1"));
        jobs.poll_later("1", at(12.0), Duration::ZERO);
        let again = jobs.for_cursor(at(12.0));
        assert_eq!(again[0].due, at(12.0 + 20.0 * 0.11));
    }

    #[test]
    fn many_jobs_of_a_kind_are_looked_for_at_once_and_as_often_as_that_pays() {
        let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
        let kinds = jobs.listed_kinds(at(2.0));
        assert_eq!(kinds.len(), 1);
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
        for (pages, until, holding, pause) in [
            (1, Until::Working, None, 1.5),
            (10, Until::Working, None, 12.0),
            (10, Until::Room, None, 6.0),
            (10, Until::Working, Some(kind), 3.0),
            (10, Until::Working, Some("another"), 12.0),
            (60, Until::Working, None, 30.0),
        ] {
            jobs.end_look(kind, found(pages, ahead), at(5.0));
            jobs.wait_until(until, holding, at(5.0));
            assert_eq!(jobs.next_due(&kinds, at(5.0)), Some(at(5.0 + pause)));
        }
        let (_, look) = jobs.begin_look(&kinds, at(35.0)).expect("it is due");
        assert_eq!(look.clock_ahead, ahead);
    }

    #[test]
    fn a_job_that_takes_unusually_long_is_polled_as_a_cancelled_one_is_in_no_list() {
        let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
        let kinds = jobs.listed_kinds(at(301.0));
        assert!(kinds.is_empty());
        assert!(jobs.begin_poll(&kinds, at(301.0)).is_some());
        // nor are jobs looked for where there is no list
        let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
        jobs.cannot_look(true);
        assert!(!jobs.listed_kinds(at(2.0)).is_empty());
        jobs.cannot_look(false);
        assert!(jobs.listed_kinds(at(2.0)).is_empty());
    }

    #[test]
    fn a_look_that_reads_more_pages_than_there_are_jobs_is_worth_less_than_polls() {
        let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
        let kind = "create catalog items";
        jobs.end_look(kind, found(20, None), at(5.0));
        assert_eq!(jobs.listed_kinds(at(5.0)).len(), 1);
        jobs.end_look(kind, found(21, None), at(5.0));
        assert!(jobs.listed_kinds(at(5.0)).is_empty());
    }

    #[test]
    fn while_only_the_end_is_waited_for_one_job_of_a_kind_is_polled_and_then_the_others() {
        let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
        let kind = "create catalog items";
        jobs.add([job(30, 4.0)]);
        jobs.wait_until(Until::End, None, at(4.0));
        let kinds = jobs.listed_kinds(at(6.0));
        // the latest one is the probe: no other is polled, but they are looked for
        let (wanted, _) = jobs.begin_look(&kinds, at(6.0)).expect("a first look");
        wanted.iter().for_each(|job| {
            jobs.answered(&job.id);
        });
        jobs.end_look(kind, found(10, None), at(6.0));
        let probe = jobs.begin_poll(&kinds, at(9.0)).expect("the probe");
        assert_eq!(probe.id, "30");
        assert!(jobs.begin_poll(&kinds, at(9.0)).is_none());
        jobs.poll_later("30", at(9.0), Duration::ZERO);
        assert_eq!(jobs.next_due(&kinds, at(9.0)), Some(at(10.5)));
        assert!(jobs.begin_look(&kinds, at(11.9)).is_none());
        // it is finished: the others are looked for sooner
        jobs.remove("30");
        let (wanted, _) = jobs.begin_look(&kinds, at(7.5)).expect("a look");
        assert_eq!(wanted.len(), 20);
    }

    #[test]
    fn jobs_that_hold_others_up_are_looked_for_whatever_else_is_over_but_slow_ones_less_often() {
        let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
        let kind = "create catalog items";
        jobs.end_look(kind, found(10, None), at(11.0));
        let kinds = jobs.listed_kinds(at(11.0));
        jobs.wait_until(Until::End, Some(kind), at(11.0));
        assert_eq!(jobs.next_due(&kinds, at(11.0)), Some(at(14.0)));
        jobs.end_look(kind, found(10, None), at(160.0));
        assert_eq!(jobs.next_due(&kinds, at(160.0)), Some(at(170.0)));
    }

    #[test]
    fn when_the_probe_of_a_few_is_finished_the_others_are_polled_at_once() {
        let alone = HashSet::new();
        let mut jobs = JobList::new((0..3).map(|id| job(id, 0.0)).collect());
        jobs.wait_until(Until::End, None, at(0.5));
        let probe = jobs.begin_poll(&alone, at(2.0)).expect("one of them").id;
        jobs.poll_later(&probe, at(2.0), Duration::ZERO);
        assert_eq!(jobs.begin_poll(&alone, at(9.0)).expect("it").id, probe);
        assert!(jobs.begin_poll(&alone, at(9.0)).is_none());
        jobs.remove(&probe);
        let others = [(); 2].map(|()| jobs.begin_poll(&alone, at(9.0)).expect("the others"));
        for other in others {
            jobs.poll_later(&other.id, at(9.0), Duration::ZERO);
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
        jobs.end_look(kind, partly, at(6.0));
        let (wanted, look) = jobs.begin_look(&kinds, at(6.0)).expect("it goes on");
        assert_eq!((look.from, jobs.is_look_back(kind)), (next, true));
        wanted.iter().for_each(|job| {
            jobs.answered(&job.id);
        });
        jobs.end_look(kind, found(2, None), at(7.0));
        assert_eq!(jobs.next_due(&kinds, at(7.0)), Some(at(7.0 + 6.0 * 1.2)));
    }

    #[test]
    fn what_jobs_take_up_is_counted() {
        let mut jobs = JobList::new(vec![job(1, 0.0)]);
        assert_eq!(jobs.bytes(), job(1, 0.0).stored_bytes());
        jobs.add([job(2, 0.0)]);
        assert_eq!(jobs.of_kind("create catalog items"), 2);
        jobs.remove("1");
        jobs.remove("2");
        assert_eq!((jobs.bytes(), jobs.of_kind("create catalog items")), (0, 0));
    }
}
