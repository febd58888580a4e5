//! Klaviyo's jobs that are not known to be finished, and when it is asked for them.
//!
//! Few jobs of a kind are polled one by one. Many are looked for in Klaviyo's list of complete jobs, newest first: one page
//! of it settles many. Jobs overtake each other, so the list is read as far back as the oldest of them: what that costs
//! decides when the next look is taken.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::klaviyo::job::Look;
use crate::run::state::Job;
use crate::time::{between, later};

/// When Klaviyo is asked for a job for the first time, at the earliest.
pub(super) const FIRST_POLL: Duration = Duration::from_secs(2);
/// The shortest pause between two questions for the same jobs: an import ends that soon after its last job.
const SHORT_PAUSE: Duration = Duration::from_millis(1_500);
/// From so many jobs of a kind on they are looked for in the list.
const MANY: usize = 4;
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
/// A job's poll comes this long before the time that the quickest one of its kind has taken.
const HEAD_START: Duration = Duration::from_millis(500);
/// Jobs that take longer than this are polled one by one whatever their number: a cancelled job is in no list of
/// complete ones. The longest recorded one took 274 s.
const LISTED_FOR: Duration = Duration::from_secs(300);
/// The pause after a look for each page that it read. Klaviyo takes 12.5 jobs of a kind a second: so long a pause fills
/// a page of ten of them, and those of its neighbours.
const PAUSE_PER_PAGE: Duration = Duration::from_millis(1_200);
/// The same while nothing more can be sent until a job is finished.
const URGENT_PAUSE_PER_PAGE: Duration = Duration::from_millis(600);
/// By how much our clock may be ahead of Klaviyo's, as long as nothing is known of it.
const UNKNOWN_CLOCK: Duration = Duration::from_secs(60);
/// By how much that may vary from job to job.
const CLOCK_MARGIN: Duration = Duration::from_secs(3);
/// The jobs of a window.
#[derive(Debug, Default)]
pub(super) struct JobList {
    list: Vec<Job>,
    /// Ids of jobs that Klaviyo is being asked for; they are left alone until the result has been handled.
    asked: HashSet<String>,
    /// How long the quickest job of a kind took, as far as this window has seen it.
    quickest: HashMap<String, Duration>,
    /// When the jobs of a kind may be looked for again; absent if they never were.
    next_look: HashMap<String, Timestamp>,
    /// By how much our clock is ahead of Klaviyo's, as far as jobs have shown it.
    clock_ahead: Option<Duration>,
    /// Whether Klaviyo does not answer with a list of jobs.
    has_no_list: bool,
    /// What the jobs take up in the document, about, in bytes.
    bytes: usize,
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
            self.bytes -= self.list.remove(index).stored_bytes();
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
        let many = numbers.into_iter().filter(|&(_, jobs)| jobs >= MANY);
        many.map(|(kind, _)| kind.to_owned()).collect()
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
        // until the look is over
        self.next_look.insert(kind.clone(), Timestamp::MAX);
        let clock_ahead = self
            .clock_ahead
            .map_or(UNKNOWN_CLOCK, |ahead| ahead + CLOCK_MARGIN);
        Some((
            jobs,
            Look {
                oldest,
                clock_ahead,
            },
        ))
    }

    /// A look for jobs of this kind is over. It has read so many pages; `is_urgent` if nothing can be sent before a job
    /// is finished.
    pub(super) fn end_look(
        &mut self,
        kind: &str,
        pages: u32,
        clock_ahead: Option<Duration>,
        is_urgent: bool,
        now: Timestamp,
    ) {
        let page = if is_urgent {
            URGENT_PAUSE_PER_PAGE
        } else {
            PAUSE_PER_PAGE
        };
        let pause = (page * pages).clamp(SHORT_PAUSE, LONGEST_PAUSE);
        self.next_look.insert(kind.to_owned(), later(now, pause));
        self.clock_ahead = self.clock_ahead.max(clock_ahead);
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
        let usual = match self.list.len() {
            0..=FEW => SHORT_PAUSE,
            jobs => SHORT_PAUSE.max(PAUSE_PER_JOB * u32::try_from(jobs).unwrap_or(u32::MAX)),
        };
        if let Some(job) = self.answered(id) {
            job.asked += 1;
            let age = between(job.since, now);
            let pause = match age {
                age if age < USUAL => usual,
                age => (age / 8).min(LONGEST_PAUSE).max(usual),
            };
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
        Some(
            self.next_look
                .get(kind)
                .map_or(first, |next| first.max(*next)),
        )
    }

    fn to_look_for(&self, kind: &str, now: Timestamp) -> impl Iterator<Item = &Job> {
        let jobs = self.list.iter().filter(move |job| job.kind == kind);
        jobs.filter(move |job| is_listed(job, now) && !self.asked.contains(&job.id))
    }

    fn to_poll(&self, looked_for: &HashSet<String>, now: Timestamp) -> impl Iterator<Item = &Job> {
        let jobs = self.list.iter();
        let jobs = jobs.filter(move |job| !(looked_for.contains(&job.kind) && is_listed(job, now)));
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
        assert_eq!(look.clock_ahead, UNKNOWN_CLOCK);
        jobs.add([job(30, 2.0)]);
        assert!(jobs.begin_look(&kinds, at(5.0)).is_none(), "one at a time");
        for wanted in &wanted {
            jobs.answered(&wanted.id);
        }
        let ahead = Some(Duration::from_secs(1));
        for (pages, is_urgent, pause) in [
            (1, false, 1.5),
            (10, false, 12.0),
            (10, true, 6.0),
            (60, false, 30.0),
        ] {
            jobs.end_look(&wanted[0].kind, pages, ahead, is_urgent, at(5.0));
            assert_eq!(jobs.next_due(&kinds, at(5.0)), Some(at(5.0 + pause)));
        }
        let (_, look) = jobs.begin_look(&kinds, at(35.0)).expect("it is due");
        assert_eq!(look.clock_ahead, Duration::from_secs(4));
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
