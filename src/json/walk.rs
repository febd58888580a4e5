//! Visits JSON text in one pass, value by value.
//!
//! A parser has accepted the text before, so it is not checked again: only the ends of values are looked for. On text
//! that is not JSON nothing panics or loops for ever, but the results mean nothing.

use std::borrow::Cow;

use foldhash::fast::RandomState;
use indexmap::IndexMap;

use super::part::Part;
use super::scan;
use super::text::key;

/// The members of an object in order, keys escaped as [`escape`](super::text::escape) writes them. A repeated key has
/// its first position and its last value, as in JavaScript.
pub(crate) type Object<'a> = IndexMap<Cow<'a, str>, Part<'a>, RandomState>;

/// A position in JSON text, in front of a value.
pub(crate) struct Walk<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Walk<'a> {
    /// A walk that begins in front of the value `text`.
    pub(crate) fn through(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The position in the text, in bytes.
    pub(crate) fn place(&self) -> usize {
        self.at
    }

    /// Moves past the value here and returns it.
    pub(crate) fn value(&mut self) -> Part<'a> {
        let start = self.at;
        self.at = scan::end_of_value(self.text.as_bytes(), start);
        self.since(start)
    }

    /// Moves past the value here and returns it. If it is an object, calls `each` with the key of every member, in
    /// front of the member's value; a value that `each` does not read is passed.
    pub(crate) fn object(&mut self, mut each: impl FnMut(Cow<'a, str>, &mut Self)) -> Part<'a> {
        self.nest(b'{', |walk| {
            let key = walk.key();
            let value = walk.at;
            each(key, walk);
            if walk.at == value {
                walk.value();
            }
        })
    }

    /// Moves past the value here and returns it. If it is an array, calls `each` in front of every element; an element
    /// that `each` does not read is passed.
    pub(crate) fn array(&mut self, mut each: impl FnMut(&mut Self)) -> Part<'a> {
        self.nest(b'[', |walk| {
            let element = walk.at;
            each(walk);
            if walk.at == element {
                walk.value();
            }
        })
    }

    /// Moves past the value here and returns it. If it is an object, also returns its members with these keys; `null`
    /// counts as absent.
    pub(crate) fn pick<const N: usize>(
        &mut self,
        keys: [&str; N],
    ) -> (Part<'a>, [Option<Part<'a>>; N]) {
        let mut picked = [None; N];
        let part = self.object(|key, walk| {
            if let Some(place) = keys.iter().position(|wanted| *wanted == key) {
                picked[place] = Some(walk.value()).filter(|value| value.get() != "null");
            }
        });
        (part, picked)
    }

    fn nest(&mut self, open: u8, mut each: impl FnMut(&mut Self)) -> Part<'a> {
        let start = self.at;
        if self.byte() != Some(open) {
            return self.value();
        }
        self.at += 1;
        self.pass(b',');
        while let Some(byte) = self.byte() {
            if matches!(byte, b'}' | b']') {
                self.at += 1;
                break;
            }
            each(self);
            self.pass(b',');
        }
        self.since(start)
    }

    /// Moves past a key and its colon, and returns the key.
    fn key(&mut self) -> Cow<'a, str> {
        let start = self.at + 1;
        let (end, has_escapes) = scan::end_of_string(self.text.as_bytes(), start);
        let escaped = self.text.get(start..end).unwrap_or_default();
        self.at = end + 1;
        self.pass(b':');
        if has_escapes {
            key(escaped)
        } else {
            Cow::Borrowed(escaped)
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Moves past whitespace and `separator`.
    fn pass(&mut self, separator: u8) {
        while let Some(byte) = self.byte()
            && (byte == separator || scan::is_space(byte))
        {
            self.at += 1;
        }
    }

    fn since(&self, start: usize) -> Part<'a> {
        Part::within(self.text.get(start..self.at).unwrap_or_default())
    }
}

impl<'a> Part<'a> {
    /// A walk through the part, from its start.
    pub(crate) fn walk(self) -> Walk<'a> {
        Walk::through(self.get())
    }

    pub(crate) fn is_object(self) -> bool {
        self.get().starts_with('{')
    }

    /// The part as an object; `None` if it is something else.
    pub(crate) fn object(self) -> Option<Object<'a>> {
        let mut object = Object::default();
        self.walk().object(|key, walk| {
            object.insert(key, walk.value());
        });
        self.is_object().then_some(object)
    }

    /// The elements of the part as an array; none if it is something else.
    pub(crate) fn array(self) -> Vec<Self> {
        let mut elements = Vec::new();
        self.walk().array(|walk| elements.push(walk.value()));
        elements
    }

    /// The members with these keys of the part as an object; `null` counts as absent. `None` if the part is something
    /// else.
    pub(crate) fn pick<const N: usize>(self, keys: [&str; N]) -> Option<[Option<Self>; N]> {
        let (_, picked) = self.walk().pick(keys);
        self.is_object().then_some(picked)
    }
}

