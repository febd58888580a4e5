//! Allowed properties: which members of an object become properties of a profile or an event, and under which names.

use std::borrow::Cow;

use foldhash::fast::RandomState;
use indexmap::{IndexMap, IndexSet};

use crate::config::sync::PropertyRules;
use crate::json::{self, Object, ObjectWriter, Part};

/// Properties as they are collected. A repeated name has its first position and its last value, as when JavaScript
/// objects are spread into one another. Names are escaped, values are JSON text.
#[derive(Debug, Default)]
pub(super) struct Properties<'a>(IndexMap<Cow<'a, str>, Cow<'a, str>, RandomState>);

impl<'a> Properties<'a> {
    /// Adds the allowed properties of an object: those in `include`, or all if it is empty; without those in `exclude`;
    /// without empty values; renamed by `map`.
    pub(super) fn add_allowed(&mut self, object: &Object<'a>, rules: &'a PropertyRules) {
        self.0.reserve(object.len());
        for (key, value) in object {
            if is_empty(value.get()) {
                continue;
            }
            if let Some(name) = allowed_name(key, rules) {
                self.0.insert(name, Cow::Borrowed(value.get()));
            }
        }
    }

    /// The names of properties that a profile may have of an earlier import and that the record says are gone, without
    /// those that are among these properties: members of the object that are allowed and empty, and members that
    /// `include` lists and that the object lacks. Escaped, each once.
    pub(super) fn gone(
        &self,
        object: Option<&Object<'a>>,
        rules: &'a PropertyRules,
    ) -> IndexSet<Cow<'a, str>, RandomState> {
        let members = object.into_iter().flatten();
        let empty = members
            .filter(|(_, value)| is_empty(value.get()))
            .filter_map(|(key, _)| allowed_name(key, rules));
        let is_absent = |key: &str| object.is_none_or(|object| !object.contains_key(key));
        let absent = rules
            .include
            .iter()
            .map(|key| json::escape(key))
            .filter(|key| is_absent(key))
            .filter_map(|key| allowed_name(&key, rules));
        empty
            .chain(absent)
            .filter(|name| !self.0.contains_key(name))
            .collect()
    }

    /// Sets one property to a computed value.
    pub(super) fn set(&mut self, name: &'static str, json: String) {
        self.0.insert(Cow::Borrowed(name), Cow::Owned(json));
    }

    /// The number of properties.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The values, as JSON text.
    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(AsRef::as_ref)
    }

    /// Appends the properties as a JSON object.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.write_noting(out, |_, _| {});
    }

    /// As [`Properties::write`]; calls `note` for each value, with the index in `out` that it is written at.
    pub(super) fn write_noting(&self, out: &mut Vec<u8>, mut note: impl FnMut(usize, &str)) {
        let mut object = ObjectWriter::open(out);
        for (name, value) in &self.0 {
            let out = object.key(name);
            note(out.len(), value);
            out.extend_from_slice(value.as_bytes());
        }
        object.close();
    }
}

/// The name of a property with this key (escaped), if the rules allow it.
fn allowed_name<'a>(key: &Cow<'a, str>, rules: &'a PropertyRules) -> Option<Cow<'a, str>> {
    let listed = |names: &[String]| names.iter().any(|name| json::escape(name) == *key);
    if !rules.include.is_empty() && !listed(&rules.include) || listed(&rules.exclude) {
        return None;
    }
    let renamed = rules
        .map
        .iter()
        .find(|(from, _)| json::escape(from) == *key);
    Some(match renamed {
        Some((_, to)) => json::escape(to),
        None => key.clone(),
    })
}

