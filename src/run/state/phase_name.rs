//! The phases of runs, as their cursors name them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::resource::Resource;

/// The phase that a run is in. The names are stored, and shown to operators: they are stable. A document with another one
/// was written by a version that this one does not know, and cannot be gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PhaseName {
    /// `changes`: which records have changed without being modified.
    Changes,
    /// The resource's name: its records are sent.
    Records(Resource),
    /// `items`: what earlier versions began with, items without their variants.
    Items,
    /// `variants`: what followed then.
    Variants,
    /// `removals`: variants that the shop does not have any more are counted.
    Removals,
    /// `deletions`: these are deleted.
    Deletions,
    /// `unpublished`: products that were unpublished are counted.
    Unpublished,
    /// `unpublished-deletions`: these are deleted.
    UnpublishedDeletions,
    /// `prune`: what Klaviyo has and commercetools does not is counted.
    Prune,
    /// `prune-deletions`: that is deleted.
    PruneDeletions,
    /// `drift`: Klaviyo's catalog is compared with the shop.
    Drift,
    /// `pass-0` and so on: a pass of a deletion of everything.
    Pass(u32),
}

impl PhaseName {
    /// All but those that are many.
    const SINGLE: [Self; 10] = [
        Self::Changes,
        Self::Items,
        Self::Variants,
        Self::Removals,
        Self::Deletions,
        Self::Unpublished,
        Self::UnpublishedDeletions,
        Self::Prune,
        Self::PruneDeletions,
        Self::Drift,
    ];

    /// The name as it is stored and shown.
    #[must_use]
    pub fn text(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Changes => "changes",
            Self::Records(resource) => resource.name(),
            Self::Items => "items",
            Self::Variants => "variants",
            Self::Removals => "removals",
            Self::Deletions => "deletions",
            Self::Unpublished => "unpublished",
            Self::UnpublishedDeletions => "unpublished-deletions",
            Self::Prune => "prune",
            Self::PruneDeletions => "prune-deletions",
            Self::Drift => "drift",
            Self::Pass(pass) => return Cow::Owned(format!("pass-{pass}")),
        })
    }
}

impl TryFrom<String> for PhaseName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let records = Resource::ALL.map(Self::Records);
        let known = Self::SINGLE.into_iter().chain(records);
        let pass = || Some(Self::Pass(text.strip_prefix("pass-")?.parse().ok()?));
        known
            .into_iter()
            .find(|phase| phase.text() == text)
            .or_else(pass)
            .ok_or_else(|| format!("there is no phase {text}"))
    }
}

impl From<PhaseName> for String {
    fn from(phase: PhaseName) -> Self {
        phase.text().into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_read_as_it_was_written_and_no_other_is() {
        let records = Resource::ALL.map(PhaseName::Records);
        let passes = [0, 1, 12].map(PhaseName::Pass);
        for phase in PhaseName::SINGLE.into_iter().chain(records).chain(passes) {
            let text = serde_json::to_string(&phase).unwrap();
            assert_eq!(serde_json::from_str::<PhaseName>(&text).unwrap(), phase);
        }
        for other in ["", "pass-", "pass--1", "pass-x", "Items", "item"] {
            let error = PhaseName::try_from(other.to_owned()).unwrap_err();
            assert_eq!(error, format!("there is no phase {other}"));
        }
    }
}
