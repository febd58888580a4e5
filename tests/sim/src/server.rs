//! A peer over HTTP/1.1 on 127.0.0.1: with latency, faults, counted calls and answers checked against the
//! contract.

mod body;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use clock::{Arrived, Clock};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use self::body::Body;
use crate::contract::{Api, Contract};
use crate::faults::{Fault, Faults};
use crate::peer::Peer;

/// How long an answer takes, in simulated time: `mean`, more or less up to `jitter`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Latency {
    /// In the middle.
    pub mean: Duration,
    /// At most so much more or less, evenly.
    pub jitter: Duration,
    /// Decides each call's share of the jitter.
    pub seed: u64,
}

/// How a peer is served.
#[derive(Clone)]
pub struct ServeOptions {
    /// Which API it is, for the contract and the shape of refusals.
    pub api: Api,
    /// The time it lives in.
    pub clock: Clock,
    /// How long its answers take.
    pub latency: Latency,
    /// What goes wrong.
    pub faults: Faults,
    /// The contract that requests and answers are checked against; none is no check.
    pub contract: Option<Arc<Contract>>,
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
}

/// How often each operation was answered with each status: `("GET /shop/orders", 200)`. Calls whose
/// connection was closed without an answer count under status 0.
pub type Calls = BTreeMap<(String, u16), u64>;

/// A peer being served; dropping it stops it at once, in the middle of whatever it does.
pub struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    accepting: JoinHandle<()>,
    service: Arc<dyn Exchange>,
}

#[derive(Debug, Default)]
struct Seen {
    calls: Calls,
    violations: Vec<String>,
}

/// The pause before each byte of a body that trickles.
const TRICKLE: Duration = Duration::from_secs(1);

/// Violations kept; what comes after so many is no news.
const MOST_VIOLATIONS: usize = 200;

impl Server {
    /// `http://127.0.0.1:<port>`, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The way to the peer without sockets.
    pub fn direct(&self) -> Direct {
        Direct(Arc::clone(&self.service))
    }

    /// The calls so far.
    pub fn calls(&self) -> Calls {
        lock(&self.seen).calls.clone()
    }

    /// Where requests or the peer's own answers broke the contract, in words; empty is as it should be.
    pub fn violations(&self) -> Vec<String> {
        lock(&self.seen).violations.clone()
    }

    /// Closes the listener and all connections, without waiting for calls under way.
    pub fn stop(&self) {
        self.accepting.abort();
    }
}

/// The way to a peer within the process, with the latency, faults and checks of a connection. Without sockets, time that
/// is paused goes on by itself.
#[derive(Clone)]
pub struct Direct(Arc<dyn Exchange>);

impl Direct {
    /// A call; `None` where the connection would have been closed before the whole answer was there.
    pub async fn call(&self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        let (parts, body) = self.0.exchange(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some(Response::from_parts(parts, body))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Serves `peer` in the current Tokio runtime.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve<P: Peer + 'static>(
    peer: Arc<Mutex<P>>,
    options: ServeOptions,
) -> anyhow::Result<Server> {
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("listening on {}", options.listen))?;
    let address = listener.local_addr().context("asking for the port")?;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let service = Arc::new(Service {
        rng: Mutex::new(fastrand::Rng::with_seed(options.latency.seed)),
        peer,
        seen: Arc::clone(&seen),
        options,
    });
    let exchange: Arc<dyn Exchange> = service.clone();
    let accepting = tokio::spawn(async move {
        // Aborting this task drops the set, which aborts every connection.
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        connections.spawn(connection(stream, Arc::clone(&service)));
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
    });
    Ok(Server {
        address,
        seen,
        accepting,
        service: exchange,
    })
}

async fn connection<P: Peer + 'static>(stream: TcpStream, service: Arc<Service<P>>) {
    // Small answers must not wait for the next one; without this they only come later.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let service = Arc::clone(&service);
        async move {
            let (mut parts, body) = request.into_parts();
            let arrived = service.options.clock.arrived(&mut parts.headers);
            // The client went away in the middle of its request.
            let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
            service
                .call(Request::from_parts(parts, body), arrived)
                .await
        }
    });
    // A closed connection, by the client or by a fault, is nothing to report.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

struct Service<P> {
    peer: Arc<Mutex<P>>,
    options: ServeOptions,
    rng: Mutex<fastrand::Rng>,
    seen: Arc<Mutex<Seen>>,
}

/// The connection is to be closed without an answer.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed on purpose")
    }
}

impl std::error::Error for Closed {}

