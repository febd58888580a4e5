//! Spans of ids: the first and the last one, as they are stored.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::id_range::IdRange;

/// The characters of a UUID in base64.
const LENGTH: usize = 22;

/// The first and the last id. Two UUIDs, as commercetools' ids are, are stored as one text of 44 characters; others as a
/// list of two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdSpan(String, String);

impl IdSpan {
    /// What two UUIDs take up, with quotes and a comma.
    pub(super) const STORED_BYTES: usize = 2 * LENGTH + 3;

    /// The span of a range from its first to its last id; `None` if it is open.
    pub(super) fn of(range: &IdRange) -> Option<Self> {
        Some(Self(range.from.clone()?, range.through.clone()?))
    }
}

impl From<IdSpan> for IdRange {
    fn from(IdSpan(first, last): IdSpan) -> Self {
        Self {
            from: Some(first),
            through: Some(last),
            ..Self::default()
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Uuids(String),
    Texts(String, String),
}

impl Serialize for IdSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(first, last) = self;
        let stored = match (short(first), short(last)) {
            (Some(first), Some(last)) => Stored::Uuids(first + &last),
            _ => Stored::Texts(first.clone(), last.clone()),
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for IdSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Stored::deserialize(deserializer)? {
            Stored::Texts(first, last) => Ok(Self(first, last)),
            Stored::Uuids(both) => {
                let both = both.split_at_checked(LENGTH);
                let both = both.and_then(|(first, last)| Some(Self(long(first)?, long(last)?)));
                both.ok_or_else(|| D::Error::custom("a span has two UUIDs in base64"))
            }
        }
    }
}

/// A UUID in base64; `None` if it is not written as commercetools writes one.
fn short(id: &str) -> Option<String> {
    let digits: String = id.chars().filter(|&character| character != '-').collect();
    let number = u128::from_str_radix(&digits, 16).ok()?;
    (uuid(number) == id).then(|| URL_SAFE_NO_PAD.encode(number.to_be_bytes()))
}

fn long(short: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(short).ok()?;
    Some(uuid(u128::from_be_bytes(bytes.try_into().ok()?)))
}

fn uuid(number: u128) -> String {
    let digits = format!("{number:032x}");
    [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)]
        .map(|(from, to)| &digits[from..to])
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_they_were_written() {
        let first = "00000000-0000-4000-8000-000000000001";
        let last = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
        let upper = last.to_uppercase();
        let without = last.replace('-', "");
        for (last, length) in [
            (last, 2 + 2 * LENGTH),
            (&upper, 79),
            (&without, 75),
            ("a/b", 46),
            ("", 43),
        ] {
            let span = IdSpan(first.to_owned(), last.to_owned());
            let text = serde_json::to_string(&span).unwrap();
            assert_eq!(text.len(), length, "{text}");
            assert_eq!(serde_json::from_str::<IdSpan>(&text).unwrap(), span);
        }
        for wrong in ["\"\"", "\"AAAA\"", "[\"a\"]", "[\"a\", \"b\", \"c\"]", "{}"] {
            assert!(serde_json::from_str::<IdSpan>(wrong).is_err(), "{wrong}");
        }
    }
}
