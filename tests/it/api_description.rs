//! The app's own API by its OpenAPI description: calls whose answers are held to it.

use std::collections::HashMap;
use std::rc::Rc;

use http::Method;
use jsonschema::Validator;
use klaviyo_bulk_import::api::{App, DESCRIPTION};
use serde_json::{Value, json};

use crate::support::Setup;
use crate::support::native::{self, app, run};

/// The description, with a validator for every answer.
struct Description {
    answers: HashMap<(String, String, String), Validator>,
}

impl Description {
    fn read() -> Self {
        let description: Value =
            serde_json::from_str(DESCRIPTION).expect("the description is JSON");
        let mut answers = HashMap::new();
        for (path, operations) in description["paths"].as_object().expect("paths") {
            for (method, operation) in operations.as_object().expect("operations") {
                for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
                    let shared = answer["$ref"]
                        .as_str()
                        .and_then(|name| description.pointer(name.strip_prefix('#')?));
                    let content = shared.unwrap_or(answer)["content"]
                        .as_object()
                        .expect("every answer has content");
                    let mut schema =
                        content.values().next().expect("a media type")["schema"].clone();
                    schema["components"] = json!({"schemas": description["components"]["schemas"]});
                    let validator = jsonschema::draft202012::options()
                        .should_validate_formats(true)
                        .build(&schema)
                        .unwrap_or_else(|error| panic!("{method} {path} {status}: {error}"));
                    answers.insert(
                        (method.to_ascii_uppercase(), path.clone(), status.clone()),
                        validator,
                    );
                }
            }
        }
        Self { answers }
    }

    fn check(&self, method: &Method, path: &str, status: u16, body: &Value) {
        let mut template = path.to_owned();
        for resource in ["customers", "orders", "categories", "products"] {
            template = template.replace(&format!("/{resource}"), "/{resource}");
        }
        let key = (method.to_string(), template, status.to_string());
        let validator = self
            .answers
            .get(&key)
            .unwrap_or_else(|| panic!("{key:?} is not described; it is {body}"));
        let errors: Vec<String> = validator
            .iter_errors(body)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{key:?}: {errors:#?}\n{body}");
    }
}

thread_local! {
    static HELD_TO: Description = Description::read();
}

/// As [`native::call`], with an answer that is described.
pub(crate) async fn call(app: &Rc<App>, method: Method, path: &str, body: &str) -> (u16, Value) {
    let (status, answer) = native::call(app, method.clone(), path, body).await;
    HELD_TO.with(|description| description.check(&method, path, status, &answer));
    (status, answer)
}

#[test]
fn the_description_is_served_as_it_is_written() {
    run(async || {
        let mut setup = Setup::customers(0);
        let world = setup.world().await;
        let app = app(&setup, &world);
        let (status, served) = call(&app, Method::GET, "/sync/openapi.json", "").await;
        assert_eq!((status, served["openapi"].as_str()), (200, Some("3.1.0")));
        assert_eq!(
            served,
            serde_json::from_str::<Value>(DESCRIPTION).expect("JSON")
        );
    });
}

#[test]
fn references_and_operation_ids_are_sound() {
    let description: Value = serde_json::from_str(DESCRIPTION).expect("the description is JSON");
    let mut ids = Vec::new();
    for operations in description["paths"].as_object().expect("paths").values() {
        ids.extend(
            operations
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(_, one)| one["operationId"].as_str()),
        );
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an operationId is used twice");
    let mut open = vec![&description];
    while let Some(value) = open.pop() {
        if let Some(name) = value["$ref"].as_str() {
            let found = description.pointer(
                name.strip_prefix('#')
                    .expect("a reference within the description"),
            );
            assert!(found.is_some(), "{name} leads nowhere");
        }
        match value {
            Value::Array(values) => open.extend(values),
            Value::Object(members) => open.extend(members.values()),
            _ => {}
        }
    }
}
