//! Answers: JSON:API documents, and refusals in Klaviyo's error format.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::options::Pointers;

/// The media type of every body with content.
pub(super) const MEDIA_TYPE: &str = "application/vnd.api+json";

/// One thing wrong with a request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    code: &'static str,
    title: &'static str,
    detail: String,
    source: Source,
    /// The id in `meta.duplicate_profile_id`.
    duplicate: Option<String>,
    /// What stands beside what all errors have.
    beside: Beside,
}

/// What an error has beside the members that all have: it differs from status to status.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Beside {
    /// `links` and `meta`, empty: 400, 409.
    LinksAndMeta,
    /// A link to the explanation of the rate limits, and `meta`, empty: 429.
    RateLimitLink,
    /// Nothing: 401, 404, 500, and those that were never recorded.
    Nothing,
}

const RATE_LIMIT_LINK: &str =
    "https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling#rate-limits";
/// Where an error is that is about no part of the body.
const WHOLE: &str = "/data/";
/// Where an error is that is about the body as a whole.
const REQUEST: &str = "/data";

/// Where in a request a fault is.
#[derive(Debug, Clone, PartialEq)]
enum Source {
    Nowhere,
    Pointer(String),
    Parameter(String),
}

impl Source {
    fn to_json(&self) -> Value {
        match self {
            Source::Nowhere => json!({}),
            Source::Pointer(pointer) => json!({ "pointer": pointer }),
            Source::Parameter(name) => json!({ "parameter": name }),
        }
    }
}

impl Fault {
    /// A bad value at `pointer` in the body.
    pub(super) fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            code: "invalid",
            title: "Invalid input.",
            detail: detail.into(),
            source: Source::Pointer(pointer.into()),
            duplicate: None,
            beside: Beside::LinksAndMeta,
        }
    }

    /// A bad query parameter.
    pub(super) fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Self {
            source: Source::Parameter(name.to_owned()),
            ..Self::invalid("", detail)
        }
    }

    /// Something wrong with the request as a whole.
    pub(super) fn of_request(detail: impl Into<String>) -> Self {
        Self::invalid(REQUEST, detail)
    }

    /// The same fault, as precise about where it is as these pointers are.
    pub(super) fn pointing(mut self, pointers: Pointers) -> Self {
        if let Source::Pointer(pointer) = &mut self.source {
            match pointers {
                Pointers::Record => {}
                Pointers::List => *pointer = without_indices(pointer),
                Pointers::Request => REQUEST.clone_into(pointer),
                Pointers::Nowhere => self.source = Source::Nowhere,
            }
        }
        self
    }

    /// The same fault, found in a part that begins at `pointer`.
    pub(super) fn under(mut self, pointer: &str) -> Self {
        if let Source::Pointer(inner) = &mut self.source {
            inner.insert_str(0, pointer);
        }
        self
    }

    fn to_json(&self, status: StatusCode, id: &str) -> Value {
        let mut error = json!({
            "id": id,
            "status": status.as_u16(),
            "code": self.code,
            "title": self.title,
            "detail": self.detail,
            "source": self.source.to_json(),
        });
        let links = match self.beside {
            Beside::Nothing => return error,
            Beside::LinksAndMeta => json!({}),
            Beside::RateLimitLink => json!({ "type": RATE_LIMIT_LINK }),
        };
        error["links"] = links;
        error["meta"] = match &self.duplicate {
            Some(id) => json!({ "duplicate_profile_id": id }),
            None => json!({}),
        };
        error
    }
}

fn without_indices(pointer: &str) -> String {
    let names = pointer
        .split('/')
        .filter(|name| name.parse::<usize>().is_err());
    names.collect::<Vec<_>>().join("/")
}

/// A request that is refused as a whole.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    faults: Vec<Fault>,
    retry_after: Option<u64>,
}