/// A call and its answer.
type Exchanged<'a> = Pin<Box<dyn Future<Output = Result<Response<Body>, Closed>> + Send + 'a>>;

/// A service, whatever its peer.
trait Exchange: Send + Sync {
    fn exchange(&self, request: Request<Bytes>) -> Exchanged<'_>;
}

impl<P: Peer> Exchange for Service<P> {
    fn exchange(&self, mut request: Request<Bytes>) -> Exchanged<'_> {
        let arrived = self.options.clock.arrived(request.headers_mut());
        Box::pin(self.call(request, arrived))
    }
}

impl<P: Peer> Service<P> {
    async fn call(
        &self,
        request: Request<Bytes>,
        arrived: Arrived,
    ) -> Result<Response<Body>, Closed> {
        let clock = &self.options.clock;
        let operation = operation(&request);
        let half_way = self.latency() / 2;

        arrived.sleep(half_way).await;
        let fault = self.options.faults.strike(&request);
        match &fault {
            Some(Fault::LoseRequest) => {
                self.count(operation, 0);
                return Err(Closed);
            }
            Some(Fault::Refuse {
                status,
                retry_after,
            }) => {
                self.count(operation, *status);
                arrived.sleep(half_way).await;
                return Ok(dated(refusal(*status, *retry_after), clock.now()).map(Body::whole));
            }
            _ => {}
        }
        let now = clock.now();
        if fault == Some(Fault::Double) {
            let first = lock(&self.peer).answer(now, &request);
            self.check(&request, &dated(first, now));
        }
        let response = dated(lock(&self.peer).answer(now, &request), now);
        self.check(&request, &response);
        self.count(
            operation,
            match fault {
                Some(Fault::LoseAnswer) => 0,
                _ => response.status().as_u16(),
            },
        );
        arrived.sleep(half_way).await;
        match fault {
            Some(Fault::LoseAnswer) => Err(Closed),
            Some(Fault::Hold(duration)) => {
                arrived.sleep(duration).await;
                Ok(response.map(Body::whole))
            }
            Some(Fault::HalfBody) => Ok(response.map(Body::half)),
            Some(Fault::Trickle) => {
                let pause = arrived.sleep(TRICKLE);
                Ok(response.map(|body| Body::trickle(body, pause)))
            }
            _ => Ok(response.map(Body::whole)),
        }
    }

    fn latency(&self) -> Duration {
        let Latency { mean, jitter, .. } = self.options.latency;
        let share = lock(&self.rng).f64() * 2.0;
        (mean + jitter.mul_f64(share)).saturating_sub(jitter)
    }

    fn check(&self, request: &Request<Bytes>, response: &Response<Bytes>) {
        let Some(contract) = &self.options.contract else {
            return;
        };
        let violations = contract.check(self.options.api, request, response);
        if !violations.is_empty() {
            let mut seen = lock(&self.seen);
            let room = MOST_VIOLATIONS.saturating_sub(seen.violations.len());
            seen.violations.extend(violations.into_iter().take(room));
        }
    }

    fn count(&self, operation: String, status: u16) {
        *lock(&self.seen)
            .calls
            .entry((operation, status))
            .or_default() += 1;
    }
}

/// Method and path, with `{id}` in the place of ids.
fn operation(request: &Request<Bytes>) -> String {
    let path: Vec<&str> = request
        .uri()
        .path()
        .split('/')
        .map(|segment| {
            let is_id = segment.len() >= 16 && segment.bytes().any(|byte| byte.is_ascii_digit());
            if is_id || segment.starts_with('$') {
                "{id}"
            } else {
                segment
            }
        })
        .collect();
    format!("{} {}", request.method(), path.join("/"))
}

/// Puts the server's time into an answer: the HTTP library would take the machine's.
fn dated(mut response: Response<Bytes>, now: Timestamp) -> Response<Bytes> {
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&now);
    if let Some(date) = date.ok().and_then(|date| HeaderValue::try_from(date).ok()) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// A refusal that both APIs' clients can read: the members of the one beside those of the other.
fn refusal(status: u16, retry_after: Option<u32>) -> Response<Bytes> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::json!({
        "statusCode": status.as_u16(),
        "message": "simulated fault",
        "errors": [{
            "id": "00000000-0000-4000-8000-000000000000",
            "status": status.as_u16(),
            "code": "SimulatedFault",
            "title": "Simulated fault",
            "detail": "simulated fault",
            "message": "simulated fault",
        }],
    });
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// What a thread that panicked left behind is as good as what it found.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
