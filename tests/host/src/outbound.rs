//! What guests send: who may be called, one pool of connections for all instances, and the place where tests interfere.

use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use clock::{Call, Clock};
use http::header::HOST;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tower_service::Service;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::allowed_hosts::AllowedHosts;
use crate::gate::Hold;
use crate::idle_body::IdleBody;
use crate::instance::Fleet;
use crate::stats::Counters;
use crate::tls::{tcp, with_tls};

/// The host by which an application calls itself, as in Spin: `http://self.alt/<path>`.
const SELF: &str = "self.alt";

/// How long to wait for each step of a call when the guest sets no limit of its own; Spin's and wasmtime's default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// How long an unused connection stays open, in real time.
const POOL_IDLE: Duration = Duration::from_secs(90);

/// Sees every request that a guest is allowed to send and decides what becomes of it.
pub trait Outbound: Send + Sync {
    /// Decides about the `n`th request (from 0, over all instances). A self-call's URI is `http://self.alt/...`.
    fn decide(&self, n: u64, request: &http::request::Parts) -> Verdict;

    /// What the request, about which has been decided, waits for: the guest's own time-outs go on meanwhile.
    fn hold(&self, _n: u64, _request: &http::request::Parts) -> Held {
        Held::default()
    }
}

/// Where a request waits.
#[derive(Default)]
pub struct Held {
    /// Before it is sent.
    pub before: Option<Hold>,
    /// When it has taken effect, before its answer arrives.
    pub after: Option<Hold>,
}

/// What becomes of an outbound request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is sent, and its answer arrives.
    Pass,
    /// It fails before it is sent.
    LoseBefore,
    /// It takes effect, and its answer is lost.
    LoseAfter,
    /// Every instance is killed before it is sent.
    KillBefore,
    /// It takes effect, and every instance is killed before the answer arrives.
    KillAfter,
}

/// Lets every request pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct PassAll;

impl Outbound for PassAll {
    fn decide(&self, _: u64, _: &http::request::Parts) -> Verdict {
        Verdict::Pass
    }
}

/// The way out that all instances of a host share.
pub(crate) struct Gateway {
    client: Client<HttpsConnector<Connector>, WasiBody>,
    /// Where the application itself listens.
    own: Authority,
    clock: Clock,
    outbound: Arc<dyn Outbound>,
    fleet: Arc<Fleet>,
    counters: Arc<Counters>,
    sent: AtomicU64,
}

impl Gateway {
    pub(crate) fn new(
        own: Authority,
        clock: Clock,
        outbound: Arc<dyn Outbound>,
        fleet: Arc<Fleet>,
        counters: Arc<Counters>,
    ) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            // wasmtime sets the header from the guest's URI.
            .set_host(false)
            .build(with_tls(Connector {
                plain: tcp(),
                clock: clock.clone(),
            }));
        Self {
            client,
            own,
            clock,
            outbound,
            fleet,
            counters,
            sent: AtomicU64::new(0),
        }
    }

    async fn send(
        &self,
        request: Request<WasiBody>,
        limits: Limits,
        allowed: &AllowedHosts,
    ) -> Result<Response<WasiBody>, Error> {
        let (mut parts, body) = request.into_parts();
        if parts.uri.host() == Some("") {
            // so a guest of WASI 0.2 names the application itself
            parts.uri = with_authority(parts.uri, Authority::from_static(SELF))?;
        }
        let to_self = self.check(&parts.uri, allowed)?;
        Counters::count(&self.counters.requests_out);
        let n = self.sent.fetch_add(1, Relaxed);
        let verdict = self.outbound.decide(n, &parts);
        let Held { before, after } = self.outbound.hold(n, &parts);
        if let Some(before) = before {
            before.await;
        }
        match verdict {
            Verdict::LoseBefore => return Err(Error::ConnectionRefused),
            Verdict::KillBefore => return self.kill().await,
            Verdict::Pass | Verdict::LoseAfter | Verdict::KillAfter => {}
        }
        if to_self {
            self.redirect_to_self(&mut parts)?;
        }
        let call = self.clock.call();
        call.mark(&mut parts.headers);
        let request = Request::from_parts(parts, body);
        let answer = self.exchange(request, limits, call).await;
        if let Some(after) = after {
            after.await;
        }
        match verdict {
            Verdict::LoseAfter => {
                see_out(answer).await;
                Err(Error::ConnectionTerminated)
            }
            Verdict::KillAfter => {
                see_out(answer).await;
                self.kill().await
            }
            Verdict::Pass | Verdict::LoseBefore | Verdict::KillBefore => answer,
        }
    }

    /// Whether the request goes to the application itself; refuses it where it may not go.
    fn check(&self, uri: &Uri, allowed: &AllowedHosts) -> Result<bool, Error> {
        let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
        let scheme = uri.scheme_str().unwrap_or("https");
        let to_self = authority.host() == SELF;
        let may = if to_self {
            allowed.allow_self()
        } else {
            allowed.allow(scheme, authority.host(), authority.port_u16())
        };
        if !may {
            Counters::count(&self.counters.denied);
            eprintln!(
                "host: a component tried to call {scheme}://{authority}, which is not in its allowed_outbound_hosts"
            );
            return Err(Error::HttpRequestDenied);
        }
        Ok(to_self)
    }

    /// Turns a call of the application itself into one of the address it listens on: a fresh inbound request.
    fn redirect_to_self(&self, parts: &mut http::request::Parts) -> Result<(), Error> {
        parts.uri = with_authority(std::mem::take(&mut parts.uri), self.own.clone())?;
        let host =
            HeaderValue::try_from(self.own.as_str()).map_err(|_| Error::HttpRequestUriInvalid)?;
        parts.headers.insert(HOST, host);
        Ok(())
    }

    async fn exchange(
        &self,
        request: Request<WasiBody>,
        limits: Limits,
        call: Call,
    ) -> Result<Response<WasiBody>, Error> {
        let sending = CONNECT_TIMEOUT.scope(limits.connect, self.client.request(request));
        let response = self
            .clock
            .within(limits.first_byte, sending)
            .await
            .ok_or(Error::ConnectionReadTimeout)?
            .map_err(|error| failure(&error))?;
        let body = |body| IdleBody::new(body, &self.clock, limits.between_bytes, call);
        Ok(response.map(|incoming| body(incoming).boxed_unsync()))
    }

    /// Kills every instance, the caller's own among them, so that it never returns to the guest.
    async fn kill(&self) -> Result<Response<WasiBody>, Error> {
        self.fleet.kill();
        std::future::pending().await
    }
}

