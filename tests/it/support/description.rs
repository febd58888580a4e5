//! The app's own API by its OpenAPI description: answers are held to it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Response};
use jsonschema::Validator;
use klaviyo_bulk_import::api::description::DESCRIPTION;
use serde_json::{Value, json};

/// Method, path as the description has it, status.
pub(crate) type Key = (String, String, String);

/// What is described of an answer.
struct Described {
    /// None where it has no body.
    media_type: Option<String>,
    body: Validator,
    /// Headers that it always has.
    headers: Vec<String>,
}

pub(crate) fn description() -> Value {
    serde_json::from_str(DESCRIPTION).expect("the description is JSON")
}

/// What a schema of the description allows.
pub(crate) fn validator(description: &Value, schema: &Value) -> Validator {
    let mut schema = schema.clone();
    schema["components"] = json!({"schemas": description["components"]["schemas"]});
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap_or_else(|error| panic!("{schema}: {error}"))
}

/// The operations of the description: path, method, operation.
pub(crate) fn operations(description: &Value) -> impl Iterator<Item = (&String, Method, &Value)> {
    let paths = description["paths"].as_object().expect("paths");
    paths.iter().flat_map(|(path, operations)| {
        let operations = operations.as_object().expect("operations").iter();
        operations
            .filter(|(name, _)| *name != "parameters")
            .map(move |(method, operation)| {
                let method = method.to_ascii_uppercase().parse().expect("a method");
                (path, method, operation)
            })
    })
}

fn described() -> BTreeMap<Key, Described> {
    let description = description();
    let mut described = BTreeMap::new();
    for (path, method, operation) in operations(&description) {
        for (status, answer) in operation["responses"].as_object().expect("answers") {
            let shared = answer["$ref"]
                .as_str()
                .and_then(|name| description.pointer(name.strip_prefix('#')?));
            let answer = shared.unwrap_or(answer);
            let content = answer["content"].as_object().into_iter().flatten().next();
            let headers = answer["headers"].as_object().into_iter().flatten();
            let headers = headers.filter(|(_, header)| header["required"] == true);
            let answer = Described {
                media_type: content.map(|(media_type, _)| media_type.clone()),
                body: match content {
                    Some((_, content)) => validator(&description, &content["schema"]),
                    None => validator(&description, &json!({"const": ""})),
                },
                headers: headers.map(|(name, _)| name.clone()).collect(),
            };
            described.insert((method.to_string(), path.clone(), status.clone()), answer);
        }
    }
    described
}

/// The path as the description has it.
fn template(path: &str) -> String {
    let parts = path.split('/').enumerate().map(|(at, part)| match part {
        "customers" | "orders" | "categories" | "products" => "{resource}",
        _ if at == 3 && path.starts_with("/sync/cron/") => "{token}",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

static DESCRIBED: LazyLock<BTreeMap<Key, Described>> = LazyLock::new(described);

thread_local! {
    /// The answers that this test has seen.
    static SEEN: RefCell<BTreeSet<Key>> = RefCell::default();
}

/// Holds an answer to the description.
pub(crate) fn hold(method: &Method, path: &str, answer: &Response<Bytes>) {
    let is_json = |media_type: &http::HeaderValue| media_type.as_bytes().ends_with(b"json");
    let body: Value = match answer.headers().get(CONTENT_TYPE).is_some_and(is_json) {
        true => serde_json::from_slice(answer.body()).expect("a JSON answer"),
        false => String::from_utf8_lossy(answer.body()).into(),
    };
    let status = answer.status().as_u16().to_string();
    let key = (method.to_string(), template(path), status);
    let described = DESCRIBED.get(&key);
    let described = described.unwrap_or_else(|| panic!("{key:?} is not described: {body}"));
    let errors: Vec<String> = described
        .body
        .iter_errors(&body)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{key:?}: {errors:#?}\n{body}");
    let headers = answer.headers();
    let media_type = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    let as_described = described.media_type.as_deref().map(str::as_bytes);
    assert_eq!(media_type, as_described, "{key:?}");
    for header in &described.headers {
        assert!(headers.contains_key(header), "{key:?}: {header}");
    }
    SEEN.with_borrow_mut(|seen| seen.insert(key));
}

/// The answers that are described and that this test has not seen.
pub(crate) fn unseen() -> Vec<Key> {
    SEEN.with_borrow(|seen| {
        let described = DESCRIBED.keys();
        described
            .filter(|key| !seen.contains(*key))
            .cloned()
            .collect()
    })
}
