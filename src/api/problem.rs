//! Errors as problem documents (RFC 9457).

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Action, Error};

/// An error answer.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    members: Map<String, Value>,
    /// Further headers.
    pub headers: Box<HeaderMap>,
}

impl Problem {
    /// A problem with its status and short title.
    #[must_use]
    pub fn new(status: StatusCode, title: &str) -> Self {
        let mut members = Map::new();
        members.insert("type".to_owned(), "about:blank".into());
        members.insert("title".to_owned(), title.into());
        members.insert("status".to_owned(), status.as_u16().into());
        Self {
            status,
            members,
            headers: Box::default(),
        }
    }

    /// What exactly is wrong, and what to do.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        self.extension("detail", &detail.into())
    }

    /// A further member.
    #[must_use]
    pub fn extension(mut self, name: &str, value: &impl Serialize) -> Self {
        self.members.insert(
            name.to_owned(),
            serde_json::to_value(value).unwrap_or_default(),
        );
        self
    }

    /// A member, where it has one of this name.
    pub(super) fn member(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// The problem without what it says of runs and plans.
    pub(super) fn bare(mut self) -> Self {
        const KEPT: [&str; 5] = ["type", "title", "status", "detail", "advice"];
        self.members.retain(|name, _| KEPT.contains(&name.as_str()));
        self
    }

    /// When to try again, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.headers.insert(RETRY_AFTER, seconds.into());
        self
    }

    /// The answer.
    #[must_use]
    pub fn into_response(self) -> Response<Bytes> {
        let mut response = Response::new(Value::Object(self.members).to_string().into());
        *response.status_mut() = self.status;
        *response.headers_mut() = *self.headers;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            http::HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
        response
    }
}

/// What an API did, told to the caller: 503 where trying again can help, 502 where something has to be mended.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match error.action() {
            Action::Retry | Action::RetryForAWhile | Action::Wait => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::BAD_GATEWAY,
        };
        let problem = Self::new(
            status,
            "An API that this app depends on did not do its part",
        )
        .detail(error.to_string())
        .extension("advice", &error.advice());
        match error.refusal().and_then(|refusal| refusal.retry_after) {
            Some(wait) => problem.retry_after(wait.as_secs_f64().ceil() as u64),
            None => problem,
        }
    }
}
