//! How the jobs of a cursor are stored.
//!
//! Jobs whose entries are known by their digests, of which there may be 500 of a kind, are stored in groups of one kind:
//! `{"kind": ..., "since": ..., "jobs": [[id, seconds since then, digests, span, ...], ...]}`. The others are stored with
//! all their members. Earlier versions stored each with digests as a list of its own; these are read, too.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::counts::Counts;
use super::digests::Digests;
use super::entry_name;
use super::id_range::IdRange;
use super::id_span::IdSpan;
use super::job::Job;
use crate::time::{between, later};

/// What a job takes up beside the names of its entries, about, in bytes.
const FULL_BYTES: usize = 300;
/// What a job of a group takes up beside id, digests and spans: brackets, commas, quotes and the seconds.
const SHORT_BYTES: usize = 10;

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    /// By earlier versions: kind, id, time of submission, digests, spans.
    List(String, String, Timestamp, Digests, Vec<IdSpan>),
    Group(Group),
    Full(Box<Job>),
}

/// Jobs of one kind that are known by their digests, either all of them slow or none.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Group {
    kind: String,
    /// When the first of them was submitted.
    since: Timestamp,
    /// When Klaviyo is to be asked for them next; absent where that is not put off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<Timestamp>,
    /// Whether they are slow; absent where they are not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    slow: bool,
    jobs: Vec<Short>,
}

/// A job of a group.
struct Short {
    id: String,
    /// The seconds from the group's first job to this one.
    seconds: u32,
    digests: Digests,
    spans: Vec<IdSpan>,
}

/// The job of these digests, as it is when nothing but that is known of it.
fn known_by_digests(
    kind: String,
    id: String,
    since: Timestamp,
    digests: Digests,
    spans: Vec<IdSpan>,
) -> Job {
    Job {
        id,
        kind,
        since,
        due: since,
        asked: 0,
        slow: false,
        errors_at: None,
        errors_read: 0,
        spans: spans.into_iter().map(IdRange::from).collect(),
        counts: Counts::of_entries(digests.len() as u64),
        entries: Vec::new(),
        digests,
        attempt: 0,
    }
}

impl Group {
    fn of(kind: &str, jobs: &[&Job]) -> Self {
        let first = jobs.iter().map(|job| job.since).min().unwrap_or_default();
        // fractions of a second take up room and change nothing
        let due = jobs.iter().map(|job| job.due).min();
        let due = due.filter(|&due| due > first);
        let first = Timestamp::from_second(first.as_second()).unwrap_or(first);
        let short = |job: &&Job| Short {
            id: job.id.clone(),
            seconds: u32::try_from(between(first, job.since).as_secs()).unwrap_or(u32::MAX),
            digests: job.digests.clone(),
            spans: job.spans.iter().filter_map(IdSpan::of).collect(),
        };
        Self {
            kind: kind.to_owned(),
            since: first,
            due,
            slow: jobs.iter().any(|job| job.slow),
            jobs: jobs.iter().map(short).collect(),
        }
    }

    fn into_jobs(self) -> impl Iterator<Item = Job> {
        let Self {
            kind,
            since,
            due,
            slow,
            jobs,
        } = self;
        jobs.into_iter().map(move |short| {
            let since = later(since, Duration::from_secs(u64::from(short.seconds)));
            let job = known_by_digests(kind.clone(), short.id, since, short.digests, short.spans);
            Job {
                due: due.map_or(since, |due| due.max(since)),
                slow,
                ..job
            }
        })
    }
}

impl Serialize for Short {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(3 + self.spans.len()))?;
        list.serialize_element(&self.id)?;
        list.serialize_element(&self.seconds)?;
        list.serialize_element(&self.digests)?;
        for span in &self.spans {
            list.serialize_element(span)?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for Short {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ShortVisitor)
    }
}

struct ShortVisitor;

impl<'de> Visitor<'de> for ShortVisitor {
    type Value = Short;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a job's id, seconds, digests and spans")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Short, A::Error> {
        let missing = |index| A::Error::invalid_length(index, &self);
        let id = list.next_element()?.ok_or_else(|| missing(0))?;
        let seconds = list.next_element()?.ok_or_else(|| missing(1))?;
        let digests = list.next_element()?.ok_or_else(|| missing(2))?;
        let mut spans = Vec::new();
        while let Some(span) = list.next_element()? {
            spans.push(span);
        }
        Ok(Short {
            id,
            seconds,
            digests,
            spans,
        })
    }
}

impl Job {
    /// What it takes up in a document, about, in bytes.
    #[must_use]
    pub fn stored_bytes(&self) -> usize {
        if !self.digests.is_empty() {
            return SHORT_BYTES
                + self.id.len()
                + self.digests.stored_bytes()
                + IdSpan::STORED_BYTES * self.spans.len();
        }
        FULL_BYTES + entry_name::stored_bytes(&self.entries)
    }
}

