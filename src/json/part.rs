//! A record, its parts, and the types that they can be read as.

use std::borrow::Cow;

use bytestring::ByteString;
use serde_json::value::RawValue;

use super::text::Text;

/// A record: JSON text that a parser has accepted, as a slice of the response that it came in.
#[derive(Debug, Clone)]
pub struct Json(ByteString);

impl Json {
    /// The slice of a response that was parsed as `record`.
    #[must_use]
    pub fn slice_of(answer: &ByteString, record: &RawValue) -> Self {
        Self(answer.slice_ref(record.get()))
    }

    /// The whole record.
    #[must_use]
    pub fn part(&self) -> Part<'_> {
        Part(&self.0)
    }

    /// Its text.
    #[must_use]
    pub fn get(&self) -> &str {
        &self.0
    }
}

impl From<Box<RawValue>> for Json {
    fn from(raw: Box<RawValue>) -> Self {
        Self(Box::<str>::from(raw).into())
    }
}

/// A value within a record: JSON text that a parser has accepted, without whitespace around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a>(&'a str);

impl<'a> From<&'a RawValue> for Part<'a> {
    fn from(raw: &'a RawValue) -> Self {
        Self(raw.get())
    }
}

impl<'a> From<&'a Box<RawValue>> for Part<'a> {
    fn from(raw: &'a Box<RawValue>) -> Self {
        Self(raw.get())
    }
}

impl<'a> Part<'a> {
    /// A part of the text that a walk goes through.
    pub(crate) fn within(text: &'a str) -> Self {
        Self(text)
    }

    /// Its JSON text.
    #[must_use]
    pub fn get(self) -> &'a str {
        self.0
    }

    /// The part as a string; `None` if it is something else.
    #[must_use]
    pub fn text(self) -> Option<Text<'a>> {
        let escaped = self.0.strip_prefix('"')?.strip_suffix('"')?;
        Some(Text(escaped))
    }

    /// [`Part::text`] unless it is empty.
    #[must_use]
    pub fn filled_text(self) -> Option<Text<'a>> {
        self.text().filter(|text| !text.is_empty())
    }

    /// The part as an id: a string that is not empty and holds no lone surrogate.
    #[must_use]
    pub fn id(self) -> Option<Cow<'a, str>> {
        let Text(escaped) = self.filled_text()?;
        if !escaped.contains('\\') {
            return Some(Cow::Borrowed(escaped));
        }
        serde_json::from_str(self.0).ok().map(Cow::Owned)
    }
}
