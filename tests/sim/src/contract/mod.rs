//! Requests and answers checked against the APIs' OpenAPI descriptions.
//!
//! The descriptions are not part of the tree. [`Contract::shared`] looks for them and says plainly when it finds
//! none.

mod query;
mod recorded;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value, json};

use crate::shared::Shared;
use schema::{Unknown, sample, translate, translate_components};

/// Violations told of one body; the rest is left out.
const MAX_TOLD: usize = 20;
/// Bodies larger than this are checked by samples.
const SAMPLED_FROM: usize = 1_000_000;
/// Longest text of one violation, so that no whole document ends up in it.
const MAX_MESSAGE: usize = 300;

/// Which API a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// `commercetools-openapi.json`
    Commercetools,
    /// `klaviyo-openapi.json`
    Klaviyo,
}

impl Api {
    const ALL: [Api; 2] = [Api::Commercetools, Api::Klaviyo];

    fn file(self) -> &'static str {
        match self {
            Api::Commercetools => "commercetools-openapi.json",
            Api::Klaviyo => "klaviyo-openapi.json",
        }
    }
}

/// The OpenAPI descriptions of both APIs, with validators that are compiled when first needed.
pub struct Contract {
    descriptions: HashMap<Api, Description>,
}

impl std::fmt::Debug for Contract {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contract").finish_non_exhaustive()
    }
}

struct Description {
    operations: Vec<Operation>,
    /// Components in which an object may have properties that are not described.
    open: Value,
    /// Components in which it may not.
    closed: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

struct Operation {
    method: String,
    template: String,
    parameters: Vec<Value>,
    body: Option<Body>,
    responses: Map<String, Value>,
}

struct Body {
    media_type: String,
    schema: Value,
}

impl Contract {
    /// The descriptions, loaded once for all worlds of the process: from the folder in the environment variable
    /// `CONTRACTS_DIR`, else from `../shared/contracts` beside the workspace. `None`, said on standard error, where they
    /// are not there or cannot be read.
    ///
    /// # Panics
    /// If it is `None` where the environment variable `CONTRACTS` says `required`.
    #[must_use]
    pub fn shared() -> Option<Arc<Self>> {
        static SHARED: LazyLock<Option<Arc<Contract>>> =
            LazyLock::new(|| Contract::load_default().map(Arc::new));
        SHARED.clone()
    }

    fn load_default() -> Option<Self> {
        match Self::load(&Shared::Contracts.folder()) {
            Ok(contract) => Some(contract),
            Err(error) => {
                Shared::Contracts.skip("checks against the OpenAPI descriptions", &error);
                None
            }
        }
    }

    fn load(folder: &Path) -> Result<Self, String> {
        let mut descriptions = HashMap::new();
        for api in Api::ALL {
            let path = folder.join(api.file());
            let text = fs::read(&path).map_err(|error| format!("{}: {error}", api.file()))?;
            let document = serde_json::from_slice(&text)
                .map_err(|error| format!("{}: {error}", api.file()))?;
            descriptions.insert(api, Description::new(&document));
        }
        Ok(Self { descriptions })
    }

    /// All that the contract does not allow in a request and its answer, in words.
    #[must_use]
    pub fn check(
        &self,
        api: Api,
        request: &Request<Bytes>,
        response: &Response<Bytes>,
    ) -> Vec<String> {
        let mut found = self.check_request(api, request);
        found.extend(self.check_response(api, request, response));
        found
    }

    /// All that the contract does not allow in a request: path, query, required headers and body. Properties
    /// that are not described count as violations, even where the schema is open.
    #[must_use]
    pub fn check_request(&self, api: Api, request: &Request<Bytes>) -> Vec<String> {
        if is_token_request(request) {
            return Vec::new();
        }
        match self.find(api, request) {
            Some((description, operation)) => description.check_request(operation, request),
            None => vec![format!("{}: not in the contract", name(request))],
        }
    }

    /// All that the contract does not allow in the answer to a request: its status and body. An error status
    /// that the contract does not describe is let through.
    #[must_use]
    pub fn check_response(
        &self,
        api: Api,
        request: &Request<Bytes>,
        response: &Response<Bytes>,
    ) -> Vec<String> {
        if is_token_request(request) {
            return Vec::new();
        }
        match self.find(api, request) {
            Some((description, operation)) => {
                description.check_response(api, operation, is_sparse(request), response)
            }
            None => Vec::new(),
        }
    }

