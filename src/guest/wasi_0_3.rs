//! The guest for WASI 0.3, over `spin_sdk`, which only this file names: Spin 4.1 and later.
//!
//! An instance serves many requests, also at the same time, and keeps what it knows from one to the next.

use std::pin::pin;
use std::rc::Rc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{Either, join_all, select};
use http::uri::{Authority, PathAndQuery};
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{FullBody, IncomingMessage};
use spin_sdk::http_service;
use spin_sdk::variables;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Method, RequestOptions, Scheme};
use spin_sdk::wasip3::http::{client, types};
use spin_sdk::wasip3::http_compat::IncomingBody;
use spin_sdk::wasip3::wit_bindgen::StreamResult;
use spin_sdk::wasip3::{wit_bindgen, wit_future, wit_stream};

use super::bodies::{Arriving, Pieces, WRITE_BYTES, announced};
use super::clock::WasiClock;
use super::{StandardError, Timeouts, field_list, header_map, transport_error, unusable};
use crate::api::{MAX_BODY_BYTES, Request};
use crate::config::{VARIABLES, Values};
use crate::ports::{Body, Http, Limits, LocalFuture, Ports, Spawn, TransportError};

#[http_service]
async fn handle(request: spin_sdk::http::Request) -> http::Response<FullBody<Bytes>> {
    let values = read_variables().await;
    let (parts, body) = request.into_parts();
    let announced = announced(&parts.headers);
    let head = Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body: Bytes::new(),
    };
    let body = read_request(body, announced);
    super::answer(values, head, body, ports)
        .await
        .map(FullBody::new)
}

/// The variables; one that is not defined counts as empty.
async fn read_variables() -> Result<Values, &'static str> {
    let values = VARIABLES.map(|name| async move {
        match variables::get(name).await {
            Ok(value) => Ok((name, value)),
            Err(variables::Error::Undefined(_)) => Ok((name, String::new())),
            Err(_) => Err(name),
        }
    });
    join_all(values).await.into_iter().collect()
}

/// The body of a request; none where that broke off.
async fn read_request(body: IncomingBody<types::Request>, announced: Option<u64>) -> Option<Bytes> {
    // one byte more than is taken tells that there is more
    let mut arriving = Arriving::new(announced, MAX_BODY_BYTES + 1).ok()?;
    let mut stream = pin!(body.stream());
    while let Some(chunk) = stream.next().await {
        if arriving.push(&chunk.ok()?).is_err() {
            break;
        }
    }
    arriving.finish().ok()
}

fn ports() -> Ports {
    Ports {
        http: Rc::new(WasiHttp),
        clock: Rc::new(WasiClock::new(|duration| {
            Box::pin(spin_sdk::time::sleep(duration))
        })),
        spawn: Rc::new(WitSpawn),
        log: Rc::new(StandardError),
    }
}

struct WitSpawn;

impl Spawn for WitSpawn {
    fn spawn(&self, work: LocalFuture<'static, ()>) {
        wit_bindgen::spawn(work);
    }
}

struct WasiHttp;

impl Http for WasiHttp {
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
    let length = body.len();
    let fields = Fields::from_list(&field_list(&parts.headers, length));
    let fields = fields.map_err(|_| unusable("header"))?;
    let (mut writer, contents) = wit_stream::new();
    let (trailers_writer, trailers) = wit_future::new(|| Ok(None));
    let options = Some(options(&limits));
    let (request, _sent) = types::Request::new(fields, Some(contents), trailers, options);
    address(&request, &parts)?;

    let writing = async move {
        let mut pieces = Pieces::of(body);
        let mut piece = Vec::with_capacity(WRITE_BYTES.min(length));
        while pieces.next(&mut piece) {
            piece = writer.write_all(piece).await;
            if !piece.is_empty() {
                // the other side has gone
                return;
            }
        }
        drop(writer);
        _ = trailers_writer.write(Ok(None)).await;
    };
    // Not spawned: a task that is spawned while its parent is polled is not polled itself before the parent's next event
    // (wit-bindgen 0.57), and the parent waits for an answer to what has not been written.
    let exchange = pin!(receive(request, limits.max_bytes));
    let writing = pin!(writing);
    match select(exchange, writing).await {
        // the answer may come before all is written
        Either::Left((answer, _)) => answer,
        // where writing has failed, the exchange knows why
        Either::Right(((), exchange)) => exchange.await,
    }
}

fn address(request: &types::Request, parts: &http::request::Parts) -> Result<(), TransportError> {
    let method = Method::from(&parts.method);
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
        .map_err(|()| unusable("path"))
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
    request: types::Request,
    max_bytes: usize,
) -> Result<http::Response<Bytes>, TransportError> {
    let response = client::send(request)
        .await
        .map_err(|code| transport_error!(code))?;
    let mut answer = http::Response::new(Bytes::new());
    *answer.status_mut() = http::StatusCode::from_u16(response.get_status_code())
        .map_err(|_| unusable("status in its answer"))?;
    *answer.headers_mut() = header_map(response.get_headers().copy_all());
    let mut arriving = Arriving::new(announced(answer.headers()), max_bytes)?;
    read(response, &mut arriving).await?;
    let body = arriving.finish()?;
    Ok(answer.map(|_| body))
}

/// Reads a body to its end.
async fn read(response: types::Response, into: &mut Arriving) -> Result<(), TransportError> {
    let (_done, done) = wit_future::new(|| Ok(()));
    let (mut stream, trailers) = IncomingMessage::consume_body(response, done);
    while !into.is_whole() {
        let (result, read) = stream.read(into.take()?).await;
        into.restore(read)?;
        if !matches!(result, StreamResult::Complete(_)) {
            // with what was wrong, where something was
            trailers.await.map_err(|code| transport_error!(code))?;
            break;
        }
    }
    Ok(())
}
