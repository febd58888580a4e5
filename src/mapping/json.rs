//! JSON as it stands: objects, arrays and strings as borrowed slices of the record's own text.
//!
//! Strings are compared and put together in their escaped form, so that nothing is decoded only to be encoded again, and
//! what has no decoded form (a lone surrogate, `"\ud800"`) passes through unharmed.

use std::borrow::Cow;
use std::fmt;

use indexmap::IndexMap;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON string: the text between its quotes, escapes and all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    /// The string that `raw` is, `None` where it is something else.
    #[must_use]
    pub fn read(raw: &'a RawValue) -> Option<Self> {
        unquoted(raw.get()).map(Self)
    }

    /// [`Text::read`] for a part that may be absent; an empty string counts as absent.
    pub(super) fn read_filled(raw: Option<&'a RawValue>) -> Option<Self> {
        raw.and_then(Self::read).filter(|text| !text.is_empty())
    }

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

/// Decodes escaped text. `None` cannot be for text that comes out of a [`RawValue`].
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

fn unquoted(json: &str) -> Option<&str> {
    json.strip_prefix('"')?.strip_suffix('"')
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

/// A key, escaped in the one way that [`escape`] does it, so that keys can be compared.
fn key(raw: &RawValue) -> Cow<'_, str> {
    let escaped = unquoted(raw.get()).unwrap_or_default();
    if !escaped.contains('\\') {
        return Cow::Borrowed(escaped);
    }
    match serde_json::from_str::<String>(raw.get()) {
        Ok(decoded) => Cow::Owned(escape(&decoded).into_owned()),
        Err(_) => Cow::Borrowed(escaped),
    }
}

/// The members of an object in their order, keys escaped. Of members with the same key the last one counts, at the place
/// of the first, as in JavaScript.
pub(super) type Object<'a> = IndexMap<Cow<'a, str>, &'a RawValue>;

/// The object that `raw` is, `None` where it is something else.
pub(super) fn object(raw: &RawValue) -> Option<Object<'_>> {
    let mut object = Object::default();
    members(raw, |key, value| {
        object.insert(key, value);
    })?;
    Some(object)
}

/// The elements of the array that `raw` is; none where it is absent or something else.
pub(super) fn array(raw: Option<&RawValue>) -> Vec<&RawValue> {
    raw.filter(|raw| raw.get().starts_with('['))
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default()
}

/// The members of an object with these keys, in one pass; `null` counts as absent. `None` where `raw` is not an object.
pub(super) fn pick<'a, const N: usize>(
    raw: &'a RawValue,
    keys: [&str; N],
) -> Option<[Option<&'a RawValue>; N]> {
    pick_and_count(raw, keys).map(|(picked, _)| picked)
}

/// [`pick`], and how many members there are.
pub(super) fn pick_and_count<'a, const N: usize>(
    raw: &'a RawValue,
    keys: [&str; N],
) -> Option<([Option<&'a RawValue>; N], usize)> {
    let mut picked = [None; N];
    let mut count = 0;
    members(raw, |key, value| {
        count += 1;
        if let Some(place) = keys.iter().position(|wanted| *wanted == key) {
            picked[place] = Some(value).filter(|value| value.get() != "null");
        }
    })?;
    Some((picked, count))
}

/// An `id` that can be used: a string that is not empty and holds no lone surrogate.
pub(super) fn id(raw: Option<&RawValue>) -> Option<String> {
    raw.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok())
        .filter(|id| !id.is_empty())
}

/// Shows each member of the object that `raw` is; `None` where it is something else.
fn members<'a>(raw: &'a RawValue, each: impl FnMut(Cow<'a, str>, &'a RawValue)) -> Option<()> {
    struct Members<F>(F);
    impl<'a, F: FnMut(Cow<'a, str>, &'a RawValue)> Visitor<'a> for Members<F> {
        type Value = ();

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<M: MapAccess<'a>>(mut self, mut map: M) -> Result<(), M::Error> {
            while let Some((name, value)) = map.next_entry::<&'a RawValue, &'a RawValue>()? {
                (self.0)(key(name), value);
            }
            Ok(())
        }
    }
    if !raw.get().starts_with('{') {
        return None;
    }
    serde_json::Deserializer::from_str(raw.get())
        .deserialize_map(Members(each))
        .ok()
}

/// The bytes of the longest string in a JSON text, keys among them, as it is decoded.
pub(super) fn longest_string(json: &str, at_least: usize) -> usize {
    let mut longest = 0;
    let mut rest = json;
    while let Some(start) = rest.find('"') {
        rest = &rest[start + 1..];
        let mut end = 0;
        while let Some(step) = rest.as_bytes()[end..]
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\'))
        {
            end += step;
            if rest.as_bytes()[end] == b'"' {
                break;
            }
            end += 2;
        }
        // Decoding only shortens.
        if end >= at_least {
            longest = longest.max(Text(&rest[..end]).decoded().len());
        }
        rest = &rest[(end + 1).min(rest.len())..];
    }
    longest
}

/// Writes JSON objects member by member.
pub(super) struct ObjectWriter<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> ObjectWriter<'o> {
    /// Opens an object at the end of `out`.
    pub(super) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Writes a key, escaped already, and returns where its value is to be written.
    pub(super) fn key(&mut self, escaped: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(escaped.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Writes a member whose value is JSON text.
    pub(super) fn json(&mut self, key: &str, json: &str) {
        self.key(key).extend_from_slice(json.as_bytes());
    }

    /// Writes a member whose value is a string, where it is there.
    pub(super) fn text(&mut self, key: &str, text: Option<Text<'_>>) {
        if let Some(text) = text {
            self.string(key, text.escaped());
        }
    }

    /// Writes a member whose value is a string, escaped already.
    pub(super) fn string(&mut self, key: &str, escaped: &str) {
        let out = self.key(key);
        out.push(b'"');
        out.extend_from_slice(escaped.as_bytes());
        out.push(b'"');
    }

    /// Closes the object.
    pub(super) fn close(self) {
        self.out.push(b'}');
    }
}
