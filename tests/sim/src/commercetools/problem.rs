//! Answers, and what the API says when it refuses.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use serde_json::json;

/// A refusal: status, code and message, with the fields that some codes add.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    current_version: Option<u64>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            current_version: None,
        }
    }

    pub(super) fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidInput", message)
    }

    pub(super) fn not_found(what: &str) -> Self {
        let message = format!("The Resource with ID '{what}' was not found.");
        Self::new(StatusCode::NOT_FOUND, "ResourceNotFound", message)
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "The method is not allowed here.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    pub(super) fn invalid_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_token", "invalid_token")
    }

    pub(super) fn invalid_client() -> Self {
        let message = "Please provide valid client credentials using HTTP Basic Authentication.";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", message)
    }

    pub(super) fn invalid_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn insufficient_scope(scopes: &str) -> Self {
        let message =
            format!("Insufficient scope. One of the following scopes is missing: {scopes}.");
        Self::new(StatusCode::FORBIDDEN, "insufficient_scope", message)
    }

    pub(super) fn concurrent_modification(asked: u64, current: u64) -> Self {
        let message =
            format!("Version mismatch. Concurrent modification: expected {asked}, is {current}.");
        Self {
            current_version: Some(current),
            ..Self::new(StatusCode::CONFLICT, "ConcurrentModification", message)
        }
    }

    pub(super) fn duplicate_field() -> Self {
        let message = "A duplicate combination of values for unique fields exists.";
        Self::new(StatusCode::BAD_REQUEST, "DuplicateField", message)
    }

    pub(super) fn into_response(self) -> Response<Bytes> {
        // The contract describes no body for a 404.
        if self.status == StatusCode::NOT_FOUND {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = self.status;
            return response;
        }
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(version) = self.current_version {
            error["currentVersion"] = version.into();
        }
        let mut body = json!({
            "statusCode": self.status.as_u16(),
            "message": self.message,
            "errors": [error],
        });
        // Refusals of the authorization say the same once more in OAuth's own members.
        if self.code.starts_with(|c: char| c.is_ascii_lowercase()) {
            body["error"] = self.code.into();
            body["error_description"] = self.message.into();
        }
        answer(self.status, body.to_string())
    }
}

/// An answer with a JSON body.
pub(super) fn answer(status: StatusCode, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
