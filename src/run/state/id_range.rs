//! Parts of the key space that are left to be read.

use serde::{Deserialize, Serialize};

use super::changes::Source;
use super::digests::Digests;
use super::entry_name::{self, EntryName};

/// Names up to this number are kept as they are.
const FEW_NAMES: usize = 8;
/// The digests of a job with as many entries as there may be.
const DIGESTS_OF_A_JOB: usize = 100;

/// The half of the records that is wanted of a range, where a record and its parts are entries of their own, such as a
/// product's item and its variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Only {
    /// The records without their parts: these were sent beside them.
    Records,
    /// The same, where the parts follow: they are another range's, or a job's that is under way.
    RecordsAnew,
    /// The parts without the records: these are in Klaviyo now.
    Parts,
    /// The parts once more, which went with their records: they count already, as these do. A record that is not in Klaviyo
    /// again is created first.
    PartsAnew,
    /// The records, read for the first time: their parts follow as soon as there is room for their jobs.
    RecordsFirst,
}

impl Only {
    /// Whether none of the records' parts is wanted.
    #[must_use]
    pub const fn are_records_alone(self) -> bool {
        matches!(self, Self::Records | Self::RecordsAnew)
    }
}

/// A part of the key space: ids in the order that commercetools sorts them in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdRange {
    /// Everything up to this id is done; absent at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The first id, where the range begins with one that is part of it and nothing is done yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The last id; absent where the range is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
    /// If only these entries of the range are wanted, because a job did not accept them: their names, sorted
    /// (see [`EntryName`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "entry_name")]
    pub entries: Vec<String>,
    /// If only entries with these digests are wanted.
    #[serde(default, skip_serializing_if = "Digests::is_empty")]
    pub digests: Digests,
    /// What is wanted of the records that it has or names; absent where it is all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Only>,
    /// Everything of its record's parts up to here is done, where there are so many that they are read in portions. What
    /// that says is up to the import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts_after: Option<String>,
    /// Where it reads, if that is not the collection that is imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// How often these entries have been sent before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempt: u32,
}