/// The URI with another authority, over HTTP.
fn with_authority(uri: Uri, authority: Authority) -> Result<Uri, Error> {
    let mut parts = uri.into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    Uri::from_parts(parts).map_err(|_| Error::HttpRequestUriInvalid)
}

/// Reads an answer to its end, so that the request has taken its whole effect, and forgets it.
async fn see_out(answer: Result<Response<WasiBody>, Error>) {
    if let Ok(response) = answer {
        // Its effect is all that counts: an answer that breaks off is lost, too.
        let _ = response.into_body().collect().await;
    }
}

/// The guest's timeouts.
#[derive(Clone, Copy)]
struct Limits {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
}

impl Limits {
    fn new(options: Option<RequestOptions>) -> Self {
        let options = options.unwrap_or_default();
        let limit = |limit: Option<Duration>| limit.unwrap_or(DEFAULT_TIMEOUT);
        Self {
            connect: limit(options.connect_timeout),
            first_byte: limit(options.first_byte_timeout),
            between_bytes: limit(options.between_bytes_timeout),
        }
    }
}

/// Names a failure of the client in the guest's terms.
fn failure(error: &hyper_util::client::legacy::Error) -> Error {
    let causes = || std::iter::successors(error.source(), |cause| (*cause).source());
    let io = causes().find_map(|cause| cause.downcast_ref::<io::Error>());
    if error.is_connect() {
        return match io.map(io::Error::kind) {
            Some(io::ErrorKind::TimedOut) => Error::ConnectionTimeout,
            Some(io::ErrorKind::ConnectionRefused) => Error::ConnectionRefused,
            Some(io::ErrorKind::NotFound) => Error::DestinationNotFound,
            _ if causes().any(|cause| cause.to_string().contains("dns error")) => Error::DnsError {
                rcode: None,
                info_code: None,
            },
            _ => Error::DestinationUnavailable,
        };
    }
    match causes().find_map(|cause| cause.downcast_ref::<hyper::Error>()) {
        Some(cause) if cause.is_parse() => Error::HttpProtocolError,
        Some(cause) if cause.is_timeout() => Error::HttpResponseTimeout,
        _ => Error::ConnectionTerminated,
    }
}

tokio::task_local! {
    /// The limit for connections that the current request opens: the pool's connector learns it only this way.
    static CONNECT_TIMEOUT: Duration;
}

/// Opens connections within the request's limit.
#[derive(Clone)]
struct Connector {
    plain: HttpConnector,
    clock: Clock,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.plain.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let limit = CONNECT_TIMEOUT
            .try_with(|limit| *limit)
            .unwrap_or(DEFAULT_TIMEOUT);
        let connecting = self.plain.call(uri);
        let clock = self.clock.clone();
        Box::pin(async move {
            let stream = clock
                .within(limit, connecting)
                .await
                .ok_or_else(|| io::Error::from(io::ErrorKind::TimedOut))??;
            Ok(stream)
        })
    }
}

/// One instance's way out.
#[derive(Clone)]
pub(crate) struct Hooks {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) allowed: Arc<AllowedHosts>,
}

type Exchange<T> = Box<dyn Future<Output = Result<T, Error>> + Send>;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        // What becomes of the response is between hyper and its connection.
        _: Exchange<()>,
    ) -> Exchange<(Response<WasiBody>, Exchange<()>)> {
        let Self { gateway, allowed } = self.clone();
        let limits = Limits::new(options);
        Box::new(async move {
            let response = gateway.send(request, limits, &allowed).await?;
            // The pool drives the connection.
            let driver: Exchange<()> = Box::new(async { Ok(()) });
            Ok((response, driver))
        })
    }
}

/// Names a failure of a body in the guest's terms.
pub(crate) fn body_failure(error: hyper::Error) -> Error {
    let cause = error
        .source()
        .and_then(|cause| cause.downcast_ref::<io::Error>());
    let is_cut = cause.is_some_and(|cause| cause.kind() == io::ErrorKind::UnexpectedEof);
    if is_cut || error.is_incomplete_message() {
        Error::HttpResponseIncomplete
    } else if error.is_parse() {
        Error::HttpProtocolError
    } else {
        Error::ConnectionTerminated
    }
}

/// A body of bytes that are there already.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> WasiBody {
    http_body_util::Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}
