//! Requests that the app sends.

use std::pin::pin;

use bindings::wasi::http::outgoing_handler;
use bindings::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, Method, OutgoingRequest, RequestOptions, Scheme,
};
use bytes::Bytes;
use futures_util::future::{Either, select};
use http::uri::{Authority, PathAndQuery};

use super::{reactor, streams};
use crate::guest::bodies::{Arriving, announced};
use crate::guest::{Timeouts, field_list, header_map, transport_error, unusable};
use crate::ports::{Body, Http, Limits, LocalFuture, TransportError};

pub(super) struct WasiHttp;

impl Http for WasiHttp {
    /// A port without a host: Spin has no name for the app itself before 3.2, and every Spin since 3.0 takes a request
    /// without a host for one to the app itself.
    fn self_url(&self) -> &'static str {
        "http://:80"
    }

    fn send(
        &self,
        request: http::Request<Body>,
        limits: Limits,
    ) -> LocalFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        Box::pin(send(request, limits))
    }
}

async fn send(
    request: http::Request<Body>,
    limits: Limits,
) -> Result<http::Response<Bytes>, TransportError> {
    let (parts, body) = request.into_parts();
    let request = outgoing_request(&parts, body.len())?;
    let outgoing = request.body().map_err(|()| unusable("body"))?;
    let answer = outgoing_handler::handle(request, Some(options(&limits)))
        .map_err(|code| transport_error!(code))?;
    let exchange = pin!(receive(answer, limits.max_bytes));
    let writing = pin!(streams::write(outgoing, body));
    match select(exchange, writing).await {
        // the answer may come before all is written
        Either::Left((answer, _)) => answer,
        // where writing has failed, the exchange knows why
        Either::Right((_, exchange)) => exchange.await,
    }
}

fn outgoing_request(
    parts: &http::request::Parts,
    length: usize,
) -> Result<OutgoingRequest, TransportError> {
    let fields = Fields::from_list(&field_list(&parts.headers, length));
    let request = OutgoingRequest::new(fields.map_err(|_| unusable("header"))?);
    let method = match parts.method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        other => Method::Other(other.to_owned()),
    };
    request
        .set_method(&method)
        .map_err(|()| unusable("method"))?;
    let scheme = match parts.uri.scheme_str() {
        Some("https") => Scheme::Https,
        _ => Scheme::Http,
    };
    request
        .set_scheme(Some(&scheme))
        .map_err(|()| unusable("scheme"))?;
    request
        .set_authority(parts.uri.authority().map(Authority::as_str))
        .map_err(|()| unusable("host"))?;
    request
        .set_path_with_query(parts.uri.path_and_query().map(PathAndQuery::as_str))
        .map_err(|()| unusable("path"))?;
    Ok(request)
}

fn options(limits: &Limits) -> RequestOptions {
    let timeouts = Timeouts::of(limits);
    let options = RequestOptions::new();
    // a host that cannot bound one of these says so
    _ = options.set_connect_timeout(Some(timeouts.connect));
    _ = options.set_first_byte_timeout(Some(timeouts.first_byte));
    _ = options.set_between_bytes_timeout(Some(timeouts.between_bytes));
    options
}

async fn receive(
    answer: FutureIncomingResponse,
    max_bytes: usize,
) -> Result<http::Response<Bytes>, TransportError> {
    let response = loop {
        match answer.get() {
            Some(Ok(response)) => break response.map_err(|code| transport_error!(code))?,
            Some(Err(())) => return Err(unusable("answer")),
            None => reactor::wait(answer.subscribe()).await,
        }
    };
    let mut answer = http::Response::new(Bytes::new());
    *answer.status_mut() = http::StatusCode::from_u16(response.status())
        .map_err(|_| unusable("status in its answer"))?;
    *answer.headers_mut() = header_map(response.headers().entries());
    let mut arriving = Arriving::new(announced(answer.headers()), max_bytes)?;
    let body = response.consume().map_err(|()| unusable("answer"))?;
    streams::read(body, &mut arriving).await?;
    let body = arriving.finish()?;
    Ok(answer.map(|_| body))
}