#[cfg(test)]
mod tests {
    use std::iter::once;

    use proptest::prelude::*;
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let text = || r#"[a{}\[\]",:\\\n é🔪]{0,20}"#;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text().prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((text(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// The text of a value with whitespace wherever JSON allows it.
    fn spaced(value: &Value) -> String {
        let spaced = |values: Vec<String>| values.join("\r ,\t");
        match value {
            Value::Array(elements) => {
                format!(
                    "[\n {} ]",
                    spaced(elements.iter().map(self::spaced).collect())
                )
            }
            Value::Object(members) => {
                let member = |(key, value): (&String, &Value)| {
                    format!("{} : \t{}", Value::from(&**key), self::spaced(value))
                };
                format!("{{ {}\r\n}}", spaced(members.iter().map(member).collect()))
            }
            other => other.to_string(),
        }
    }

    fn part(json: &str) -> Part<'_> {
        serde_json::from_str::<&RawValue>(json).unwrap().into()
    }

    proptest! {
        #[test]
        fn parts_are_what_a_parser_reads(value in any_value(), is_spaced: bool) {
            let json = if is_spaced { spaced(&value) } else { value.to_string() };
            let whole = part(&json);
            prop_assert_eq!(whole.walk().value(), whole);

            let expected: Vec<&RawValue> = serde_json::from_str(&json).unwrap_or_default();
            prop_assert_eq!(whole.array(), expected.into_iter().map(Part::from).collect::<Vec<_>>());

            let mut members = Vec::new();
            prop_assert_eq!(whole.walk().object(|key, walk| members.push((key, walk.value()))), whole);
            for (key, part) in &members {
                let key: String = serde_json::from_str(&format!("\"{key}\"")).unwrap();
                let read: Value = serde_json::from_str(part.get()).unwrap();
                prop_assert_eq!(&read, &value[key]);
            }
            prop_assert_eq!(members.len(), value.as_object().map_or(0, |members| members.len()));
        }

        #[test]
        fn what_is_left_standing_is_walked_over(value in any_value()) {
            let json = format!(r#"[{value}, {{"a" : {value} }} ,7]"#);
            let (mut elements, mut members) = (0, 0);
            part(&json).walk().array(|walk| {
                elements += 1;
                if elements == 2 {
                    walk.object(|_, _| members += 1);
                }
            });
            prop_assert_eq!((elements, members), (3, 1));
        }

        #[test]
        fn what_is_no_json_ends_all_the_same(text in r#"[{}\[\]",:\\ aé1]{0,40}"#) {
            for text in once("").chain(text.char_indices().map(|(place, _)| &text[place..])) {
                Walk::through(text).object(|_, walk| {
                    walk.array(|walk| {
                        walk.object(|_, _| {});
                    });
                });
            }
        }
    }

    #[test]
    fn what_repeats_a_key_has_the_last_value_at_the_first_place() {
        let object = part(r#"{"a":1,"b":2,"\u0061":3}"#).object().unwrap();
        let members: Vec<_> = object
            .iter()
            .map(|(key, part)| (&**key, part.get()))
            .collect();
        assert_eq!(members, [("a", "3"), ("b", "2")]);
    }

    #[test]
    fn keys_compare_whatever_their_escapes() {
        let json = r#"{"\u00e9\/\"":1,"\ud800":2,"\ud83d\ude00":3}"#;
        let object = part(json).object().unwrap();
        let keys: Vec<_> = object.keys().map(|key| &**key).collect();
        assert_eq!(keys, [r#"é/\""#, r"\ud800", "😀"]);
    }

    #[test]
    fn depth_costs_no_stack() {
        let depth = 100_000;
        let json = format!(
            r#"{{"a":{}"]"{},"b":1}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        );
        let [a, b] = part(&json).pick(["a", "b"]).unwrap();
        assert_eq!(a.map(|part| part.get().len()), Some(2 * depth + 3));
        assert_eq!(b.map(Part::get), Some("1"));
    }
}
