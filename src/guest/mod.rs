//! The component's entry point, and the ports over the platform.
//!
//! A build has one guest: `wasi_0_2`, which every Spin since 3.0 runs, or, with the feature `wasi-0-3`, `wasi_0_3` in
//! its place. What they share is here.

mod bodies;
mod clock;
#[cfg(not(feature = "wasi-0-3"))]
mod wasi_0_2;
#[cfg(feature = "wasi-0-3")]
mod wasi_0_3;

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

use crate::api::{self, Request};
use crate::app::App;
use crate::config::{Config, Problems, Secret, Values};
use crate::ports::{Limits, Log, Ports, TransportError};

/// A connection that takes longer than this to be made is not going to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

thread_local! {
    /// The app of this instance, with the values that it was made of: its clients keep tokens, rate limits and caches
    /// from one request to the next, where an instance has more than one.
    static APP: RefCell<Option<(Values, Rc<App>)>> = const { RefCell::new(None) };
}

/// Answers a request. `head` has no body yet: that is read only where the head is admitted. `body` gives none where it
/// broke off: half of it, or nothing, would ask for something else.
///
/// `values` are the variables, or the name of one that the platform could not read: its provider may be down for a moment,
/// so nothing is done with what it may be by default.
async fn answer(
    values: Result<Values, &'static str>,
    head: Request,
    body: impl Future<Output = Option<Bytes>>,
    ports: impl FnOnce() -> Ports,
) -> http::Response<Bytes> {
    if let Some(response) = api::public(&head) {
        return response;
    }
    let values = match values {
        Ok(values) => values,
        Err(name) => return unread(name),
    };
    let app = match app(&values, ports) {
        Ok(app) => app,
        Err(problems) => return misconfigured(&values, &head, &problems),
    };
    if let Err(problem) = api::admit(&app, &head) {
        return problem.into_response();
    }
    match body.await {
        Some(body) => api::handle(&app, Request { body, ..head }).await,
        None => api::broken_off(),
    }
}

fn app(values: &Values, ports: impl FnOnce() -> Ports) -> Result<Rc<App>, Problems> {
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

fn unread(name: &'static str) -> http::Response<Bytes> {
    let line = serde_json::json!({
        "time": Timestamp::now().to_string(),
        "event": "variables_unread",
        "variables": [{"variable": name}],
    });
    StandardError.line(&line.to_string());
    api::variables_unread()
}

fn misconfigured(values: &Values, head: &Request, problems: &Problems) -> http::Response<Bytes> {
    let line = serde_json::json!({
        "time": Timestamp::now().to_string(),
        "event": "misconfigured",
        "variables": problems.0,
    });
    StandardError.line(&line.to_string());
    let token = |variable| {
        let is_valid = !problems.0.iter().any(|p| p.variable == variable);
        let token = values.get(variable).filter(|_| is_valid);
        let token = token.map(|token| token.trim().to_owned());
        token.filter(|token| !token.is_empty()).map(Secret::from)
    };
    let tokens = api::Tokens {
        api: token("api_token"),
        cron: token("cron_token"),
    };
    api::misconfigured(head, problems, &tokens)
}

/// Spin takes what a component writes to stderr into its log.
struct StandardError;

impl Log for StandardError {
    fn line(&self, line: &str) {
        eprintln!("{line}");
    }
}

/// The platform waits this much longer than the caller, who bounds the whole in any case ([`Ports::send`]): so an answer
/// that comes too slowly ends in [`TransportError::Timeout`]. Platforms of WASI 0.2 do not always say that of a body.
const GRACE: Duration = Duration::from_secs(1);

/// What the platform is told to bound of a request, in nanoseconds.
struct Timeouts {
    connect: u64,
    first_byte: u64,
    between_bytes: u64,
}

impl Timeouts {
    fn of(limits: &Limits) -> Self {
        let timeout = clock::nanoseconds(limits.timeout.saturating_add(GRACE));
        Self {
            connect: clock::nanoseconds(CONNECT_TIMEOUT.min(limits.timeout)),
            first_byte: timeout,
            between_bytes: timeout,
        }
    }
}

/// The headers of a message whose body has `length` bytes, as the platform takes them.
fn field_list(headers: &HeaderMap, length: usize) -> Vec<(String, Vec<u8>)> {
    let length = ("content-length".to_owned(), length.to_string().into_bytes());
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .chain([length])
        .collect()
}

/// The headers of a message as the platform gives them.
fn header_map(fields: Vec<(String, Vec<u8>)>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    headers
}

/// What a failure of the platform means. Each WASI version has a type for it, with the same cases.
macro_rules! transport_error {
    ($code:expr) => {
        match $code {
            ErrorCode::HttpRequestDenied => TransportError::Denied,
            ErrorCode::ConnectionTimeout
            | ErrorCode::ConnectionReadTimeout
            | ErrorCode::ConnectionWriteTimeout
            | ErrorCode::HttpResponseTimeout
            | ErrorCode::DnsTimeout => TransportError::Timeout,
            other => $crate::guest::connection_error(&format!("{other:?}")),
        }
    };
}
use transport_error;

/// An error that has the name of the platform's alone: what that carries beside it can quote the request.
fn connection_error(code: &str) -> TransportError {
    let name = code.trim_start_matches("ErrorCode::");
    let name = name.split(['(', '{', ' ']).next().unwrap_or("unknown");
    TransportError::Connection(name.to_owned())
}

fn unusable(what: &str) -> TransportError {
    TransportError::Connection(format!("the request has an unusable {what}"))
}
