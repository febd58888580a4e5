//! The description of this API as OpenAPI.

use bytes::Bytes;
use http::Response;
use http::header::CONTENT_TYPE;

/// The description of this API (OpenAPI 3.1).
pub const DESCRIPTION: &str = include_str!("openapi.json");

pub(super) fn description() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(DESCRIPTION.as_bytes()));
    response.headers_mut().insert(
        CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    response
}
