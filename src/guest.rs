//! The component's entry point, and the ports over the platform. The one place that names `spin_sdk`.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{Either, join_all, select};
use futures_util::{StreamExt, pin_mut};
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{FullBody, IncomingMessage};
use spin_sdk::http_service;
use spin_sdk::variables;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Method, RequestOptions, Scheme};
use spin_sdk::wasip3::http::{client, types};
use spin_sdk::wasip3::{wit_bindgen, wit_future, wit_stream};

use crate::api::{self, MAX_BODY_BYTES, Request};
use crate::app::App;
use crate::config::{Config, Secret, VARIABLES, Values};
use crate::ports::{Body, Clock, Http, Limits, LocalFuture, Log, Ports, Spawn, TransportError};
use crate::run::log::{self, LogEvent};

/// A connection that takes longer than this to be made is not going to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Request bodies are handed over in pieces of this size, in bytes.
const WRITE_BYTES: usize = 256 * 1024;
/// The first piece of an answer that is read where its length is not known, in bytes.
const READ_BYTES: usize = 64 * 1024;

thread_local! {
    /// The app of this instance, with the values that it was made of: its clients keep tokens, rate limits and caches
    /// from one request to the next.
    static APP: RefCell<Option<(Values, Rc<App>)>> = const { RefCell::new(None) };
}

#[http_service]
async fn handle(request: spin_sdk::http::Request) -> http::Response<FullBody<Bytes>> {
    let values = read_variables().await;
    let Some(request) = read_request(request).await else {
        return api::broken_off().map(FullBody::new);
    };
    let response = match app(&values) {
        Ok(app) => api::handle(&app, request).await,
        Err(problems) => {
            let members = serde_json::json!({"variables": problems.0});
            log::write(&ports(), LogEvent::Misconfigured, &members);
            let token = values
                .get("api_token")
                .filter(|_| !problems.0.iter().any(|p| p.variable == "api_token"));
            api::misconfigured(
                &request,
                &problems,
                token
                    .map(|token| Secret::from(token.trim().to_owned()))
                    .as_ref(),
            )
        }
    };
    response.map(FullBody::new)
}

fn app(values: &Values) -> Result<Rc<App>, crate::config::Problems> {
    APP.with_borrow_mut(|known| match known {
        Some((made_of, app)) if made_of == values => Ok(app.clone()),
        _ => {
            // by itself it starts from a clock that begins anew with every instance: two of them would give the same
            // names to their leases and writes
            fastrand::seed(RandomState::new().hash_one(values));
            let app = Rc::new(App::new(Config::parse(values)?, ports()));
            *known = Some((values.clone(), app.clone()));
            Ok(app)
        }
    })
}

/// The variables; one that is not defined counts as empty.
async fn read_variables() -> Values {
    let values =
        VARIABLES.map(|name| async move { (name, variables::get(name).await.unwrap_or_default()) });
    join_all(values).await.into_iter().collect()
}

/// The request with its whole body; `None` where that broke off. Half a body, or none of it, would be another order.
async fn read_request(request: spin_sdk::http::Request) -> Option<Request> {
    let (parts, body) = request.into_parts();
    let stream = body.stream();
    pin_mut!(stream);
    let mut body = Vec::new();
    // one byte more than is taken tells that there is more
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.ok()?;
        let room = (MAX_BODY_BYTES + 1).saturating_sub(body.len());
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() > MAX_BODY_BYTES {
            break;
        }
    }
    Some(Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body: body.into(),
    })
}

fn ports() -> Ports {
    Ports {
        http: Rc::new(WasiHttp),
        clock: Rc::new(WasiClock {
            start: Instant::now(),
        }),
        spawn: Rc::new(WitSpawn),
        log: Rc::new(StandardError),
    }
}

struct WasiClock {
    start: Instant,
}

impl Clock for WasiClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> LocalFuture<'static, ()> {
        Box::pin(spin_sdk::time::sleep(duration))
    }
}

struct WitSpawn;

impl Spawn for WitSpawn {
    fn spawn(&self, work: LocalFuture<'static, ()>) {
        wit_bindgen::spawn(work);
    }
}

/// Spin takes what a component writes to stderr into its log.
struct StandardError;

