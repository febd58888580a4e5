//! The app calls itself: for the next window of a chain, and for the check.

use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{Method, Request};

use super::engine::Engine;
use crate::ports::{Body, Limits};

/// Answers to self-calls are well under this, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Sends a request without a body to a path of the app.
///
/// # Errors
/// What came instead of an answer of success, in words: a status, or why there is no answer.
pub async fn send(
    engine: &Engine,
    method: Method,
    path: &str,
    headers: &[(&str, String)],
    timeout: Duration,
) -> Result<(), String> {
    let token = engine.config.api_token.expose();
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", engine.ports.http.self_url()))
        .header(AUTHORIZATION, format!("Bearer {token}"));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request
        .body(Body::default())
        .map_err(|_| "the call could not be made".to_owned())?;
    let limits = Limits {
        timeout,
        max_bytes: MAX_BYTES,
    };
    match engine.ports.send(request, limits).await {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(format!("status {}", response.status().as_u16())),
        Err(error) => Err(error.to_string()),
    }
}
