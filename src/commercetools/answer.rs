//! commercetools' error answers, of which status and code are read.

use bytes::Bytes;
use http::Response;
use serde::Deserialize;

use crate::error::{Access, Error, Kind, Peer, Refusal, plain_code};
use crate::retry::retry_after;

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    errors: Vec<ErrorObject>,
}

#[derive(Deserialize)]
struct ErrorObject {
    code: Option<String>,
}

/// Passes an answer that is not an error; makes an [`Error`] of one that is.
pub(super) fn accept(
    peer: Peer,
    operation: &'static str,
    response: Response<Bytes>,
) -> Result<Response<Bytes>, Error> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body: Option<ErrorBody> = serde_json::from_slice(response.body()).ok();
    let code = body.and_then(|body| {
        body.errors
            .into_iter()
            .find_map(|error| error.code)
            .or(body.error)
    });
    let refusal = Refusal {
        status: status.as_u16(),
        code: code.and_then(plain_code),
        retry_after: retry_after(response.headers()),
        pointers: Vec::new(),
    };
    Err(Error {
        peer,
        operation,
        access: Access::default(),
        kind: Kind::Refused(refusal),
    })
}
