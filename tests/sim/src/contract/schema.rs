//! OpenAPI 3.0 schemas as JSON Schema: `nullable`, patterns for property names, and objects closed on request.

use serde_json::{Map, Value, json};

/// Every so many elements of a long list are looked at.
const SAMPLE_EVERY: usize = 50;

/// Whether an object may have properties that its schema does not list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// As JSON Schema has it.
    Allowed,
    /// Not where properties are listed: for what we send.
    Refused,
}

/// Translates the schemas of `components`; nothing else in it is referred to from schemas.
pub(super) fn translate_components(components: &Value, unknown: Unknown) -> Value {
    let schemas = components["schemas"].as_object().into_iter().flatten();
    let schemas: Map<String, Value> = schemas
        .map(|(name, schema)| (name.clone(), translate(schema, unknown)))
        .collect();
    json!({ "schemas": schemas })
}

/// Translates one schema. Discriminators are left out: what all subtypes share is checked.
pub(super) fn translate(schema: &Value, unknown: Unknown) -> Value {
    let Some(schema) = schema.as_object() else {
        return schema.clone();
    };
    let mut translated = Map::new();
    for (keyword, value) in schema {
        let value = match keyword.as_str() {
            "properties" => {
                let properties = value.as_object().into_iter().flatten();
                properties
                    .map(|(name, schema)| (name.clone(), translate(schema, unknown)))
                    .collect::<Map<_, _>>()
                    .into()
            }
            "items" | "additionalProperties" | "not" => translate(value, unknown),
            // The parts of an allOf each know only some of the properties. (No request body refers to a
            // closed component from an allOf.)
            "allOf" => translate_all(value, Unknown::Allowed),
            "anyOf" | "oneOf" => translate_all(value, unknown),
            "type" | "format" | "enum" | "required" | "pattern" | "minimum" | "maximum"
            | "minLength" | "maxLength" | "minItems" | "maxItems" | "uniqueItems" | "$ref" => {
                value.clone()
            }
            _ => continue,
        };
        translated.insert(keyword.clone(), value);
    }
    let names_by_pattern = |required: &Value| {
        let names = required.as_array().into_iter().flatten();
        names
            .filter_map(Value::as_str)
            .any(|name| name.starts_with('/'))
    };
    // "Any number of properties named like /…/" is written as one required name; the type that goes with it is
    // not reliable (a map of objects is described as one of strings).
    if translated.get("required").is_some_and(names_by_pattern) {
        translated.remove("required");
        translated.remove("additionalProperties");
    }
    let lists_properties =
        translated.contains_key("properties") && !translated.contains_key("allOf");
    if unknown == Unknown::Refused && lists_properties {
        translated
            .entry("additionalProperties")
            .or_insert(Value::Bool(false));
    }
    if schema.get("nullable") == Some(&Value::Bool(true)) {
        json!({ "anyOf": [translated, { "type": "null" }] })
    } else {
        translated.into()
    }
}

fn translate_all(schemas: &Value, unknown: Unknown) -> Value {
    let schemas = schemas.as_array().into_iter().flatten();
    schemas.map(|schema| translate(schema, unknown)).collect()
}

/// Thins out long lists: the first, the last and every fiftieth element stay.
pub(super) fn sample(value: &mut Value) {
    match value {
        Value::Array(elements) => {
            if let Some(last) = elements
                .len()
                .checked_sub(1)
                .filter(|&last| last > SAMPLE_EVERY)
            {
                let mut n = 0;
                elements.retain(|_| {
                    let kept = n == last || n % SAMPLE_EVERY == 0;
                    n += 1;
                    kept
                });
            }
            elements.iter_mut().for_each(sample);
        }
        Value::Object(object) => object.values_mut().for_each(sample),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nullable_and_closed() {
        let schema = json!({
            "type": "object",
            "properties": {
                "properties": { "type": "object", "nullable": true, "example": {} },
                "a": { "properties": { "b": { "type": "string" } } },
            },
        });
        assert_eq!(
            translate(&schema, Unknown::Refused),
            json!({
                "type": "object",
                "properties": {
                    "properties": { "anyOf": [{ "type": "object" }, { "type": "null" }] },
                    "a": { "properties": { "b": { "type": "string" } }, "additionalProperties": false },
                },
                "additionalProperties": false,
            })
        );
    }

    #[test]
    fn names_by_pattern_are_left_open() {
        let schema = json!({
            "type": "object",
            "required": ["/^[a-z]{2}$/"],
            "additionalProperties": { "type": "string" },
        });
        assert_eq!(
            translate(&schema, Unknown::Allowed),
            json!({ "type": "object" })
        );
    }

    #[test]
    fn samples_keep_the_ends() {
        let mut value: Value = (0..175).collect();
        sample(&mut value);
        assert_eq!(value, json!([0, 50, 100, 150, 174]));
        let mut short: Value = (0..50).collect();
        sample(&mut short);
        assert_eq!(short.as_array().map(Vec::len), Some(50));
    }
}
