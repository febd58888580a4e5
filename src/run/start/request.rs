//! What a start asks for.

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::run::state::{Destination, RunOptions};

/// Since when changes are imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Since the start of the last run that brought Klaviyo up to date.
    LastRun,
    /// Since a moment.
    Moment(Timestamp),
}

/// [`Since::LastRun`] as it is written.
const LAST_RUN: &str = "lastRun";

impl<'de> Deserialize<'de> for Since {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse() {
            _ if text == LAST_RUN => Ok(Self::LastRun),
            Ok(moment) => Ok(Self::Moment(moment)),
            Err(_) => Err(D::Error::custom(
                "since: must be \"lastRun\" or a time such as 2026-07-15T00:00:00Z",
            )),
        }
    }
}

impl Serialize for Since {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::LastRun => serializer.serialize_str(LAST_RUN),
            Self::Moment(moment) => moment.serialize(serializer),
        }
    }
}

/// What a start asks for.
#[derive(Debug, Clone, Default)]
pub struct StartRequest {
    /// What the run is started with, as far as it does not depend on earlier runs.
    pub options: RunOptions,
    /// Only changes.
    pub since: Option<Since>,
    /// Only what failed in the last run.
    pub retry_failed: bool,
    /// A document that names another Klaviyo account is taken over.
    pub adopt: bool,
    /// The plan that starts the run, with the run's id in it.
    pub plan: Option<PlannedRun>,
}

/// A run of a plan. It is started without a lease and then claimed like any other: claiming looks at the plan.
#[derive(Debug, Clone)]
pub struct PlannedRun {
    /// The plan.
    pub plan_id: String,
    /// What the plan calls the run: started twice, it is one run.
    pub run_id: String,
    /// The account that the plan feeds.
    pub destination: Option<Destination>,
}

impl StartRequest {
    /// Whether what the run reads depends on what earlier runs have stored.
    #[must_use]
    pub fn depends_on_earlier(&self) -> bool {
        self.retry_failed || matches!(self.since, Some(Since::LastRun))
    }
}
