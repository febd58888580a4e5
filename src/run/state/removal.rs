//! Entries that Klaviyo has and commercetools no longer has: counted first, removed then, and many of them only when an
//! operator has confirmed it.

use serde::{Deserialize, Serialize};

/// Up to so many entries are removed without a question.
const MAX_UNASKED: u64 = 10;
/// Up to this fraction of what Klaviyo has is removed without a question: a tenth.
const UNASKED_SHARE: u64 = 10;
/// The most records that are remembered by their ids; with more, the next phase reads everything.
const MAX_NAMED: usize = 200;

/// What is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RemovalKind {
    /// Catalog variants that their product no longer has.
    #[default]
    Variants,
    /// Catalog items, with their variants, whose product is not published any more or does not exist.
    Items,
    /// Catalog categories that do not exist any more.
    Categories,
}

/// What a run has found to be removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Removal {
    /// What it is.
    pub kind: RemovalKind,
    /// How many entries there are to remove, as counted when everything else was done.
    #[serde(default)]
    pub count: u64,
    /// How many entries of the kind Klaviyo has, as far as the run has seen them.
    #[serde(default)]
    pub of: u64,
    /// The ids of the records with something to remove, if there are few. Of items and categories the first ones, however
    /// many there are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<String>,
    /// Whether there are more records than `records` names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_everywhere: bool,
    /// Entries that are not in commercetools and do not say whose they are: they stay.
    #[serde(default, skip_serializing_if = "is_none")]
    pub unmarked: u64,
    /// The ids of the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmarked_ids: Vec<String>,
    /// How many an operator has confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<u64>,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Removal {
    /// Nothing is found yet.
    #[must_use]
    pub fn of_kind(kind: RemovalKind) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    /// Whether there is something to tell of it.
    #[must_use]
    pub fn has_found(&self) -> bool {
        self.count > 0 || self.unmarked > 0
    }

    /// The records that the next phase reads; empty for all of them.
    #[must_use]
    pub fn records_to_read(&self) -> Vec<String> {
        match self.is_everywhere {
            true => Vec::new(),
            false => self.records.clone(),
        }
    }

    /// An entry does not say whose it is.
    pub fn note_unmarked(&mut self, id: String) {
        self.unmarked += 1;
        if self.unmarked_ids.len() < MAX_NAMED {
            self.unmarked_ids.push(id);
        }
    }

    /// Whether there is anything to look at when everything else is done.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.is_everywhere || !self.records.is_empty()
    }

    /// A record has something to remove.
    pub fn note_record(&mut self, id: String) {
        if self.is_everywhere || self.records.contains(&id) {
            return;
        }
        if self.records.len() < MAX_NAMED {
            self.records.push(id);
            return;
        }
        self.is_everywhere = true;
        if self.kind == RemovalKind::Variants {
            self.records.clear();
        }
    }

    /// They are counted once more, from the beginning.
    pub(super) fn count_again(&mut self) {
        match self.kind {
            RemovalKind::Variants => self.count = 0,
            // what counts them counts all that there are of the kind, too
            RemovalKind::Items | RemovalKind::Categories => {
                *self = Self {
                    confirmed: self.confirmed,
                    ..Self::of_kind(self.kind)
                }
            }
        }
    }

    /// Whether so many are removed without an operator's word, or with the one that there is.
    #[must_use]
    pub fn may_begin(&self) -> bool {
        let is_little =
            self.count <= MAX_UNASKED || self.count.saturating_mul(UNASKED_SHARE) <= self.of;
        is_little || self.confirmed.is_some_and(|most| self.count <= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_ten_and_more_than_a_tenth_need_a_word() {
        // count, of, confirmed
        let table = [
            (0, 0, None, true),
            (10, 10, None, true),
            (11, 110, None, true),
            (11, 109, None, false),
            (11, 109, Some(10), false),
            (11, 109, Some(11), true),
            (u64::MAX, 1, None, false),
        ];
        for (count, of, confirmed, expected) in table {
            let removal = Removal {
                count,
                of,
                confirmed,
                ..Removal::default()
            };
            assert_eq!(removal.may_begin(), expected, "{removal:?}");
        }
    }

    #[test]
    fn a_few_records_are_named_and_many_are_everywhere() {
        let mut removal = Removal::default();
        assert!(!removal.is_due());
        for number in 0..MAX_NAMED {
            removal.note_record(number.to_string());
            removal.note_record(number.to_string());
        }
        assert!(removal.is_due() && !removal.is_everywhere);
        assert_eq!(removal.records.len(), MAX_NAMED);
        removal.note_record("one more".to_owned());
        assert!(removal.is_due() && removal.is_everywhere && removal.records.is_empty());
    }
}
