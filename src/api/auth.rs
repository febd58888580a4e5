//! Authorization: the bearer token, and the scheduler's token in a path.

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use subtle::ConstantTimeEq;

use super::problem::Problem;
use crate::config::Secret;

/// Checks the bearer token in constant time.
///
/// # Errors
/// 401 with `WWW-Authenticate` if it is missing or wrong.
pub(super) fn authorize(headers: &HeaderMap, token: &Secret) -> Result<(), Problem> {
    let shown = headers
        .get(AUTHORIZATION)
        .map(http::HeaderValue::as_bytes)
        .unwrap_or_default();
    let shown = match shown.split_at_checked(7) {
        Some((scheme, shown)) if scheme.eq_ignore_ascii_case(b"Bearer ") => shown,
        _ => b"",
    };
    if shown.ct_eq(token.expose().as_bytes()).into() {
        return Ok(());
    }
    let mut problem = Problem::new(StatusCode::UNAUTHORIZED, "Unauthorized")
        .detail("Send the api_token of this app: Authorization: Bearer <api_token>");
    problem.headers.insert(
        WWW_AUTHENTICATE,
        http::HeaderValue::from_static("Bearer realm=\"klaviyo-bulk-import\""),
    );
    Err(problem)
}

/// Whether the path contains the scheduler's token; compared in constant time.
pub(super) fn admits_cron(path: &str, token: Option<&Secret>) -> bool {
    let shown = path
        .strip_prefix("/sync/cron/")
        .and_then(|rest| rest.split('/').next());
    match (shown, token) {
        (Some(shown), Some(token)) => shown.as_bytes().ct_eq(token.expose().as_bytes()).into(),
        _ => false,
    }
}
