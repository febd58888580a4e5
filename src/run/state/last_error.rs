//! The latest error of a run, as the document keeps it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The latest error of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// What happened; no personal data.
    pub message: String,
    /// What to do about it.
    pub advice: String,
    /// Whether `continue` takes up the run that it made fail: what has to be mended are credentials or scopes, and trying
    /// again does no harm.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_of_credentials: bool,
    /// What kind of error it is, where somebody has to decide something about it: a stable name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// The code of a run that is about to remove more than it does without being asked.
pub const REMOVAL_UNCONFIRMED: &str = "removal_unconfirmed";

impl LastError {
    /// An API's error, at this moment.
    #[must_use]
    pub fn of(error: &Error, at: Timestamp) -> Self {
        Self {
            at,
            message: error.to_string(),
            advice: error.advice().to_owned(),
            is_of_credentials: error.is_of_credentials(),
            code: None,
        }
    }
}
