//! Klaviyo's jobs in the cursor.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::counts::Counts;

use super::digests::Digests;
use super::entry_name;
use super::id_range::{IdRange, is_zero};

/// One of Klaviyo's jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Job {
    /// Klaviyo's id.
    pub id: String,
    /// The kind of job: the key of the bulk endpoint that it was submitted to.
    pub kind: String,
    /// When it was submitted.
    pub since: Timestamp,
    /// When to poll it next.
    pub due: Timestamp,
    /// How often it has been polled.
    #[serde(default)]
    pub asked: u32,
    /// The page of its errors to read next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors_at: Option<String>,
    /// How many of its errors have been dealt with.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub errors_read: u64,
    /// The parts of the id space that its records came from: they are read again if the job is cancelled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<IdRange>,
    /// What was counted for these spans: subtracted if they are read again.
    #[serde(default)]
    pub counts: Counts,
    /// The names of its entries in the order of the request, where an error names an entry by its index only.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "entry_name")]
    pub entries: Vec<String>,
    /// The digests of its entries, which are what is stored of the names where the entries are sent for the first time.
    #[serde(skip)]
    pub digests: Digests,
    /// How often these entries have been sent before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempt: u32,
}

fn is_none_yet(count: &u64) -> bool {
    *count == 0
}

/// How a job is stored whose entries are known by their digests: kind, id, time of submission, digests, and the first and
/// the last id of each span that the entries are in.
#[derive(Serialize, Deserialize)]
struct Short(String, String, Timestamp, Digests, Vec<(String, String)>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Short(Short),
    Full(Box<Job>),
}

impl From<&Job> for Stored {
    fn from(job: &Job) -> Self {
        if job.digests.is_empty() {
            return Self::Full(Box::new(job.clone()));
        }
        let ends = |span: &IdRange| Some((span.from.clone()?, span.through.clone()?));
        Self::Short(Short(
            job.kind.clone(),
            job.id.clone(),
            // fractions of a second take up room and change nothing
            Timestamp::from_second(job.since.as_second()).unwrap_or(job.since),
            job.digests.clone(),
            job.spans.iter().filter_map(ends).collect(),
        ))
    }
}

impl From<Stored> for Job {
    fn from(stored: Stored) -> Self {
        let Short(kind, id, since, digests, spans) = match stored {
            Stored::Full(job) => return *job,
            Stored::Short(short) => short,
        };
        let spans = spans.into_iter().map(|(first, last)| IdRange {
            from: Some(first),
            through: Some(last),
            ..IdRange::default()
        });
        Self {
            id,
            kind,
            since,
            due: since,
            asked: 0,
            errors_at: None,
            errors_read: 0,
            spans: spans.collect(),
            counts: Counts::of_entries(digests.len() as u64),
            entries: Vec::new(),
            digests,
            attempt: 0,
        }
    }
}

/// Writes the jobs of a cursor.
pub(super) fn serialize<S: Serializer>(jobs: &[Job], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(jobs.iter().map(Stored::from))
}

/// Reads what [`serialize`] has written, and what earlier versions have.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Job>, D::Error> {
    let stored: Vec<Stored> = Vec::deserialize(deserializer)?;
    Ok(stored.into_iter().map(Job::from).collect())
}
