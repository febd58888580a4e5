//! How deep a JSON text is, how long its arrays are, and how large its integers.

use super::scan;

/// The extremes of a JSON text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Extremes {
    /// Objects and arrays within one another; 0 for a value that is neither.
    pub(crate) levels: usize,
    /// The entries of its longest array.
    pub(crate) entries: usize,
    /// Whether it holds an integer that 64 bits with a sign cannot hold.
    pub(crate) has_large_integer: bool,
}

/// An integer of fewer bytes always fits into 64 bits.
const LARGE_INTEGER_BYTES: usize = 19;

impl Extremes {
    /// Finds them in one pass, which skips strings eight bytes at a time.
    pub(crate) fn of(json: &str) -> Self {
        let bytes = json.as_bytes();
        let mut found = Self::default();
        // of each object and array that is open, how many commas it has had
        let mut open: Vec<usize> = Vec::new();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => at = scan::end_of_string(bytes, at + 1).0,
                b'{' | b'[' => {
                    open.push(0);
                    found.levels = found.levels.max(open.len());
                }
                b',' => {
                    if let Some(commas) = open.last_mut() {
                        *commas += 1;
                    }
                }
                b'}' => _ = open.pop(),
                b']' => {
                    let commas = open.pop().unwrap_or_default();
                    let is_empty = commas == 0 && json[..at].trim_end().ends_with('[');
                    let entries = commas + usize::from(!is_empty);
                    found.entries = found.entries.max(entries);
                }
                b'-' | b'0'..=b'9' => {
                    let end = scan::end_of_value(bytes, at);
                    let number = &json[at..end];
                    found.has_large_integer |= is_large_integer(number);
                    at = end - 1;
                }
                _ => {}
            }
            at += 1;
        }
        found
    }
}

fn is_large_integer(number: &str) -> bool {
    number.len() >= LARGE_INTEGER_BYTES
        && !number.contains(['.', 'e', 'E'])
        && number.parse::<i64>().is_err()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn levels_entries_and_integers_are_found() {
        let of = |json: &str| {
            let found = Extremes::of(json);
            (found.levels, found.entries, found.has_large_integer)
        };
        assert_eq!(of("5"), (0, 0, false));
        assert_eq!(of(r#""[[[,,,""#), (0, 0, false));
        assert_eq!(of("[]"), (1, 0, false));
        assert_eq!(of("[ ]"), (1, 0, false));
        assert_eq!(of(r#"{"a]":[[1,2],[{}]],"b":[3]}"#), (4, 2, false));
        assert_eq!(of(r#"["\"[",[ "x" , "y" , 1 ]]"#), (2, 3, false));
        assert_eq!(
            of("[9223372036854775807,-9223372036854775808]"),
            (1, 2, false)
        );
        assert_eq!(of("9223372036854775808"), (0, 0, true));
        assert_eq!(of(r#"{"n": -9223372036854775809 }"#), (1, 0, true));
        assert_eq!(of("[123456789012345678901234567890]"), (1, 1, true));
        // no integers
        assert_eq!(of("[1234567890123456789012.5,1e999]"), (1, 2, false));
        assert_eq!(of(r#"["9223372036854775808"]"#), (1, 1, false));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            r#"[\[\]{},"\\a]{0,6}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::hash_map(r#"[\[,"a]{0,3}"#, inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn expected(value: &Value) -> (usize, usize) {
        let deepest = |values: &mut dyn Iterator<Item = &Value>| {
            values.map(expected).fold((0, 0), |one, other| {
                (one.0.max(other.0), one.1.max(other.1))
            })
        };
        match value {
            Value::Array(values) => {
                let (levels, entries) = deepest(&mut values.iter());
                (levels + 1, entries.max(values.len()))
            }
            Value::Object(members) => {
                let (levels, entries) = deepest(&mut members.values());
                (levels + 1, entries)
            }
            _ => (0, 0),
        }
    }

    proptest! {
        #[test]
        fn they_are_those_of_the_parsed_value(value in json()) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let found = Extremes::of(&text);
                prop_assert_eq!((found.levels, found.entries), expected(&value));
                prop_assert!(!found.has_large_integer);
            }
        }

        #[test]
        fn text_that_is_not_json_is_read_to_its_end(text in "[\\[\\]{},\"0-9a\\\\ -]{0,40}") {
            let _ = Extremes::of(&text);
        }
    }
}
