//! Records that were not sent, for the report.

use serde::{Deserialize, Serialize};

use super::entry_name::EntryName;

/// What became of a record that was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It cannot be sent until the record is changed.
    Skipped,
    /// Klaviyo rejected it.
    Failed,
}

/// A record that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetAside {
    /// Its id in commercetools, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
}

impl SetAside {
    /// A catalog entry that Klaviyo rejected, by its name in the cursor.
    #[must_use]
    pub fn failed(name: Option<&str>, reason: String) -> Self {
        let name = name.map(EntryName::read);
        let reason = match name.and_then(|name| name.part) {
            Some(part) => format!("{part}: {reason}"),
            None => reason,
        };
        Self {
            id: name.map(|name| name.id.to_owned()),
            outcome: Outcome::Failed,
            reason,
        }
    }

    /// Parts of a record that are not sent for the same reason: the name of the first, and how many more there are.
    #[must_use]
    pub fn skipped_parts(id: Option<&str>, first: &str, more: usize, reason: &str) -> Self {
        let reason = match more {
            0 => format!("{first}: {reason}"),
            more => format!("{first} and {more} more: {reason}"),
        };
        Self {
            id: id.map(str::to_owned),
            outcome: Outcome::Skipped,
            reason,
        }
    }

    /// Whether it names this part of a record, as [`SetAside::failed`] and [`SetAside::skipped_parts`] write it.
    #[must_use]
    pub fn names(&self, id: &str, part: &str) -> bool {
        let rest = self.reason.strip_prefix(part);
        self.id.as_deref() == Some(id)
            && rest.is_some_and(|rest| rest.starts_with(": ") || rest.starts_with(" and "))
    }
}