/// Writes the jobs of a cursor.
pub(super) fn serialize<S: Serializer>(jobs: &[Job], serializer: S) -> Result<S::Ok, S::Error> {
    let mut groups: BTreeMap<(&str, bool), Vec<&Job>> = BTreeMap::new();
    for job in jobs.iter().filter(|job| !job.digests.is_empty()) {
        let group = groups.entry((&job.kind, job.slow));
        group.or_default().push(job);
    }
    let full = jobs.iter().filter(|job| job.digests.is_empty());
    let full = full.map(|job| Stored::Full(Box::new(job.clone())));
    let groups = groups.iter();
    let groups = groups.map(|((kind, _), jobs)| Stored::Group(Group::of(kind, jobs)));
    serializer.collect_seq(full.chain(groups))
}

/// Reads what [`serialize`] has written, and what earlier versions have.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Job>, D::Error> {
    let stored: Vec<Stored> = Vec::deserialize(deserializer)?;
    let mut jobs = Vec::new();
    for stored in stored {
        match stored {
            Stored::List(kind, id, since, digests, spans) => {
                jobs.push(known_by_digests(kind, id, since, digests, spans));
            }
            Stored::Group(group) => jobs.extend(group.into_jobs()),
            Stored::Full(job) => jobs.push(*job),
        }
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct List(#[serde(with = "super")] Vec<Job>);

    /// The job with this number of 100 entries in one span, a tenth of a second after the one before it.
    fn job(kind: &str, number: u64) -> Job {
        let id = |entry: u64| {
            let random = (number * 100 + entry).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            format!("{:08x}-0000-4000-8000-{entry:012x}", random >> 32)
        };
        let ids: Vec<String> = (0..100).map(id).collect();
        let span = IdRange {
            from: ids.iter().min().cloned(),
            through: ids.iter().max().cloned(),
            ..IdRange::default()
        };
        let since = later(Timestamp::UNIX_EPOCH, Duration::from_millis(100 * number));
        Job {
            spans: vec![span],
            ..known_by_digests(
                kind.to_owned(),
                format!("01M1PAFK9D5VMD7ZSSXT7{number:05}"),
                since,
                Digests::of(ids.iter().map(String::as_str)),
                Vec::new(),
            )
        }
    }

    fn with_whole_seconds(mut job: Job) -> Job {
        job.since = Timestamp::from_second(job.since.as_second()).unwrap();
        job.due = job.since;
        job
    }

    #[test]
    fn five_hundred_jobs_of_a_hundred_entries_take_up_some_200_kilobytes() {
        let jobs: Vec<Job> = (0..500)
            .map(|number| job("create catalog variants", number))
            .collect();
        let text = serde_json::to_string(&List(jobs.clone())).unwrap();
        let known: usize = jobs.iter().map(Job::stored_bytes).sum();
        assert!(text.len() < 206_000, "{}", text.len());
        assert!(known >= text.len() - 200, "{known} {}", text.len());
        assert!(
            known < text.len() + text.len() / 50,
            "{known} {}",
            text.len()
        );
        let again = serde_json::from_str::<List>(&text).unwrap().0;
        let expected: Vec<Job> = jobs.into_iter().map(with_whole_seconds).collect();
        assert_eq!(again, expected);
    }

    #[test]
    fn jobs_of_several_kinds_keep_their_order_within_each() {
        let jobs =
            [("b", 30), ("a", 10), ("b", 20), ("a", 40)].map(|(kind, number)| job(kind, number));
        let mut named = job("b", 50);
        named.digests = Digests::default();
        named.entries = vec!["p/1".to_owned(), "p/2".to_owned()];
        let all = jobs.iter().chain([&named]).cloned().collect();
        let text = serde_json::to_string(&List(all)).unwrap();
        let again = serde_json::from_str::<List>(&text).unwrap().0;
        let [b30, a10, b20, a40] = jobs.map(with_whole_seconds);
        assert_eq!(again, [named, a10, a40, b30, b20]);
    }

    #[test]
    fn what_is_no_job_is_refused() {
        let group = |jobs: &str| {
            format!(r#"[{{"kind":"a","since":"2026-07-15T00:00:00Z","jobs":{jobs}}}]"#)
        };
        assert!(serde_json::from_str::<List>(&group(r#"[["1",4294967295,".xw"]]"#)).is_ok());
        for wrong in [
            r#"[["1",-1,".xw"]]"#,
            r#"[["1",1]]"#,
            r#"[["1",1,".xw","x"]]"#,
            "7",
        ] {
            assert!(
                serde_json::from_str::<List>(&group(wrong)).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn slow_jobs_and_the_others_keep_when_klaviyo_is_asked_for_them() {
        let due = |seconds| later(Timestamp::UNIX_EPOCH, Duration::from_secs(seconds));
        let with = |number, slow, due| Job {
            slow,
            due,
            ..job("a", number)
        };
        let jobs = [
            with(10, false, due(7)),
            with(20, true, due(9)),
            with(30, true, due(8)),
            with(600, false, due(70)),
        ];
        let text = serde_json::to_string(&List(jobs.to_vec())).unwrap();
        let again = serde_json::from_str::<List>(&text).unwrap().0;
        let kept = again.iter().map(|job| (job.slow, job.due));
        // none is due before it was submitted
        let expected = [
            (false, due(7)),
            (false, due(60)),
            (true, due(8)),
            (true, due(8)),
        ];
        assert_eq!(kept.collect::<Vec<_>>(), expected, "{text}");
    }
}
