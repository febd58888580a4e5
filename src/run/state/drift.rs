//! How far Klaviyo's catalog is from the shop.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::counts::MAX_COUNT;

/// The most ids that are named of each kind of difference.
const MAX_NAMED: usize = 50;

/// What a comparison has found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drift {
    /// Of items.
    #[serde(default)]
    pub items: Differences,
    /// Of variants, by sku.
    #[serde(default)]
    pub variants: Differences,
}

/// Differences of one kind of entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Differences {
    /// Entries that were compared: those that are to be in Klaviyo.
    #[serde(default)]
    pub compared: u64,
    /// Klaviyo does not have so many of them.
    #[serde(default)]
    pub lacking: u64,
    /// Klaviyo has so many of them with another value in a field.
    #[serde(default)]
    pub different: u64,
    /// Klaviyo has so many that are not to be there, as far as the comparison of what is to be there shows it.
    #[serde(default)]
    pub surplus: u64,
    /// How many of them differ in each field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, u64>,
    /// The ids of the first ones that Klaviyo does not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacking_ids: Vec<String>,
    /// The ids of the first ones that differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub different_ids: Vec<String>,
}

impl Differences {
    /// Klaviyo does not have an entry.
    pub fn note_lacking(&mut self, id: &str) {
        self.compared += 1;
        self.lacking += 1;
        self.lacking_ids.push(id.to_owned());
    }

    /// An entry was compared, and differs in these fields.
    pub fn note_compared(&mut self, id: &str, fields: &[&str]) {
        self.compared += 1;
        if fields.is_empty() {
            return;
        }
        self.different += 1;
        self.different_ids.push(id.to_owned());
        for field in fields {
            *self.fields.entry((*field).to_owned()).or_default() += 1;
        }
    }

    fn are_possible(&self) -> bool {
        let of_fields = self.fields.values();
        [self.compared, self.lacking, self.different, self.surplus]
            .iter()
            .chain(of_fields)
            .all(|&count| count <= MAX_COUNT)
    }

    fn add(&mut self, other: Self) {
        self.compared += other.compared;
        self.lacking += other.lacking;
        self.different += other.different;
        self.surplus += other.surplus;
        for (field, count) in other.fields {
            *self.fields.entry(field).or_default() += count;
        }
        for (ours, theirs) in [
            (&mut self.lacking_ids, other.lacking_ids),
            (&mut self.different_ids, other.different_ids),
        ] {
            let room = MAX_NAMED.saturating_sub(ours.len());
            ours.extend(theirs.into_iter().take(room));
        }
    }
}

impl Drift {
    /// Whether these numbers are possible. If they are, sums of them cannot overflow.
    pub(super) fn is_possible(&self) -> bool {
        self.items.are_possible() && self.variants.are_possible()
    }

    /// Adds what was found elsewhere.
    pub fn add(&mut self, other: Self) {
        self.items.add(other.items);
        self.variants.add(other.variants);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_add_up_and_their_ids_are_bounded() {
        let mut sum = Drift::default();
        for number in 0..60 {
            let mut found = Drift::default();
            found.items.note_lacking(&number.to_string());
            found.items.note_compared("same", &[]);
            found.variants.note_compared("other", &["price", "title"]);
            sum.add(found);
        }
        let Drift { items, variants } = sum;
        assert_eq!(
            (items.compared, items.lacking, items.different),
            (120, 60, 0)
        );
        assert_eq!(items.lacking_ids.len(), MAX_NAMED);
        assert_eq!((variants.different, variants.fields["price"]), (60, 60));
    }
}
