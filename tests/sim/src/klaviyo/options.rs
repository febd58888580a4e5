//! What a test may choose about the simulated account.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use super::times::JobTimes;

/// Settings of the simulated account. `Options::default()` is a strict, well-behaved Klaviyo
/// with rate limits on, jobs that take a tenth of their usual time, and the key `pk_test`.
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
    /// How many of a minute's bulk requests the account's other apps leave to this one, for each operation; all of them
    /// where it is none.
    pub left_by_others: Option<u32>,
    /// Seed of the jitter in the jobs' times.
    pub seed: u64,
    /// How long jobs take.
    pub job_times: JobTimes,
    /// Catalog jobs that may be queued or processing at a time.
    pub jobs_in_progress: usize,
    /// Which jobs count for that limit.
    pub job_limit: JobLimit,
    /// How one job too many is answered.
    pub too_many_jobs: TooManyJobs,
    /// The catalog jobs of the account's other apps, if these have any.
    pub jobs_of_others: Option<JobsOfOthers>,
    /// Jobs on a page of a list of catalog jobs, which takes no `page[size]`. Klaviyo's reference documents at most 100
    /// (<https://developers.klaviyo.com/en/reference/get_bulk_create_catalog_items_jobs>); how many there are was never
    /// recorded.
    pub jobs_a_page: usize,
    /// In which order these lists are.
    pub job_order: JobOrder,
    /// How a catalog job names an entry that it did not take.
    pub entry_errors: EntryErrors,
    /// What becomes of a bulk create with an entry that is there already.
    pub existing: Existing,
    /// What can be read of the profiles that an import did not take.
    pub import_errors: ImportErrors,
    /// Whether malformed email addresses of an import are refused at once, with the whole request (400), and not by the
    /// job. It was reported for some, and never recorded.
    pub checks_emails_at_once: bool,
    /// What `RateLimit-*` say.
    pub rate_headers: RateHeaders,
    /// Profiles, by `external_id`, that an import job sets aside with an import error.
    pub refuse_profiles: Choice,
    /// Profiles, by `external_id`, whose phone number is refused, if they have one: by the job, or at once (400) where
    /// `refuse_imports` has them, too.
    pub refuse_phone_numbers: Choice,
    /// What becomes of a profile whose phone number another one has.
    pub shared_phones: SharedPhones,
    /// Profiles, by `external_id`, for which an import request is refused whole (400).
    pub refuse_imports: Choice,
    /// Events, by `unique_id`, for which a batch is refused whole (400).
    pub refuse_events: Choice,
    /// Catalog entries, by external id, that fail in their job.
    pub refuse_entries: Choice,
    /// Where the errors of a request say they are that is refused whole for some of its records.
    pub pointers: Pointers,
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
            left_by_others: None,
            seed: 0,
            job_times: JobTimes::default(),
            jobs_in_progress: 500,
            job_limit: JobLimit::default(),
            too_many_jobs: TooManyJobs::default(),
            jobs_of_others: None,
            jobs_a_page: 20,
            job_order: JobOrder::default(),
            entry_errors: EntryErrors::default(),
            existing: Existing::default(),
            import_errors: ImportErrors::default(),
            checks_emails_at_once: false,
            rate_headers: RateHeaders::default(),
            refuse_profiles: Choice::None,
            refuse_phone_numbers: Choice::None,
            shared_phones: SharedPhones::default(),
            refuse_imports: Choice::None,
            refuse_events: Choice::None,
            refuse_entries: Choice::None,
            pointers: Pointers::default(),
            included_variants: 25,
            complete_linkage: true,
            keep_properties: false,
        }
    }
}

/// How a catalog job names an entry that it did not take. Recorded is the first form, for the update and the deletion of
/// an item that does not exist, which always have it. Nobody knows the form of categories, of variants, and of what else
/// may be wrong with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EntryErrors {
    /// `meta.id`, the compound id, and a pointer without an index.
    #[default]
    MetaId,
    /// The same without a code.
    NullCode,
    /// Nothing but a text and `meta.external_id`, as it was reported by users of the API.
    MetaExternalId,
    /// A pointer with an index and no `meta`, as the documentation of the API's errors has it.
    Index,
    /// Neither.
    Nameless,
}

