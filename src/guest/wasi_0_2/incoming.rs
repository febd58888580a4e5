//! Requests to the app, and their answers.

use bindings::wasi::http::types::{
    Fields, IncomingRequest, Method, OutgoingResponse, ResponseOutparam,
};
use bytes::Bytes;
use http::HeaderMap;

use super::streams;
use crate::api::{MAX_BODY_BYTES, Request};
use crate::guest::bodies::{Arriving, announced};
use crate::guest::{field_list, header_map};
use crate::ports::{Body, TransportError};

/// A request as far as its head goes.
pub(super) fn head(request: &IncomingRequest) -> Request {
    let path = request.path_with_query().unwrap_or_default();
    Request {
        method: method(request.method()),
        path: path.split('?').next().unwrap_or_default().to_owned(),
        headers: header_map(request.headers().entries()),
        body: Bytes::new(),
    }
}

/// Its body; none where that broke off.
pub(super) fn body(
    request: IncomingRequest,
    headers: &HeaderMap,
) -> impl Future<Output = Option<Bytes>> + use<> {
    // one byte more than is taken tells that there is more
    let arriving = Arriving::new(announced(headers), MAX_BODY_BYTES + 1);
    async move {
        let mut arriving = arriving.ok()?;
        match streams::read(request.consume().ok()?, &mut arriving).await {
            Ok(()) | Err(TransportError::TooLarge { .. }) => arriving.finish().ok(),
            Err(_) => None,
        }
    }
}

/// Sends the answer.
pub(super) async fn respond(answer: http::Response<Bytes>, to: ResponseOutparam) {
    let (parts, body) = answer.into_parts();
    let fields = Fields::from_list(&field_list(&parts.headers, body.len()));
    let response = OutgoingResponse::new(fields.unwrap_or_else(|_| Fields::new()));
    // a status of the http crate is one of HTTP
    _ = response.set_status_code(parts.status.as_u16());
    let outgoing = response.body();
    ResponseOutparam::set(to, Ok(response));
    if let Ok(outgoing) = outgoing {
        // whoever asked may have gone
        _ = streams::write(outgoing, Body::from_slices(vec![body])).await;
    }
}

fn method(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Delete => http::Method::DELETE,
        Method::Connect => http::Method::CONNECT,
        Method::Options => http::Method::OPTIONS,
        Method::Trace => http::Method::TRACE,
        Method::Patch => http::Method::PATCH,
        // what is no method is answered as one that no path knows
        Method::Other(name) => http::Method::try_from(name.as_str()).unwrap_or(http::Method::TRACE),
    }
}
