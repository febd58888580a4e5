//! Writes JSON text piece by piece, for records that are made by the ten thousand and read once.

/// A JSON text under construction; commas are put in as members are added.
#[derive(Debug, Default)]
pub(crate) struct Json {
    out: String,
}

impl Json {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            out: String::with_capacity(bytes),
        }
    }

    /// The text so far.
    pub(crate) fn into_text(self) -> String {
        self.out
    }

    /// Length of the text so far, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    fn separate(&mut self) {
        if !matches!(self.out.as_bytes().last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(',');
        }
    }

    fn key(&mut self, key: &str) {
        self.separate();
        self.out.push('"');
        self.out.push_str(key);
        self.out.push_str("\":");
    }

    /// An object as the whole text, or as the next element of an array.
    pub(crate) fn element_object(&mut self, members: impl FnOnce(&mut Self)) {
        self.separate();
        self.out.push('{');
        members(self);
        self.out.push('}');
    }

    /// A string as the next element of an array.
    pub(crate) fn element_text(&mut self, value: &str) {
        self.separate();
        self.quoted(value);
    }

    /// The member `key` with a string.
    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.quoted(value);
    }

    /// The member `key` with a string, where there is one.
    pub(crate) fn optional_text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    /// The member `key` with a whole number.
    pub(crate) fn int(&mut self, key: &str, value: i64) {
        self.key(key);
        self.out.push_str(&value.to_string());
    }

    /// The member `key` with a truth value.
    pub(crate) fn flag(&mut self, key: &str, value: bool) {
        self.raw(key, if value { "true" } else { "false" });
    }

    /// The member `key` with a JSON text.
    pub(crate) fn raw(&mut self, key: &str, json: &str) {
        self.key(key);
        self.out.push_str(json);
    }

    /// The member `key` with an object.
    pub(crate) fn object(&mut self, key: &str, members: impl FnOnce(&mut Self)) {
        self.key(key);
        self.out.push('{');
        members(self);
        self.out.push('}');
    }

    /// The member `key` with an array.
    pub(crate) fn array(&mut self, key: &str, elements: impl FnOnce(&mut Self)) {
        self.key(key);
        self.out.push('[');
        elements(self);
        self.out.push(']');
    }

    /// The member `key` with a reference to the resource `id` of type `type_id`.
    pub(crate) fn reference(&mut self, key: &str, type_id: &str, id: &str) {
        self.key(key);
        self.reference_value(type_id, id);
    }

    /// A reference as the next element of an array.
    pub(crate) fn element_reference(&mut self, type_id: &str, id: &str) {
        self.separate();
        self.reference_value(type_id, id);
    }

    fn reference_value(&mut self, type_id: &str, id: &str) {
        self.out.push('{');
        self.text("typeId", type_id);
        self.text("id", id);
        self.out.push('}');
    }

    fn quoted(&mut self, value: &str) {
        self.out.push('"');
        let mut rest = value;
        // All that must be escaped is ASCII, so bytes can be looked at instead of characters.
        let is_special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        while let Some(at) = rest.bytes().position(is_special) {
            self.out.push_str(&rest[..at]);
            match rest.as_bytes()[at] {
                b'"' => self.out.push_str("\\\""),
                b'\\' => self.out.push_str("\\\\"),
                control => self.out.push_str(&format!("\\u{control:04x}")),
            }
            rest = &rest[at + 1..];
        }
        self.out.push_str(rest);
        self.out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut json = Json::default();
        json.element_object(|json| {
            json.text("awkward", "a \"quoted\" \\ line\nend, ümlaut");
            json.array("list", |json| {
                json.element_text("x");
                json.element_reference("category", "1");
            });
            json.object("empty", |_| {});
            json.int("n", -3);
            json.flag("yes", true);
        });
        let value: serde_json::Value = serde_json::from_str(&json.into_text()).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "awkward": "a \"quoted\" \\ line\nend, ümlaut",
                "list": ["x", {"typeId": "category", "id": "1"}],
                "empty": {},
                "n": -3,
                "yes": true,
            })
        );
    }
}
