//! Writes JSON objects.

use super::text::Text;

/// Writes JSON objects member by member.
pub(crate) struct ObjectWriter<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> ObjectWriter<'o> {
    /// Opens an object at the end of `out`.
    pub(crate) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Writes a key, escaped already, and returns the buffer that its value is to be appended to.
    #[inline]
    pub(crate) fn key(&mut self, escaped: &str) -> &mut Vec<u8> {
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
    pub(crate) fn json(&mut self, key: &str, json: &str) {
        self.key(key).extend_from_slice(json.as_bytes());
    }

    /// Writes a member whose value is a string, unless it is absent.
    pub(crate) fn text(&mut self, key: &str, text: Option<Text<'_>>) {
        if let Some(text) = text {
            self.string(key, text.escaped());
        }
    }

    /// Writes a member whose value is a string, escaped already.
    #[inline]
    pub(crate) fn string(&mut self, key: &str, escaped: &str) {
        let out = self.key(key);
        out.push(b'"');
        out.extend_from_slice(escaped.as_bytes());
        out.push(b'"');
    }

    /// Closes the object.
    pub(crate) fn close(self) {
        self.out.push(b'}');
    }
}
