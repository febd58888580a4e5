//! The API's documents, as far as they are looked at here. `raw` is the document as it came, for machines.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// What can be imported; its name in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are their names")]
pub enum Resource {
    Categories,
    Products,
    Customers,
    Orders,
}

impl Resource {
    /// All of them, in the order in which one needs the other.
    pub const ALL: [Self; 4] = [
        Self::Categories,
        Self::Products,
        Self::Customers,
        Self::Orders,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Categories => "categories",
            Self::Products => "products",
            Self::Customers => "customers",
            Self::Orders => "orders",
        }
    }

    /// Whether they become entries of Klaviyo's catalogue.
    pub fn is_catalogue(self) -> bool {
        matches!(self, Self::Categories | Self::Products)
    }
}

/// How a run, a plan or a step of a plan stands; `Other` is a status that this client does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the handbook has them")]
pub enum State {
    Idle,
    Waiting,
    Running,
    Completed,
    Stopped,
    Failed,
    Skipped,
    Omitted,
    #[default]
    #[serde(other)]
    Other,
}

impl State {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Omitted => "omitted",
            Self::Other => "in a state that this version does not know",
        }
    }
}

/// A run.
#[derive(Clone, Debug, Default)]
pub struct Status {
    document: Document,
    /// As it came.
    pub raw: Value,
}

impl std::ops::Deref for Status {
    type Target = Document;

    fn deref(&self) -> &Document {
        &self.document
    }
}

impl std::ops::DerefMut for Status {
    fn deref_mut(&mut self) -> &mut Document {
        &mut self.document
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Value::deserialize(deserializer)?;
        let document = Document::deserialize(&raw).map_err(serde::de::Error::custom)?;
        Ok(Self { document, raw })
    }
}

/// The members of a run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Document {
    /// How it stands.
    pub status: State,
    /// Which run it is; none where there never was one.
    pub run_id: Option<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// What it was started with.
    pub options: Options,
    /// The number of the window that is worked on, or was the last.
    pub window: u64,
    /// The phase that it is in, where there are several.
    pub phase: Option<String>,
    /// Records to read.
    pub total: Option<u64>,
    /// How much of it is done.
    pub percent: Option<f64>,
    /// Records a second over the latest windows, while the run goes on.
    pub rate: Option<f64>,
    /// Klaviyo's jobs that are not finished.
    pub jobs_under_way: u64,
    /// When it will end at that rate.
    pub estimated_end: Option<Timestamp>,
    /// Records.
    pub counts: Counts,
    /// Products only.
    pub variants: Option<Counts>,
    /// What Klaviyo has and commercetools no longer has.
    pub removal: Option<Removal>,
    /// Records that failed in this run or earlier ones and have not been imported since.
    pub failed_records: u64,
    /// Nothing is done before.
    pub not_before: Option<Timestamp>,
    /// What is waited for.
    pub waiting_for: Option<String>,
    /// No invocation works on a run that is going on.
    pub chain_looks_cut: bool,
    /// The latest error.
    pub last_error: Option<LastError>,
    /// What to do.
    pub advice: String,
    /// Records that were skipped or failed; only in the run in full.
    pub set_aside: Vec<SetAside>,
    /// How many more these are.
    pub set_aside_omitted: u64,
    /// The first documents of a dry run, masked; only in the run in full.
    pub samples: Vec<Value>,
    /// Only in the answer to a start with `retryFailed`.
    pub retried: Option<Retried>,
}

impl Document {
    /// How long the run took, in the app's seconds; none before it has ended.
    pub fn seconds(&self) -> Option<f64> {
        let span = self.finished_at?.duration_since(self.started_at?);
        Some(span.as_secs_f64())
    }

    /// Records and variants that Klaviyo rejected in this run.
    pub fn failed(&self) -> u64 {
        let variants = self.variants.as_ref();
        self.counts.failed + variants.map_or(0, |variants| variants.failed)
    }

    /// Whether its latest error is that somebody has to confirm a removal.
    pub fn asks_for_confirmation(&self) -> bool {
        let code = self
            .last_error
            .as_ref()
            .and_then(|error| error.code.as_deref());
        code == Some("removal_unconfirmed")
    }

    /// Whether it keeps a new one from being started.
    pub fn is_going_on(&self) -> bool {
        matches!(self.status, State::Running | State::Failed)
    }
}

/// What a run was started with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    /// How many records were named.
    pub ids: Option<usize>,
    /// Nothing is sent.
    pub dry_run: bool,
    /// All is deleted.
    pub delete_all: bool,
}

/// How many records.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the handbook has them")]
pub struct Counts {
    pub read: u64,
    pub sent: u64,
    /// By reason.
    pub skipped: BTreeMap<String, u64>,
    pub failed: u64,
    /// Profiles, events or catalogue entries made of the records sent.
    pub documents: u64,
    /// What was done differently, by name.
    pub notes: BTreeMap<String, u64>,
}

impl Counts {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.sent += other.sent;
        self.failed += other.failed;
        self.documents += other.documents;
        for (into, from) in [
            (&mut self.skipped, &other.skipped),
            (&mut self.notes, &other.notes),
        ] {
            for (name, count) in from {
                *into.entry(name.clone()).or_default() += count;
            }
        }
    }
}