impl Refusal {
    fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        let fault = Fault {
            code,
            title,
            detail: detail.into(),
            source: Source::Pointer(WHOLE.to_owned()),
            duplicate: None,
            beside: Beside::Nothing,
        };
        Self {
            status,
            faults: vec![fault],
            retry_after: None,
        }
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "authentication_failed",
            "Incorrect authentication credentials.",
            "Incorrect authentication credentials.",
        )
    }

    pub(super) fn permission_denied(scope: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "permission_denied",
            "You do not have permission to perform this action.",
            format!("The API key lacks the scope {scope}."),
        )
    }

    pub(super) fn revision(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid",
            "Invalid revision.",
            detail,
        )
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found.", detail)
    }

    pub(super) fn wrong_method(method: &http::Method) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "Method not allowed.",
            format!("Method \"{method}\" not allowed."),
        )
    }

    pub(super) fn not_acceptable() -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            "not_acceptable",
            "Not acceptable.",
            format!("The Accept header has to be {MEDIA_TYPE}."),
        )
    }

    pub(super) fn unsupported_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Unsupported media type.",
            format!("The Content-Type header has to be {MEDIA_TYPE}."),
        )
    }

    pub(super) fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            "Payload too large.",
            format!("The body may have {limit} bytes at most."),
        )
    }

    /// A create that met an existing profile, whose id is in `meta.duplicate_profile_id`.
    pub(super) fn duplicate_profile(id: &str) -> Self {
        let mut refusal = Self::new(
            StatusCode::CONFLICT,
            "duplicate_profile",
            "Conflict.",
            "A profile already exists with one of these identifiers.",
        );
        refusal.faults[0].duplicate = Some(id.to_owned());
        refusal.faults[0].source = Source::Pointer("/data/attributes".to_owned());
        refusal.faults[0].beside = Beside::LinksAndMeta;
        refusal
    }

    /// The same refusal with another status.
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Too many calls or jobs; `retry_after` in whole seconds.
    pub(super) fn throttled(retry_after: u64, detail: impl Into<String>) -> Self {
        let mut refusal = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "throttled",
            "Request was throttled.",
            detail,
        );
        refusal.retry_after = Some(retry_after.max(1));
        refusal.faults[0].source = Source::Pointer(REQUEST.to_owned());
        refusal.faults[0].beside = Beside::RateLimitLink;
        refusal
    }

    /// Something broke on Klaviyo's side.
    fn server_error(status: StatusCode) -> Self {
        let text = "A server error occurred.";
        Self::new(status, "error", text, text)
    }

    /// The same refusal without `Retry-After`.
    pub(super) fn untimed(mut self) -> Self {
        self.retry_after = None;
        self
    }

    pub(super) fn is_throttled(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS
    }

    /// The answer; the errors' ids are made of `id`. A 429 has no content type, although it is JSON.
    pub(super) fn into_response(self, id: &str) -> Response<Bytes> {
        let errors: Vec<Value> = self
            .faults
            .iter()
            .enumerate()
            .map(|(n, fault)| fault.to_json(self.status, &error_id(id, n)))
            .collect();
        let mut response = document(self.status, &json!({ "errors": errors }));
        if let Some(seconds) = self.retry_after {
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().remove(CONTENT_TYPE);
        }
        response
    }
}

/// The answer with a 429 or a 500 as these were recorded, to a call that something on the way refuses. Nobody knows what
/// other refusals look like.
#[must_use]
pub fn recorded_refusal(status: u16, retry_after: Option<u32>) -> Option<Response<Bytes>> {
    let refusal = match StatusCode::from_u16(status).ok()? {
        StatusCode::TOO_MANY_REQUESTS => {
            let detail = "Request was throttled.";
            match retry_after {
                Some(seconds) => Refusal::throttled(seconds.into(), detail),
                None => Refusal::throttled(1, detail).untimed(),
            }
        }
        status @ StatusCode::INTERNAL_SERVER_ERROR => Refusal::server_error(status),
        _ => return None,
    };
    Some(refusal.into_response("a refusal on the way"))
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::from(vec![fault])
    }
}

impl From<Vec<Fault>> for Refusal {
    fn from(faults: Vec<Fault>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            faults,
            retry_after: None,
        }
    }
}

/// Passes where nothing was found wrong.
pub(super) fn refuse_if_any(faults: Vec<Fault>) -> Result<(), Refusal> {
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults.into())
    }
}

/// A JSON answer.
pub(super) fn document(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}

/// The bare 202 of an event batch: nothing to read, nothing to poll.
pub(super) fn accepted() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// The id of an error: a UUID made of what it belongs to and its number.
pub(super) fn error_id(of: &str, n: usize) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in of.bytes().chain(n.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let (high, low) = (hash >> 32, hash & 0xffff_ffff);
    format!("{high:08x}-0000-4000-8000-{low:012x}")
}

/// A moment as answers write it: with an offset in place of `Z`.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.f+00:00").to_string()
}
