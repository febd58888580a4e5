//! The app calls itself: for the next window of a chain, and for the check.

use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{Method, Request};

use super::engine::Engine;
use crate::ports::{Body, Limits, TransportError};

/// The largest response to a self-call that is read, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Why a self-call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelfCallError {
    /// The request cannot be made of these values.
    #[error("the call could not be made")]
    Unusable,
    /// The app, or what is before it, responded with an error.
    #[error("status {0}")]
    Refused(u16),
    /// There is no response.
    #[error("{0}")]
    Transport(#[from] TransportError),
}

/// Sends a request without a body to a path of the app.
///
/// # Errors
/// If the call cannot be made, there is no response, or it is an error.
pub async fn send(
    engine: &Engine,
    method: Method,
    path: &str,
    headers: &[(&str, String)],
    timeout: Duration,
) -> Result<(), SelfCallError> {
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
        .map_err(|_| SelfCallError::Unusable)?;
    let limits = Limits {
        timeout,
        max_bytes: MAX_BYTES,
    };
    let response = engine.ports.send(request, limits).await?;
    match response.status().is_success() {
        true => Ok(()),
        false => Err(SelfCallError::Refused(response.status().as_u16())),
    }
}
