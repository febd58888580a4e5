//! Klaviyo's jobs that are not known to be finished, and which of them are being polled.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::run::state::{EntryName, Job};
use crate::time::{between, later};

/// When a job is polled for the first time, at the earliest.
pub(super) const FIRST_POLL: Duration = Duration::from_secs(2);
/// The pause between two polls of a job while there are few of them: an import ends that soon after its last job.
const SHORT_PAUSE: Duration = Duration::from_millis(1_500);
/// With more jobs under way than this, each is polled less often.
const FEW: usize = 10;
/// While there are many, the pause between two polls of a job is this for each of them: so many polls a minute leave
/// room for the first poll of new jobs within the 750 a minute that Klaviyo allows.
const PAUSE_PER_JOB: Duration = Duration::from_millis(110);
/// Most jobs were recorded to take from 7 to 33 s, and others minutes: those that take longer than this are polled less
/// and less often.
const USUAL: Duration = Duration::from_secs(40);
/// The longest pause between two polls of a job.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A job's poll comes this long before the time that the quickest one of its kind has taken.
const HEAD_START: Duration = Duration::from_millis(500);
/// What a job takes up in the document beside the names of its entries, about, in bytes.
const JOB_BYTES: usize = 300;

/// The jobs of a window.
#[derive(Debug, Default)]
pub(super) struct JobList {
    list: Vec<Job>,
    /// Ids of jobs that are being polled; they are not polled again until the result has been handled.
    polled: HashSet<String>,
    /// How long the quickest job of a kind took, as far as this window has seen it.
    quickest: HashMap<String, Duration>,
    /// What the jobs take up in the document, about, in bytes.
    bytes: usize,
}

impl JobList {
    pub(super) fn new(list: Vec<Job>) -> Self {
        Self {
            bytes: list.iter().map(stored_bytes).sum(),
            list,
            polled: HashSet::new(),
            quickest: HashMap::new(),
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
            self.bytes += stored_bytes(&job);
            self.list.push(job);
        }
    }

    /// A job has turned out to be finished.
    pub(super) fn note_end(&mut self, job: &Job, now: Timestamp) {
        let took = between(job.since, now);
        let quickest = self.quickest.entry(job.kind.clone()).or_insert(took);
        *quickest = took.min(*quickest);
    }

    /// The job with this id, which may be polled again from now on.
    pub(super) fn answered(&mut self, id: &str) -> Option<&mut Job> {
        self.polled.remove(id);
        self.list.iter_mut().find(|job| job.id == id)
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.polled.remove(id);
        self.list.retain(|job| job.id != id);
        self.bytes = self.list.iter().map(stored_bytes).sum();
    }

    /// A job whose poll is due; it counts as being polled from now on.
    pub(super) fn begin_poll(&mut self, now: Timestamp) -> Option<Job> {
        let job = self
            .list
            .iter()
            .find(|job| job.due <= now && !self.polled.contains(&job.id))?;
        self.polled.insert(job.id.clone());
        Some(job.clone())
    }

    /// The job is not finished: it is polled again after a pause that depends on how many there are and how long it has
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

    /// When the next job is to be polled; `None` if each is being polled.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.list
            .iter()
            .filter(|job| !self.polled.contains(&job.id))
            .map(|job| job.due)
            .min()
    }

    /// The jobs for the cursor. The next window polls a job again that is being polled now.
    pub(super) fn for_cursor(&self, now: Timestamp) -> Vec<Job> {
        let jobs = self.list.iter().map(|job| Job {
            due: match self.polled.contains(&job.id) {
                true => now,
                false => job.due,
            },
            ..job.clone()
        });
        jobs.collect()
    }
}

/// What a job takes up in the document, about, in bytes: names leave out an id that is that of the name before.
fn stored_bytes(job: &Job) -> usize {
    let mut last = "";
    let names = job.entries.iter().map(|name| {
        let EntryName { id, part } = EntryName::read(name);
        let is_repeated = id == last;
        last = id;
        let id = if is_repeated { 0 } else { id.len() };
        id + part.map_or(0, str::len) + r#""/","#.len()
    });
    JOB_BYTES + names.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::state::Counts;

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
            attempt: 0,
        }
    }

    #[test]
    fn few_jobs_are_polled_often_until_they_take_unusually_long() {
        let mut jobs = JobList::new(vec![job(1, 0.0)]);
        let mut polls = Vec::new();
        let mut now = 2.0;
        while now < 300.0 {
            assert!(jobs.begin_poll(at(now)).is_some(), "{now}");
            polls.push(now);
            jobs.poll_later("1", at(now), Duration::ZERO);
            now = between(Timestamp::UNIX_EPOCH, jobs.next_due().expect("it is due")).as_secs_f64();
        }
        let pauses = polls.windows(2).map(|pair| pair[1] - pair[0]);
        for (pause, at) in pauses.zip(&polls) {
            let most = if *at < 40.0 { 1.5 } else { 30.0 };
            assert!(pause <= most + 0.01, "{pause} at {at}");
        }
        assert!(polls.len() < 45, "{} polls", polls.len());
    }

    #[test]
    fn a_job_of_many_is_not_polled_before_others_of_its_kind_were_over() {
        let mut jobs = JobList::new((0..20).map(|id| job(id, 0.0)).collect());
        let first = jobs.begin_poll(at(12.0)).expect("it is due");
        jobs.note_end(&first, at(12.0));
        jobs.remove(&first.id);
        jobs.add([job(30, 12.0)]);
        let due = jobs.for_cursor(at(12.0)).pop().expect("the last one").due;
        assert_eq!(due, at(12.0 + 11.5));
        assert!(jobs.begin_poll(at(12.0)).is_some_and(|job| job.id == "1"));
        jobs.poll_later("1", at(12.0), Duration::ZERO);
        let again = jobs.for_cursor(at(12.0));
        assert_eq!(again[0].due, at(12.0 + 20.0 * 0.11));
    }

    #[test]
    fn what_jobs_take_up_is_counted() {
        let mut jobs = JobList::new(vec![job(1, 0.0)]);
        assert_eq!(jobs.bytes(), JOB_BYTES + 2 * 4 + 1 + 1 + 2);
        jobs.add([job(2, 0.0)]);
        assert_eq!(jobs.of_kind("create catalog items"), 2);
        jobs.remove("1");
        jobs.remove("2");
        assert_eq!((jobs.bytes(), jobs.of_kind("create catalog items")), (0, 0));
    }
}
