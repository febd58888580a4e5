//! Short digests of names: what the cursor keeps of a job's entries instead of their names.
//!
//! A digest has 24 bits, so that 500 jobs of 100 entries fit into a document that is saved every few seconds. Names are
//! not read from it: records are read again, and those are wanted whose digests are in the list. Another record of the
//! same span has one of 100 digests once in 168,000 times; it is sent and counted again then, which changes nothing in
//! Klaviyo.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::digest_text;

/// Digests of names, as many as there are names, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digests(Vec<u32>);

impl Digests {
    /// The most in one place of a document: a text of more is not read.
    pub const MOST: usize = digest_text::MOST;

    /// The digests of these names.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut digests: Vec<u32> = names.into_iter().map(digest).collect();
        digests.sort_unstable();
        Self(digests)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What their text takes up with its quotes, about, in bytes.
    #[must_use]
    pub fn stored_bytes(&self) -> usize {
        Self::stored_bytes_of(self.0.len())
    }

    /// What the text of so many takes up with its quotes, about, in bytes.
    #[must_use]
    pub fn stored_bytes_of(digests: usize) -> usize {
        digest_text::length(digests) + 2
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them is that of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        !self.0.is_empty() && self.0.binary_search(&digest(name)).is_ok()
    }

    /// Those that are left without one for each of these names: of two names with the same digest, one is left.
    #[must_use]
    pub fn without<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.less(&Self::of(names))
    }

    /// Those that are left without these.
    #[must_use]
    pub fn less(&self, others: &Self) -> Self {
        let mut left = self.0.clone();
        for other in &others.0 {
            if let Ok(index) = left.binary_search(other) {
                left.remove(index);
            }
        }
        Self(left)
    }
}

/// The first 24 bits of the SHA-256 hash. Documents hold them, so they must not change.
fn digest(name: &str) -> u32 {
    let hash = Sha256::digest(name.as_bytes());
    u32::from_be_bytes([0, hash[0], hash[1], hash[2]])
}

impl Serialize for Digests {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&digest_text::write(&self.0))
    }
}

impl<'de> Deserialize<'de> for Digests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digests = digest_text::read(&String::deserialize(deserializer)?);
        digests.map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_as_they_were_written_and_stay_what_they_are() {
        let digests = Digests::of(["a", "b", "00000000-0000-4000-8000-000000000001"]);
        // printf a | sha256sum: ca978112…
        assert!(digests.0.contains(&0x00ca_9781));
        let text = serde_json::to_string(&digests).unwrap();
        assert_eq!(serde_json::from_str::<Digests>(&text).unwrap(), digests);
        for wrong in ["\"ypeB/peB\"", "\"yp\"", "\"äb\"", "7"] {
            assert!(serde_json::from_str::<Digests>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_name_takes_one_digest_away() {
        let digests = Digests::of(["a", "a", "b"]);
        assert!(digests.contains("a") && !digests.contains("c"));
        assert_eq!(digests.without(["a", "c"]).len(), 2);
        assert!(digests.without(["a"]).contains("a"));
        assert!(digests.without(["a", "a", "b"]).is_empty());
        assert_eq!(digests.less(&Digests::of(["a"])), digests.without(["a"]));
        assert!(!Digests::default().contains("a"));
    }
}