/// `custom.fields` of a resource, given its `custom`; `None` if it has none.
pub(super) fn custom_fields(custom: Part<'_>) -> Option<Object<'_>> {
    let [fields] = custom.pick(["fields"])?;
    fields?.object()
}

/// Whether a value is null, false, 0 or "". Empty arrays and objects are not.
fn is_empty(json: &str) -> bool {
    match json {
        "null" | "false" | r#""""# => true,
        json => is_zero(json),
    }
}

/// Whether JSON text is the number zero, in any spelling: `0`, `-0`, `0.00`, `0e5`.
fn is_zero(json: &str) -> bool {
    let mantissa = json.split(['e', 'E']).next().unwrap_or(json);
    mantissa
        .bytes()
        .all(|byte| matches!(byte, b'-' | b'0' | b'.'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;

    fn allowed(json: &str, rules: &PropertyRules) -> String {
        let part = Part::from(serde_json::from_str::<&RawValue>(json).unwrap());
        let mut properties = Properties::default();
        properties.add_allowed(&part.object().unwrap(), rules);
        let mut out = Vec::new();
        properties.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn rules(include: &[&str], exclude: &[&str], map: &[(&str, &str)]) -> PropertyRules {
        PropertyRules {
            include: include.iter().map(ToString::to_string).collect(),
            exclude: exclude.iter().map(ToString::to_string).collect(),
            map: map
                .iter()
                .map(|(from, to)| (from.to_string(), to.to_string()))
                .collect(),
        }
    }

    #[test]
    fn empty_values_are_dropped_and_the_rest_stands_as_it_is() {
        let fields =
            r#"{"loyaltyTier":"silver","points":0,"newsletter":false,"preferences":["b"]}"#;
        assert_eq!(
            allowed(fields, &PropertyRules::default()),
            r#"{"loyaltyTier":"silver","preferences":["b"]}"#
        );
        let numbers = r#"{"a":0,"b":-0,"c":0.00,"d":0e5,"e":-0.0E-7,"f":0.10,"g":1e400,"h":[],"i":{},"j":null,"k":"","l":"0","m":true}"#;
        assert_eq!(
            allowed(numbers, &PropertyRules::default()),
            r#"{"f":0.10,"g":1e400,"h":[],"i":{},"l":"0","m":true}"#
        );
    }

    #[test]
    fn include_exclude_and_map_compare_names_whatever_their_escapes() {
        let rules = rules(&["a\"b", "é", "c"], &["c"], &[("é", "e\\")]);
        assert_eq!(
            allowed(r#"{"c":1,"\u00e9":2,"a\u0022b":3,"d":4}"#, &rules),
            r#"{"e\\":2,"a\"b":3}"#
        );
    }

    #[test]
    fn a_name_appears_once_with_the_value_that_came_last() {
        let rules = rules(&[], &[], &[("a", "c")]);
        assert_eq!(
            allowed(r#"{"a":1,"b":2,"c":3}"#, &rules),
            r#"{"c":3,"b":2}"#
        );
        assert_eq!(
            allowed(r#"{"a":1,"b":2,"a":4}"#, &PropertyRules::default()),
            r#"{"a":4,"b":2}"#
        );
    }

    #[test]
    fn what_is_gone_is_empty_or_included_and_absent() {
        let gone = |json: Option<&str>, rules: &PropertyRules| {
            let json: Option<&RawValue> = json.map(|json| serde_json::from_str(json).unwrap());
            let object = json.and_then(|json| Part::from(json).object());
            let mut properties = Properties::default();
            if let Some(object) = &object {
                properties.add_allowed(object, rules);
            }
            let names = properties.gone(object.as_ref(), rules);
            names.into_iter().map(Cow::into_owned).collect::<Vec<_>>()
        };
        let all = PropertyRules::default();
        let fields = r#"{"a":false,"b":0,"c":"","d":null,"e":[],"f":{},"g":"x"}"#;
        assert_eq!(gone(Some(fields), &all), ["a", "b", "c", "d"]);
        assert_eq!(gone(None, &all), [""; 0]);
        let some = rules(&["a", "é", "x", "n"], &["x"], &[("n", "m\"")]);
        assert_eq!(gone(Some(r#"{"a":1,"b":0}"#), &some), ["é", "m\\\""]);
        assert_eq!(gone(Some(r#"{"\u00e9":0}"#), &some), ["é", "a", "m\\\""]);
        assert_eq!(gone(None, &some), ["a", "é", "m\\\""]);
        // another field has the name now
        let renamed = rules(&[], &[], &[("old", "tier")]);
        assert_eq!(gone(Some(r#"{"tier":"","old":"gold"}"#), &renamed), [""; 0]);
        assert_eq!(gone(Some(r#"{"tier":"","old":""}"#), &renamed), ["tier"]);
    }

    fn name() -> impl Strategy<Value = String> {
        "[a-d]{1,2}"
    }

    proptest! {
        #[test]
        fn allowed_properties_are_the_included_minus_the_excluded_minus_the_empty(
            object in prop::collection::btree_map(name(), prop_oneof![
                Just(Value::Null), Just(Value::from(0)), Just(Value::from("")), Just(Value::from("x")), Just(Value::from(1.5)),
            ], 0..8),
            include in prop::collection::vec(name(), 0..4),
            exclude in prop::collection::vec(name(), 0..4),
        ) {
            let rules = PropertyRules { include: include.clone(), exclude: exclude.clone(), map: BTreeMap::new() };
            let json = serde_json::to_string(&object).unwrap();
            let found: BTreeMap<String, Value> = serde_json::from_str(&allowed(&json, &rules)).unwrap();
            let expected: BTreeMap<String, Value> = object
                .into_iter()
                .filter(|(key, _)| include.is_empty() || include.contains(key))
                .filter(|(key, _)| !exclude.contains(key))
                .filter(|(_, value)| value == "x" || value == 1.5)
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
