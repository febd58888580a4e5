//! Query parameters against their descriptions.

use serde_json::Value;

use super::schema::Unknown;
use super::{Description, Operation};

/// Checks names and values of all query parameters.
pub(super) fn check(description: &Description, operation: &Operation, query: &str) -> Vec<String> {
    let described: Vec<&Value> = operation
        .parameters
        .iter()
        .filter(|parameter| parameter["in"] == "query")
        .collect();
    let given: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let mut found = Vec::new();
    for (name, value) in &given {
        let parameter = described
            .iter()
            .find(|parameter| is_named(description, operation, parameter, name));
        let Some(parameter) = parameter else {
            found.push(format!(
                "{operation}: the query parameter {name} is not in the contract"
            ));
            continue;
        };
        let schema = &parameter["schema"];
        let key = format!("{operation} query {}", parameter["name"]);
        let validator = description.validator(key, schema, Unknown::Allowed);
        let instance = instance(description, parameter, value);
        if let Err(error) = validator.validate(&instance) {
            found.push(format!("{operation}: query parameter {name}: {error}"));
        }
    }
    for parameter in described {
        let name = parameter["name"].as_str().unwrap_or_default();
        if parameter["required"] == true && !given.iter().any(|(given, _)| given == name) {
            found.push(format!(
                "{operation}: the query parameter {name} is missing"
            ));
        }
    }
    found
}

/// Whether a parameter has this name; `/…/` in the contract is a pattern of names.
fn is_named(
    description: &Description,
    operation: &Operation,
    parameter: &Value,
    name: &str,
) -> bool {
    let described = parameter["name"].as_str().unwrap_or_default();
    let pattern = described
        .strip_prefix('/')
        .and_then(|rest| rest.strip_suffix('/'));
    match pattern {
        None => described == name,
        Some(pattern) => {
            let key = format!("{operation} name {pattern}");
            let schema = serde_json::json!({ "type": "string", "pattern": pattern });
            description
                .validator(key, &schema, Unknown::Allowed)
                .is_valid(&name.into())
        }
    }
}

/// The JSON value that a parameter's text stands for.
fn instance(description: &Description, parameter: &Value, text: &str) -> Value {
    let schema = resolved(description, &parameter["schema"]);
    if schema["type"] != "array" {
        return scalar(schema, text);
    }
    let items = resolved(description, &schema["items"]);
    if parameter["explode"] == false {
        text.split(',').map(|text| scalar(items, text)).collect()
    } else {
        vec![scalar(items, text)].into()
    }
}

/// A number or a boolean where the schema wants one and the text is one; else the text.
fn scalar(schema: &Value, text: &str) -> Value {
    match schema["type"].as_str() {
        Some("integer" | "number" | "boolean") => serde_json::from_str(text)
            .ok()
            .filter(|value: &Value| !value.is_string())
            .unwrap_or_else(|| text.into()),
        _ => text.into(),
    }
}

fn resolved<'a>(description: &'a Description, schema: &'a Value) -> &'a Value {
    schema["$ref"]
        .as_str()
        .and_then(|reference| {
            description
                .open
                .pointer(reference.strip_prefix("#/components")?)
        })
        .unwrap_or(schema)
}
