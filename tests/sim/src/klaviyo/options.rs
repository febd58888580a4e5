//! What a test may choose about the simulated account.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

/// Settings of the simulated account. `Options::default()` is a strict, well-behaved Klaviyo
/// with rate limits on, jobs that take about two seconds, and the key `pk_test`.
#[derive(Debug)]
pub struct Options {
    /// The private API key that calls must carry.
    pub api_key: String,
    /// The account's id.
    pub account: String,
    /// Whether keys have the scope `accounts:read`.
    pub may_read_account: bool,
    /// Keys of other accounts, with these. They open nothing else here.
    pub other_accounts: BTreeMap<String, String>,
    /// Whether the rate limits are enforced (calls are counted either way).
    pub rate_limits: bool,
    /// Seed of the jitter in the jobs' times.
    pub seed: u64,
    /// How long jobs take.
    pub job_times: JobTimes,
    /// Catalog jobs of one kind that may be queued or processing at a time.
    pub jobs_in_progress: usize,
    /// Profiles, by `external_id`, that an import job sets aside with an import error.
    pub refuse_profiles: Choice,
    /// Profiles, by `external_id`, whose phone number is refused, if they have one: by the job, or at once (400) where
    /// `refuse_imports` has them, too.
    pub refuse_phone_numbers: Choice,
    /// Profiles, by `external_id`, for which an import request is refused whole (400).
    pub refuse_imports: Choice,
    /// Events, by `unique_id`, for which a batch is refused whole (400).
    pub refuse_events: Choice,
    /// Catalog entries, by external id, that fail in their job.
    pub refuse_entries: Choice,
    /// Whether the chosen 400s of `refuse_imports` and `refuse_events` say which record it is.
    pub point_at_records: bool,
    /// Variants that `include=variants` gives of one item; the rest has to be paged through.
    pub included_variants: usize,
    /// Whether an item's `relationships.variants.data` names all its variants, or only those included.
    pub complete_linkage: bool,
    /// Whether the ledger keeps the events' properties, not only their digest.
    pub keep_properties: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            api_key: "pk_test".to_owned(),
            account: "SimAc1".to_owned(),
            may_read_account: true,
            other_accounts: BTreeMap::new(),
            rate_limits: true,
            seed: 0,
            job_times: JobTimes::default(),
            jobs_in_progress: 500,
            refuse_profiles: Choice::None,
            refuse_phone_numbers: Choice::None,
            refuse_imports: Choice::None,
            refuse_events: Choice::None,
            refuse_entries: Choice::None,
            point_at_records: true,
            included_variants: 25,
            complete_linkage: true,
            keep_properties: false,
        }
    }
}

/// How long a job stays in each state, in simulated time.
#[derive(Debug, Clone, Copy)]
pub struct JobTimes {
    /// From the request to `processing`.
    pub queued: Duration,
    /// From `processing` to `complete`.
    pub processing: Duration,
    /// Added to each of the two: a random part of this.
    pub jitter: Duration,
}

impl Default for JobTimes {
    fn default() -> Self {
        Self {
            queued: Duration::from_millis(500),
            processing: Duration::from_secs(1),
            jitter: Duration::from_millis(500),
        }
    }
}

/// Which records a fault is for.
#[derive(Default)]
pub enum Choice {
    /// No record.
    #[default]
    None,
    /// The records with these ids.
    Ids(HashSet<String>),
    /// The records whose id the closure picks.
    By(Box<dyn Fn(&str) -> bool + Send>),
}

impl Choice {
    /// The records with these ids.
    pub fn ids<I: Into<String>>(ids: impl IntoIterator<Item = I>) -> Self {
        Self::Ids(ids.into_iter().map(Into::into).collect())
    }

    /// Whether the record with this id is chosen.
    pub(super) fn picks(&self, id: &str) -> bool {
        match self {
            Choice::None => false,
            Choice::Ids(ids) => ids.contains(id),
            Choice::By(choose) => choose(id),
        }
    }
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::None => f.write_str("None"),
            Choice::Ids(ids) => f.debug_tuple("Ids").field(ids).finish(),
            Choice::By(_) => f.write_str("By(..)"),
        }
    }
}