/// A removal that somebody has to confirm.
#[derive(Clone, Debug, Deserialize)]
pub struct Removal {
    /// What is removed, such as `variants`.
    pub kind: String,
    /// How many.
    pub count: u64,
    /// Of how many.
    pub of: u64,
}

/// The latest error of a run.
#[derive(Clone, Debug, Deserialize)]
pub struct LastError {
    /// What happened.
    pub message: String,
    /// What to do.
    pub advice: String,
    /// What has to be decided, where somebody has to.
    pub code: Option<String>,
}

/// A record that was not sent.
#[derive(Clone, Debug, Deserialize)]
pub struct SetAside {
    /// None where Klaviyo does not say which.
    pub id: Option<String>,
    /// `skipped` or `failed`.
    pub outcome: String,
    /// Why.
    pub reason: String,
}

/// What a start with `retryFailed` imports.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Retried {
    /// How many records.
    pub records: u64,
    /// How many the next one imports.
    pub left: u64,
    /// How many are not known by their ids.
    pub missed: u64,
}

/// All runs and the plan.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    runs: BTreeMap<String, Status>,
    /// The plan, where there ever was one.
    pub plan: Option<Plan>,
    /// As it came.
    pub raw: Value,
}

impl Overview {
    /// The run of a resource.
    pub fn of(&self, resource: Resource) -> &Status {
        static NONE: std::sync::LazyLock<Status> = std::sync::LazyLock::new(Status::default);
        self.runs.get(resource.name()).unwrap_or(&NONE)
    }

    /// The plan, while it runs.
    pub fn running_plan(&self) -> Option<&Plan> {
        self.plan
            .as_ref()
            .filter(|plan| plan.status == State::Running)
    }
}

impl<'de> Deserialize<'de> for Overview {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;

        let raw = Value::deserialize(deserializer)?;
        let mut overview = Self::default();
        for resource in Resource::ALL {
            let name = resource.name();
            let run = raw
                .get(name)
                .ok_or_else(|| D::Error::custom(format!("it has no {name}")))?;
            let run = Status::deserialize(run).map_err(Error::custom)?;
            overview.runs.insert(name.to_owned(), run);
        }
        if let Some(plan) = raw.get("plan") {
            overview.plan = Deserialize::deserialize(plan).map_err(Error::custom)?;
        }
        overview.raw = raw;
        Ok(overview)
    }
}

/// Imports of several resources in their order.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Plan {
    /// Which one it is.
    pub plan_id: String,
    /// How it stands.
    pub status: State,
    /// Its imports.
    pub steps: Vec<Step>,
    /// No invocation advances it.
    pub chain_looks_cut: bool,
    /// What to do.
    pub advice: String,
}

/// One import of a plan.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// What is imported.
    pub resource: Resource,
    /// How it stands.
    pub state: State,
    /// The run that it is, or will be.
    pub run_id: String,
    /// Why it waits or was left out.
    pub note: Option<String>,
}

/// The configuration, tried.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Check {
    /// Nothing failed.
    pub ok: bool,
    /// What was tried.
    pub lines: Vec<Line>,
}

/// A thing that was tried.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Line {
    /// What.
    pub what: String,
    /// What came of it.
    pub state: LineState,
    /// In words.
    pub detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// What came of a thing that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LineState {
    /// It works.
    Ok,
    /// It does not.
    Failed,
    /// It cannot be tried.
    Unknown,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_overview_is_read_and_kept_as_it_came() {
        let idle = json!({"resource": "orders", "status": "idle", "advice": ""});
        let raw = json!({
            "customers": {"status": "running", "runId": "r1", "variants": null, "rate": 7.5, "percent": 4,
                "counts": {"read": 3, "sent": 2, "skipped": {"no-slug": 1}, "failed": 0, "documents": 2}},
            "orders": idle, "categories": idle, "products": {"status": "melting"}, "plan": null,
        });
        let overview: Overview = serde_json::from_value(raw.clone()).expect("an overview");
        let customers = overview.of(Resource::Customers);
        assert_eq!(customers.status, State::Running);
        assert_eq!((customers.counts.read, customers.rate), (3, Some(7.5)));
        assert!(customers.is_going_on() && !overview.of(Resource::Orders).is_going_on());
        assert_eq!(overview.of(Resource::Products).status, State::Other);
        assert_eq!(customers.raw, raw["customers"]);
        assert_eq!(overview.raw, raw);
        assert!(overview.running_plan().is_none());
        // another app's answer is none
        assert!(serde_json::from_value::<Overview>(json!({})).is_err());
    }

    #[test]
    fn counts_of_runs_add_up() {
        let counts: Counts =
            serde_json::from_value(json!({"read": 2, "sent": 1, "skipped": {"a": 1}}))
                .expect("counts");
        let mut sum = counts.clone();
        sum.add(&counts);
        assert_eq!((sum.read, sum.sent, sum.skipped["a"]), (4, 2, 2));
    }
}
