//! Short digests of names: what the cursor keeps of a job's entries instead of their names.
//!
//! A digest has 24 bits, so that 400 jobs of 100 entries fit into a document that is saved every few seconds. Names are
//! not read from it: records are read again, and those are wanted whose digests are in the list. Another record of the
//! same span has one of 100 digests once in 168,000 times; it is sent and counted again then, which changes nothing in
//! Klaviyo.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// The bytes of one digest, four characters in base64.
const LENGTH: usize = 3;

/// Digests of names, as many as there are names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digests(Vec<[u8; LENGTH]>);

impl Digests {
    /// The digests of these names.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(digest).collect())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them is that of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        !self.0.is_empty() && self.0.contains(&digest(name))
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
            if let Some(index) = left.iter().position(|one| one == other) {
                left.swap_remove(index);
            }
        }
        Self(left)
    }
}

/// The first bytes of the SHA-256 hash. Documents hold them, so they must not change.
fn digest(name: &str) -> [u8; LENGTH] {
    let hash = Sha256::digest(name.as_bytes());
    [hash[0], hash[1], hash[2]]
}

impl Serialize for Digests {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.0.as_flattened()))
    }
}

impl<'de> Deserialize<'de> for Digests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = URL_SAFE_NO_PAD.decode(String::deserialize(deserializer)?);
        let bytes = bytes.map_err(|_| D::Error::custom("digests are in base64"))?;
        let (digests, rest) = bytes.as_chunks::<LENGTH>();
        match rest.is_empty() {
            true => Ok(Self(digests.to_vec())),
            false => Err(D::Error::custom("digests have three bytes each")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_as_they_were_written_and_stay_what_they_are() {
        let digests = Digests::of(["a", "b", "00000000-0000-4000-8000-000000000001"]);
        // printf a | sha256sum: ca978112…
        let text = serde_json::to_string(&digests).unwrap();
        assert!(text.starts_with("\"ypeB"), "{text}");
        assert_eq!(text.len(), 2 + 12);
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