    fn find(&self, api: Api, request: &Request<Bytes>) -> Option<(&Description, &Operation)> {
        let description = self.descriptions.get(&api)?;
        let operation = description.find(request.method().as_str(), request.uri().path())?;
        Some((description, operation))
    }
}

/// The token endpoint is on another host and not described.
fn is_token_request(request: &Request<Bytes>) -> bool {
    request.uri().path().ends_with("/oauth/token")
}

/// Whether a request asks for some of the attributes only (`fields[…]`): then those that the schema requires
/// may be missing too.
fn is_sparse(request: &Request<Bytes>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name.starts_with("fields["))
}

fn name(request: &Request<Bytes>) -> String {
    format!("{} {}", request.method(), request.uri().path())
}

impl Description {
    fn new(document: &Value) -> Self {
        let mut operations = Vec::new();
        for (template, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                if matches!(
                    method.as_str(),
                    "get" | "post" | "patch" | "put" | "delete" | "head"
                ) {
                    operations.push(Operation::new(method, template, operation, document));
                }
            }
        }
        Self {
            operations,
            open: translate_components(&document["components"], Unknown::Allowed),
            closed: translate_components(&document["components"], Unknown::Refused),
            validators: Mutex::default(),
        }
    }

    /// The operation at a path: of several templates that fit, the one with the fewest parameters.
    fn find(&self, method: &str, path: &str) -> Option<&Operation> {
        self.operations
            .iter()
            .filter(|operation| operation.method == method && fits(&operation.template, path))
            .min_by_key(|operation| operation.template.matches('{').count())
    }

    fn check_request(&self, operation: &Operation, request: &Request<Bytes>) -> Vec<String> {
        let mut found = query::check(self, operation, request.uri().query().unwrap_or_default());
        for parameter in &operation.parameters {
            let name = parameter["name"].as_str().unwrap_or_default();
            if parameter["in"] == "header"
                && parameter["required"] == true
                && !request.headers().contains_key(name)
            {
                found.push(format!("{operation}: the header {name} is missing"));
            }
        }
        match &operation.body {
            None if request.body().is_empty() => {}
            None => found.push(format!("{operation}: takes no body")),
            Some(body) => {
                let given = request.headers().get(CONTENT_TYPE);
                let given = given
                    .and_then(|value| value.to_str().ok())
                    .unwrap_or_default();
                if given.split(';').next() != Some(body.media_type.as_str()) {
                    found.push(format!("{operation}: the content type is '{given}'"));
                }
                let validator = self.validator(
                    format!("{operation} request"),
                    &body.schema,
                    Unknown::Refused,
                );
                let violations = Violations {
                    operation,
                    what: "request",
                    sparse: false,
                    answer_of: None,
                };
                found.extend(violations.found_by(&validator, request.body()));
            }
        }
        found
    }

    fn check_response(
        &self,
        api: Api,
        operation: &Operation,
        sparse: bool,
        response: &Response<Bytes>,
    ) -> Vec<String> {
        let status = response.status();
        let class = format!("{}XX", status.as_u16() / 100);
        let described = [status.as_str(), class.as_str(), "default"]
            .into_iter()
            .find_map(|key| operation.responses.get(key));
        let Some(described) = described else {
            return if status.is_client_error() || status.is_server_error() {
                Vec::new()
            } else {
                vec![format!(
                    "{operation}: the status {status} is not in the contract"
                )]
            };
        };
        let content = described["content"].as_object();
        let Some((media_type, content)) = content.and_then(|content| content.iter().next()) else {
            return if response.body().is_empty() {
                Vec::new()
            } else {
                vec![format!("{operation}: {status} has no body in the contract")]
            };
        };
        let mut found = Vec::new();
        let given = response.headers().get(CONTENT_TYPE);
        let given = given
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let may_lack = given.is_empty() && recorded::may_lack_content_type(api, status);
        if given.split(';').next() != Some(media_type.as_str()) && !may_lack {
            found.push(format!(
                "{operation}: {status} has the content type '{given}'"
            ));
        }
        let key = format!("{operation} {status}");
        let validator = self.validator(key, &content["schema"], Unknown::Allowed);
        let violations = Violations {
            operation,
            what: status.as_str(),
            sparse,
            answer_of: Some(api),
        };
        found.extend(violations.found_by(&validator, response.body()));
        found
    }

    /// The validator of a schema, compiled once under `key`.
    fn validator(&self, key: String, schema: &Value, unknown: Unknown) -> Arc<Validator> {
        // A panic elsewhere leaves a map of complete validators.
        let mut validators = self
            .validators
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        validators
            .entry(key)
            .or_insert_with_key(|key| {
                let components = match unknown {
                    Unknown::Allowed => &self.open,
                    Unknown::Refused => &self.closed,
                };
                let root = json!({
                    "allOf": [translate(schema, unknown)],
                    "components": components,
                });
                let validator = jsonschema::options()
                    .with_draft(jsonschema::Draft::Draft202012)
                    .should_validate_formats(true)
                    .build(&root);
                match validator {
                    Ok(validator) => Arc::new(validator),
                    Err(error) => {
                        panic!("the contract's schema for {key} does not compile: {error}")
                    }
                }
            })
            .clone()
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.template)
    }
}

