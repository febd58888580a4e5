//! Klaviyo's error responses: JSON:API errors, of which status, code and pointers are read.

use bytes::Bytes;
use http::Response;
use serde::Deserialize;

use crate::error::{Access, Error, Kind, Peer, Refusal, plain_code, plain_field};
use crate::retry::retry_after;

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    errors: Vec<ErrorObject>,
}

#[derive(Deserialize)]
struct ErrorObject {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    source: Option<ErrorSource>,
}

/// What an error is about.
#[derive(Deserialize)]
struct ErrorSource {
    #[serde(default)]
    pointer: Option<String>,
}

/// Returns the body of a response of success; turns any other response into an [`Error`].
pub(super) fn accept(operation: &'static str, response: Response<Bytes>) -> Result<Bytes, Error> {
    let status = response.status();
    if status.is_success() {
        return Ok(response.into_body());
    }
    let retry_after = retry_after(response.headers());
    let errors = serde_json::from_slice::<ErrorBody>(response.body())
        .map(|body| body.errors)
        .unwrap_or_default();
    let code = errors
        .iter()
        .find_map(|error| plain_code(error.code.clone()?));
    let pointers = errors
        .into_iter()
        .filter_map(|error| error.source?.pointer)
        .collect();
    let refusal = Refusal {
        status: status.as_u16(),
        code,
        retry_after,
        pointers,
    };
    Err(Error {
        peer: Peer::Klaviyo,
        operation,
        access: Access::default(),
        kind: Kind::Refused(refusal),
    })
}

/// Why Klaviyo rejected a record: the status, its code and the field; never its message, which can quote the record.
pub(super) fn reason(refusal: &Refusal, field: &str) -> String {
    let code = refusal.code.as_deref().unwrap_or("no code");
    match plain_field(field) {
        "" => format!("Klaviyo rejected it: {} {code}", refusal.status),
        field => format!("Klaviyo rejected it: {} {code} at {field}", refusal.status),
    }
}