impl Log for StandardError {
    fn line(&self, line: &str) {
        eprintln!("{line}");
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

fn connection(error: ErrorCode) -> TransportError {
    match error {
        ErrorCode::HttpRequestDenied => TransportError::Denied,
        ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout
        | ErrorCode::DnsTimeout => TransportError::Timeout,
        // the variant's name only: what it carries can quote the request
        other => TransportError::Connection(
            format!("{other:?}")
                .split(['(', '{', ' '])
                .next()
                .unwrap_or("unknown")
                .trim_start_matches("ErrorCode::")
                .to_owned(),
        ),
    }
}

fn unusable(what: &str) -> TransportError {
    TransportError::Connection(format!("the request has an unusable {what}"))
}

async fn send(
    request: http::Request<Body>,
    limits: Limits,
) -> Result<http::Response<Bytes>, TransportError> {
    let (parts, body) = request.into_parts();
    let length = body.len();
    let mut headers: Vec<(String, Vec<u8>)> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect();
    headers.push(("content-length".to_owned(), length.to_string().into_bytes()));
    let headers = Fields::from_list(&headers).map_err(|_| unusable("header"))?;

    let options = RequestOptions::new();
    let nanoseconds = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let timeout = nanoseconds(limits.timeout);
    // a host that cannot bound one of these says so; the caller bounds the whole in any case
    _ = options.set_connect_timeout(Some(nanoseconds(CONNECT_TIMEOUT.min(limits.timeout))));
    _ = options.set_first_byte_timeout(Some(timeout));
    _ = options.set_between_bytes_timeout(Some(timeout));

    let (mut writer, contents) = wit_stream::new();
    let (trailers_writer, trailers) = wit_future::new(|| Ok(None));
    let (request, _sent) = types::Request::new(headers, Some(contents), trailers, Some(options));
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
        .set_authority(parts.uri.authority().map(http::uri::Authority::as_str))
        .map_err(|()| unusable("host"))?;
    request
        .set_path_with_query(
            parts
                .uri
                .path_and_query()
                .map(http::uri::PathAndQuery::as_str),
        )
        .map_err(|()| unusable("path"))?;

    let writing = async move {
        let mut pending = Vec::with_capacity(WRITE_BYTES.min(length));
        for slice in body.into_slices() {
            let mut slice = &slice[..];
            while !slice.is_empty() {
                let (now, later) = slice.split_at(slice.len().min(WRITE_BYTES - pending.len()));
                pending.extend_from_slice(now);
                slice = later;
                if pending.len() == WRITE_BYTES {
                    let unwritten = writer.write_all(std::mem::take(&mut pending)).await;
                    if !unwritten.is_empty() {
                        return;
                    }
                    pending.reserve(WRITE_BYTES);
                }
            }
        }
        if !pending.is_empty() {
            _ = writer.write_all(pending).await;
        }
        drop(writer);
        _ = trailers_writer.write(Ok(None)).await;
    };
    // Not spawned: a task that is spawned while its parent is polled is not polled itself before the parent's next event
    // (wit-bindgen 0.57), and the parent waits for an answer to what has not been written.
    let exchange = receive(request, limits.max_bytes);
    pin_mut!(exchange, writing);
    match select(exchange, writing).await {
        Either::Left((answer, _)) => answer,
        Either::Right(((), exchange)) => exchange.await,
    }
}

async fn receive(
    request: types::Request,
    max_bytes: usize,
) -> Result<http::Response<Bytes>, TransportError> {
    let response = client::send(request).await.map_err(connection)?;
    let mut answer = http::Response::new(Bytes::new());
    *answer.status_mut() = http::StatusCode::from_u16(response.get_status_code())
        .map_err(|_| unusable("status in its answer"))?;
    for (name, value) in response.get_headers().copy_all() {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            answer.headers_mut().append(name, value);
        }
    }
    let body = read_body(response, answer.headers(), max_bytes).await?;
    Ok(answer.map(|_| body))
}

async fn read_body(
    response: types::Response,
    headers: &http::HeaderMap,
    max_bytes: usize,
) -> Result<Bytes, TransportError> {
    let too_large = TransportError::TooLarge { limit: max_bytes };
    let length: Option<usize> = headers
        .get(http::header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length| length > max_bytes) {
        return Err(too_large);
    }
    let (_done, done) = wit_future::new(|| Ok(()));
    let (mut stream, trailers) = IncomingMessage::consume_body(response, done);
    let mut body: Vec<u8> = Vec::with_capacity(length.unwrap_or(READ_BYTES));
    loop {
        if body.len() == body.capacity() {
            body.reserve(body.len().max(READ_BYTES));
        }
        let (result, read) = stream.read(body).await;
        body = read;
        if body.len() > max_bytes {
            return Err(too_large);
        }
        match result {
            wit_bindgen::StreamResult::Complete(_) => {}
            wit_bindgen::StreamResult::Dropped | wit_bindgen::StreamResult::Cancelled => break,
        }
    }
    trailers.await.map_err(connection)?;
    match length {
        Some(length) if length != body.len() => {
            Err(TransportError::Connection("half an answer".to_owned()))
        }
        _ => Ok(body.into()),
    }
}
