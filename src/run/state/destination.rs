//! The Klaviyo account that a run feeds.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::Secret;

/// Digits of a key's hash that are shown.
const SHOWN_DIGITS: usize = 12;

/// The Klaviyo account that a run feeds: by its id where the key may read it, and by the key, which is of one account
/// only. Of the key there is a salted hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Destination {
    /// The account's id; absent where no key that fed it could read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The SHA-256 of the salt and the key that fed it last, in hexadecimal digits.
    pub key_hash: String,
    /// What stands before the key when it is hashed: keys of two documents cannot be compared.
    pub salt: String,
}

impl Destination {
    /// The account of this key.
    #[must_use]
    pub fn new(account: Option<String>, key: &Secret) -> Self {
        let salt = format!("{:032x}", fastrand::u128(..));
        Self {
            account,
            key_hash: hash(&salt, key),
            salt,
        }
    }

    /// Whether this key fed it last.
    #[must_use]
    pub fn has_key(&self, key: &Secret) -> bool {
        self.key_hash == hash(&self.salt, key)
    }

    /// As it is shown: `account:` and its id, or `key:` and what the key's hash begins with.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        match &self.account {
            Some(account) => format!("account:{account}"),
            None => {
                let shown = self.key_hash.chars().take(SHOWN_DIGITS);
                format!("key:{}", shown.collect::<String>())
            }
        }
    }
}

fn hash(salt: &str, key: &Secret) -> String {
    let mut hasher = Sha256::new();
    hasher.update(salt);
    hasher.update(key.expose());
    let mut text = String::with_capacity(2 * Sha256::output_size());
    for byte in hasher.finalize() {
        _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Secret {
        text.to_owned().into()
    }

    #[test]
    fn a_key_is_known_by_a_salted_hash() {
        let known = Destination {
            account: None,
            // printf 00key | sha256sum
            key_hash: "9592920736e4020e12f73c7c504c59ecf4226248221d281a949d35e39baa63c4".to_owned(),
            salt: "00".to_owned(),
        };
        assert!(known.has_key(&key("key")));
        assert!(!known.has_key(&key("other")));
        let (one, other) = (
            Destination::new(None, &key("key")),
            Destination::new(None, &key("key")),
        );
        assert!(one.has_key(&key("key")) && other.has_key(&key("key")));
        assert_ne!(one.key_hash, other.key_hash);
    }

    #[test]
    fn neither_key_nor_whole_hash_is_shown() {
        let by_key = Destination::new(None, &key("pk_secret"));
        assert_eq!(by_key.fingerprint().len(), "key:".len() + SHOWN_DIGITS);
        let by_account = Destination::new(Some("AbC123".to_owned()), &key("pk_secret"));
        assert_eq!(by_account.fingerprint(), "account:AbC123");
        assert!(!format!("{by_key:?}").contains("secret"));
    }
}
