//! Records that are to be sent although nobody has modified them: what they are made of has changed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The most records that are named: with 40 bytes each they stay under the 100 KB that commercetools advises for a
/// document. With more, everything is read.
const MAX_NAMED: usize = 2_000;

/// Where a range reads what has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// The records that [`Changes`] names.
    Named,
    /// Standalone prices that were modified.
    Prices,
    /// Standalone prices that have begun or ended.
    PriceDates,
    /// Products with a price of their own that has begun or ended.
    OwnPriceDates,
    /// Stock that was modified.
    Stock,
    /// Categories that were modified.
    Categories,
    /// Payments that were modified.
    Payments,
}

/// The records whose parts have changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Changes {
    /// Their ids, each once.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ids: BTreeSet<String>,
    /// There are too many of them to be named: everything is read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_everywhere: bool,
}

impl Changes {
    /// A record has changed; whether it was not named yet.
    pub fn note(&mut self, id: String) -> bool {
        if self.is_everywhere {
            return false;
        }
        let is_new = self.ids.insert(id);
        if self.ids.len() > MAX_NAMED {
            self.ids.clear();
            self.is_everywhere = true;
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_is_named_once_and_too_many_are_everywhere() {
        let mut changes = Changes::default();
        for number in 0..MAX_NAMED {
            assert!(changes.note(number.to_string()));
            assert!(!changes.note(number.to_string()));
        }
        assert_eq!(
            (changes.ids.len(), changes.is_everywhere),
            (MAX_NAMED, false)
        );
        changes.note("one more".to_owned());
        assert!(changes.ids.is_empty() && changes.is_everywhere);
        assert!(!changes.note("another".to_owned()));
    }
}
