//! Calls of the app's API, and their answers.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Response};
use klaviyo_bulk_import::api::Request;
use serde_json::Value;

use crate::TOKEN;

/// A call of the app's API.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path, and perhaps a query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Call {
    /// A call with the app's token and without a body.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        let call = Self {
            method,
            path: path.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        call.token(TOKEN)
    }

    /// See [`Call::new`].
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// As [`Call::new`], with a body, which may be empty.
    #[must_use]
    pub fn post(path: impl Into<String>, body: impl ToString) -> Self {
        Self::new(Method::POST, path).body(body.to_string())
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// With this token in the place of the app's.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Without a token.
    #[must_use]
    pub fn without_token(mut self) -> Self {
        self.headers.remove(AUTHORIZATION);
        self
    }

    /// With this header in the place of one of the same name.
    ///
    /// # Panics
    /// Where the value cannot be one.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header's value");
        self.headers.insert(name, value);
        self
    }
}

impl From<Call> for Request {
    fn from(call: Call) -> Self {
        let path = match call.path.split_once('?') {
            Some((path, _)) => path.to_owned(),
            None => call.path,
        };
        Self {
            method: call.method,
            path,
            headers: call.headers,
            body: call.body,
        }
    }
}

/// An answer of the app.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; one that is not JSON as a text.
    pub body: Value,
}

impl From<Response<Bytes>> for Answer {
    fn from(response: Response<Bytes>) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&body)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into())),
        }
    }
}

impl Answer {
    /// Whether a member of the body is a text that contains this one.
    #[must_use]
    pub fn says(&self, member: &str, text: &str) -> bool {
        says(&self.body[member], text)
    }
}

/// Whether this is a text that contains this one.
#[must_use]
pub fn says(value: &Value, text: &str) -> bool {
    value.as_str().is_some_and(|said| said.contains(text))
}