pub(super) fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl IdRange {
    /// A range of these entries only, which are to be sent again.
    #[must_use]
    pub fn of_entries(mut entries: Vec<String>, attempt: u32) -> Self {
        entries.sort_unstable();
        entries.dedup();
        Self {
            entries,
            attempt,
            ..Self::default()
        }
    }

    /// All of a source.
    #[must_use]
    pub fn of_source(source: Source) -> Self {
        Self {
            source: Some(source),
            ..Self::default()
        }
    }

    /// The same range with one half of its records only, or with all of them.
    #[must_use]
    pub fn with_only(self, only: Option<Only>) -> Self {
        Self { only, ..self }
    }

    /// Whether its records are read for the first time.
    #[must_use]
    pub fn is_first_reading(&self) -> bool {
        self.attempt == 0 && matches!(self.only, None | Some(Only::RecordsFirst))
    }

    /// Whether it is the rest of a record of which a portion has been read for the first time.
    #[must_use]
    pub fn is_rest(&self) -> bool {
        self.attempt == 0 && self.parts_after.is_some()
    }

    /// Whether its records are read by their names alone. Between them there may be any number of others; and in a run of
    /// changes, reading their span finds only those that were modified themselves.
    #[must_use]
    pub fn is_by_name(&self) -> bool {
        let has_no_span = !self.entries.is_empty() && self.through.is_none();
        has_no_span || self.source == Some(Source::Named)
    }

    /// How many records its next page has at most. Those that are wanted by name are all that is read. Those that are
    /// wanted by digest mostly lie close to each other, as they were sent together: one page has them all, even where
    /// the others of their job are not wanted. Where it has not, there are others between them, of any number.
    #[must_use]
    pub fn next_records(&self) -> usize {
        let IdRange {
            entries,
            digests,
            after,
            ..
        } = self;
        match (entries.len(), digests.len(), after) {
            (0, 1.., None) => {
                let close = digests.len().max(DIGESTS_OF_A_JOB);
                close + close / 4 + 1
            }
            (0, ..) => usize::MAX,
            (entries, ..) => entries,
        }
    }

    /// The range with everything up to `id` done.
    #[must_use]
    pub fn advanced_to(&self, id: &str) -> Self {
        Self {
            after: Some(id.to_owned()),
            from: None,
            ..self.clone()
        }
    }

    /// The same range with the span of its entries, which are named by commercetools' ids: see [`IdRange::for_cursor`].
    #[must_use]
    pub fn with_span(mut self) -> Self {
        let ids = || self.entries.iter().map(|name| EntryName::read(name).id);
        self.from = ids().min().map(str::to_owned);
        self.through = ids().max().map(str::to_owned);
        self
    }

    /// What is left of the range as the cursor keeps it. Of many names in a span it keeps the digests: the next window
    /// reads the span, and takes the records that are wanted.
    #[must_use]
    pub fn for_cursor(&self) -> Self {
        let are_many = self.entries.len() > FEW_NAMES && self.through.is_some();
        if !are_many {
            return self.clone();
        }
        let names = self.entries.iter().map(|name| EntryName::read(name));
        let left: Vec<EntryName<'_>> = names.filter(|name| self.contains(name.id)).collect();
        let ids = || left.iter().map(|name| name.id.to_owned());
        Self {
            after: ids().min().is_none().then(|| self.after.clone()).flatten(),
            from: ids().min(),
            through: ids().max().or_else(|| self.through.clone()),
            entries: Vec::new(),
            digests: Digests::of(left.iter().map(|name| name.part.unwrap_or(name.id))),
            only: self.only,
            parts_after: None,
            source: self.source,
            attempt: self.attempt,
        }
    }

    /// What is left of one record of this range whose parts have been read up to `after`. `is_named` says whether the record
    /// is wanted as a whole: then it has been dealt with itself. Else some of its parts are.
    #[must_use]
    pub fn rest_of(&self, record: &str, is_named: bool, after: String) -> Self {
        let names = self.entries.iter();
        let own: Vec<String> = names
            .filter(|name| EntryName::read(name).id == record)
            .cloned()
            .collect();
        let entries = match is_named {
            true => vec![record.to_owned()],
            false => own,
        };
        let in_span = (!self.is_by_name()).then(|| record.to_owned());
        Self {
            after: None,
            from: in_span.clone(),
            through: in_span,
            digests: match is_named {
                true => Digests::default(),
                false => self.digests.clone(),
            },
            entries,
            only: match self.only {
                Some(Only::PartsAnew) => self.only,
                only => is_named.then_some(Only::Parts).or(only),
            },
            parts_after: Some(after),
            source: self.source,
            attempt: self.attempt,
        }
    }

    /// What it takes up in a document as [`IdRange::for_cursor`] makes it, about, in bytes.
    #[must_use]
    pub fn stored_bytes(&self) -> usize {
        const MEMBERS: usize = 80;
        let ids = [&self.after, &self.from, &self.through, &self.parts_after];
        let ids: usize = ids.into_iter().flatten().map(String::len).sum();
        let entries = match self.entries.len() {
            0 => self.digests.stored_bytes(),
            names if names > FEW_NAMES && self.through.is_some() => Digests::stored_bytes_of(names),
            _ => entry_name::stored_bytes(&self.entries),
        };
        MEMBERS + ids + entries
    }

    /// The ids of the records that the wanted entries belong to, each once; `None` if the whole range is wanted.
    #[must_use]
    pub fn wanted_ids(&self) -> Option<Vec<String>> {
        let mut ids: Vec<String> = self
            .entries
            .iter()
            .map(|name| EntryName::read(name).id.to_owned())
            .collect();
        ids.dedup();
        (!ids.is_empty()).then_some(ids)
    }

    /// Whether the range has this id.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.after.as_deref().is_none_or(|after| id > after)
            && self.from.as_deref().is_none_or(|from| id >= from)
            && self.through.as_deref().is_none_or(|through| id <= through)
    }
}