impl EntryErrors {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::MetaId,
        Self::NullCode,
        Self::MetaExternalId,
        Self::Index,
        Self::Nameless,
    ];
}

/// How one catalog job too many is answered. It was never recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TooManyJobs {
    /// With 429, and when to try again.
    #[default]
    Throttled,
    /// With 429, without `Retry-After`.
    ThrottledUntimed,
    /// With 400, as if the request were invalid.
    BadRequest,
    /// With 409.
    Conflict,
}

impl TooManyJobs {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Throttled,
        Self::ThrottledUntimed,
        Self::BadRequest,
        Self::Conflict,
    ];
}

/// Which catalog jobs count for the limit of those in progress. The contract has "The maximum number of jobs in progress at
/// one time is 500" at each operation, and nothing of it was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JobLimit {
    /// Those of the same kind and action: the limit is one for each operation.
    #[default]
    OfKind,
    /// All of the account.
    OfAccount,
}

impl JobLimit {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::OfKind, Self::OfAccount];
}

/// In which order lists of catalog jobs are, newest first. The recorded ones are sorted by both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JobOrder {
    /// By `created_at`.
    #[default]
    Created,
    /// By `completed_at`, or `created_at` where there is none yet.
    Completed,
}

impl JobOrder {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Created, Self::Completed];
}

/// Where the errors of a request say they are that is refused whole for some of its records. It was never recorded of
/// requests with many records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pointers {
    /// At the record, with its index, as the documentation of the API's errors has it.
    #[default]
    Record,
    /// The same without any index, as recorded of the errors in catalog jobs.
    List,
    /// At `/data`, as recorded of errors that are about no part of the body.
    Request,
    /// Nowhere: `source` is empty.
    Nowhere,
}

impl Pointers {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Record, Self::List, Self::Request, Self::Nowhere];
}

/// Catalog jobs of the account's other apps, of each kind or for the whole account, as the limit is: they come all at once,
/// just before the first job that counts for the same limit, and again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobsOfOthers {
    /// How many there are at a time.
    pub count: usize,
    /// How long each takes.
    pub take: Duration,
    /// The time from the submission of some to that of the next ones.
    pub every: Duration,
}

/// What becomes of a profile whose phone number another one has. It was never recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SharedPhones {
    /// It is taken for the same person, where nothing else identifies it.
    #[default]
    Merges,
    /// It is refused by the job, with the code `duplicate_profile`.
    Refuses,
    /// Both are there.
    TakesBoth,
}

impl SharedPhones {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Merges, Self::Refuses, Self::TakesBoth];
}

/// What becomes of a bulk create with an entry that is there already. It was never recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// The entry fails in the job, in one of the forms of [`EntryErrors`].
    #[default]
    FailsInJob,
    /// The whole request is refused with 400.
    BadRequest,
    /// The whole request is refused with 409, as the creation of a single profile is.
    Conflict,
    /// The entry stays as it is and counts as completed, without being among what the job made.
    Ignored,
}

impl Existing {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::FailsInJob,
        Self::BadRequest,
        Self::Conflict,
        Self::Ignored,
    ];
}

/// What can be read of the profiles that an import did not take. Recorded is an empty list only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImportErrors {
    /// An error for each, as documented.
    #[default]
    Documented,
    /// An error for each, whose `original_payload` is null.
    WithoutPayload,
    /// None, although the job has failures.
    None,
    /// The list is 404, although the job is not.
    Gone,
}

/// What `RateLimit-*` say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RateHeaders {
    /// As recorded: what is left of the second, both limits, and a reset of 0.
    #[default]
    Recorded,
    /// As documented: the window of a minute.
    Documented,
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
