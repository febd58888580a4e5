//! JSON as it stands: objects, arrays and strings as borrowed slices of the record's own text.
//!
//! Strings are compared and put together in their escaped form, so that nothing is decoded only to be encoded again, and
//! what has no decoded form (a lone surrogate, `"\ud800"`) passes through unharmed.
//!
//! - [`Json`]: a record.
//! - [`Part`]: a part of a record, and what it is read as.
//! - `walk`: goes through a part once, whatever is looked at on the way.
//! - `scan`: where strings, objects and arrays end.
//! - `writer`: puts objects together.

mod part;
mod scan;
mod walk;
mod writer;

use std::borrow::Cow;
use std::fmt;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use serde::de::{Deserializer, Visitor};

pub use self::part::{Json, Part};
pub(super) use self::walk::Walk;
pub(super) use self::writer::ObjectWriter;

/// The members of an object in their order, keys escaped as [`escape`] does it. Of members with the same key the last one
/// counts, at the place of the first, as in JavaScript.
pub(super) type Object<'a> = IndexMap<Cow<'a, str>, Part<'a>, RandomState>;

/// A JSON string: the text between its quotes, escapes and all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    /// Whether it is `""`.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// What stands between the quotes: fit for being put between quotes again, and for nothing else.
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

/// Decodes escaped text. `None` cannot be for text that a parser has read.
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
    // Read as bytes, serde_json lets surrogates pass that stand alone.
    serde_json::Deserializer::from_str(&format!("\"{escaped}\""))
        .deserialize_bytes(Bytes)
        .ok()
}

/// `text` escaped as a JSON string, without quotes.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let json = serde_json::Value::from(text).to_string();
    Cow::Owned(json[1..json.len() - 1].to_owned())
}

/// A key that has escapes, escaped in the one way that [`escape`] does it, so that keys can be compared. One that has no
/// decoded form stays as it is.
fn key(escaped: &str) -> Cow<'_, str> {
    match serde_json::from_str::<String>(&format!("\"{escaped}\"")) {
        Ok(decoded) => Cow::Owned(escape(&decoded).into_owned()),
        Err(_) => Cow::Borrowed(escaped),
    }
}

/// The bytes of the longest string in a JSON text, keys among them, as it is decoded; 0 where none has more than `most`.
pub(super) fn longest_string(json: &str, most: usize) -> usize {
    if !may_hold_string(json.as_bytes(), most) {
        return 0;
    }
    let mut longest = 0;
    let mut rest = json;
    while let Some(start) = rest.find('"') {
        rest = &rest[start + 1..];
        let (end, _) = scan::end_of_string(rest.as_bytes(), 0);
        // Decoding only shortens.
        if end > most {
            longest = longest.max(Text(&rest[..end]).decoded().len());
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    if longest > most { longest } else { 0 }
}

/// Whether a JSON text could hold a string of more than `most` bytes. One would leave a stretch as long without a quote,
/// and in it one of every `most` bytes, so that it is enough to look around these.
fn may_hold_string(json: &[u8], most: usize) -> bool {
    let is_quote = |place: &usize| {
        let before = json[..*place].iter().rev();
        json[*place] == b'"' && before.take_while(|byte| **byte == b'\\').count() % 2 == 0
    };
    (most..json.len()).step_by(most).any(|place| {
        let before = (place - most..place).rev().find(is_quote);
        let after = (place..json.len().min(place + most)).find(is_quote);
        match (before, after) {
            (Some(before), Some(after)) => after - before > most + 1,
            _ => true,
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_longest_string_is_found_where_it_is_too_long(
            texts in prop::collection::vec(r#"[a"\\é]{0,12}"#, 0..12), numbers in 0_u64..u64::MAX, most in 1_usize..12
        ) {
            let json = serde_json::json!({ "": texts, "n": [numbers, numbers, numbers] }).to_string();
            let longest = texts.iter().map(String::len).max().unwrap_or(0).max(1);
            prop_assert_eq!(longest_string(&json, most), if longest > most { longest } else { 0 });
        }
    }
}
