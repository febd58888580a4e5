//! One line of the check: what was tried, the result, and how to fix it.

use serde::Serialize;

use crate::error::{Action, Error};

/// The result of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It works.
    Ok,
    /// It does not.
    Failed,
    /// It could not be found out.
    Unknown,
}

/// One line of the check.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) what: String,
    pub(super) state: State,
    pub(super) detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<String>,
}

impl Line {
    pub(super) fn ok(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            state: State::Ok,
            detail: detail.into(),
            fix: None,
        }
    }

    pub(super) fn failed(
        what: impl Into<String>,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            what: what.into(),
            state: State::Failed,
            detail: detail.into(),
            fix: Some(fix.into()),
        }
    }

    pub(super) fn unknown(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            state: State::Unknown,
            detail: detail.into(),
            fix: None,
        }
    }

    pub(super) fn of(what: impl Into<String>, error: &Error) -> Self {
        match error.action() {
            // the API is busy: that says nothing about the configuration
            Action::Wait => Self::unknown(what, error.to_string()),
            _ => Self::failed(what, error.to_string(), error.advice()),
        }
    }
}