impl Operation {
    fn new(method: &str, template: &str, operation: &Value, document: &Value) -> Self {
        let shared = document["paths"][template]["parameters"].as_array();
        let own = operation["parameters"].as_array();
        let parameters = shared
            .into_iter()
            .chain(own)
            .flatten()
            .map(|parameter| resolved(parameter, document).clone())
            .collect();
        let body = operation["requestBody"]["content"].as_object();
        let body = body.and_then(|content| content.iter().next());
        let responses = operation["responses"].as_object().into_iter().flatten();
        Self {
            method: method.to_uppercase(),
            template: template.to_owned(),
            parameters,
            body: body.map(|(media_type, content)| Body {
                media_type: media_type.clone(),
                schema: content["schema"].clone(),
            }),
            responses: responses
                .map(|(status, response)| (status.clone(), resolved(response, document).clone()))
                .collect(),
        }
    }
}

/// Follows a `$ref` at the top of a parameter or a response.
fn resolved<'a>(value: &'a Value, document: &'a Value) -> &'a Value {
    value["$ref"]
        .as_str()
        .and_then(|reference| document.pointer(reference.strip_prefix('#')?))
        .unwrap_or(value)
}

/// Whether a path has the form of a template, in which `{name}` stands for one segment.
fn fits(template: &str, path: &str) -> bool {
    let mut path = path.split('/');
    let fits = template.split('/').all(|expected| match path.next() {
        Some(segment) if expected.starts_with('{') => !segment.is_empty(),
        segment => segment == Some(expected),
    });
    fits && path.next().is_none()
}

/// Which body violations are told of, and how.
struct Violations<'a> {
    operation: &'a Operation,
    what: &'a str,
    /// Whether attributes may be missing.
    sparse: bool,
    /// The API that answers; `None` in a request.
    answer_of: Option<Api>,
}

impl Violations<'_> {
    /// What a validator finds in a body, in words.
    fn found_by(&self, validator: &Validator, body: &Bytes) -> Vec<String> {
        let Self {
            operation, what, ..
        } = self;
        let mut value: Value = match serde_json::from_slice(body) {
            Ok(value) => value,
            Err(error) => return vec![format!("{operation}: the {what} is not JSON: {error}")],
        };
        if let Some(api) = self.answer_of {
            recorded::as_described(api, &mut value);
        }
        if body.len() > SAMPLED_FROM {
            sample(&mut value);
        }
        validator
            .iter_errors(&value)
            .filter(|error| !(self.sparse && is_missing_attribute(error)))
            .take(MAX_TOLD)
            .map(|error| {
                let mut text = error.to_string();
                if let Some((end, _)) = text.char_indices().nth(MAX_MESSAGE) {
                    text.truncate(end);
                }
                format!("{operation}: {what} at {}: {text}", error.instance_path())
            })
            .collect()
    }
}

fn is_missing_attribute(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), ValidationErrorKind::Required { .. })
        && error.instance_path().as_str().ends_with("/attributes")
}
