//! Strings in their escaped form.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Visitor};

/// A JSON string: the text between its quotes, escapes included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Text<'a>(pub(super) &'a str);

impl<'a> Text<'a> {
    /// Whether it is `""`.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The text between the quotes. It can only be used between quotes again.
    #[must_use]
    pub fn escaped(self) -> &'a str {
        self.0
    }

    /// The string itself; a lone surrogate becomes U+FFFD.
    #[must_use]
    pub fn decoded(self) -> Cow<'a, str> {
        if self.0.contains('\\') {
            Cow::Owned(decode(self.0).unwrap_or_default())
        } else {
            Cow::Borrowed(self.0)
        }
    }
}

/// Decodes escaped text. Never `None` for text that a parser has accepted.
fn decode(escaped: &str) -> Option<String> {
    struct Bytes;
    impl Visitor<'_> for Bytes {
        type Value = String;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a string")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
            Ok(String::from_utf8_lossy(bytes).into_owned())
        }
    }
    // Read as bytes, serde_json accepts lone surrogates.
    serde_json::Deserializer::from_str(&format!("\"{escaped}\""))
        .deserialize_bytes(Bytes)
        .ok()
}

/// `text` escaped as a JSON string, without quotes.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let json = serde_json::Value::from(text).to_string();
    Cow::Owned(json[1..json.len() - 1].to_owned())
}

/// Rewrites the escapes of a key as [`escape`] writes them, so that keys can be compared. A key without a decoded form
/// stays as it is.
pub(super) fn key(escaped: &str) -> Cow<'_, str> {
    match serde_json::from_str::<String>(&format!("\"{escaped}\"")) {
        Ok(decoded) => Cow::Owned(escape(&decoded).into_owned()),
        Err(_) => Cow::Borrowed(escaped),
    }
}
