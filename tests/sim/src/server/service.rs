//! A peer with what lies on the way to it: latency, faults, counted calls, and answers checked against the contract.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use clock::Arrived;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use super::body::Body;
use super::{Calls, Latency, ServeOptions, TRICKLE, lock};
use crate::contract::Api;
use crate::faults::Fault;
use crate::klaviyo::recorded_refusal;
use crate::peer::Peer;

/// How long a connection that hangs stays open: longer than any caller waits.
const FOREVER: Duration = Duration::from_secs(86_400);

/// Violations kept; what comes after so many is no news.
const MOST_VIOLATIONS: usize = 200;

pub(super) struct Service {
    peer: Arc<Mutex<dyn Peer>>,
    options: ServeOptions,
    rng: Mutex<fastrand::Rng>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    calls: Calls,
    violations: Vec<String>,
}

/// The connection is to be closed without an answer.
#[derive(Debug)]
pub(super) struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed on purpose")
    }
}

impl std::error::Error for Closed {}

impl Service {
    pub(super) fn new(peer: Arc<Mutex<dyn Peer>>, options: ServeOptions) -> Self {
        Self {
            peer,
            rng: Mutex::new(fastrand::Rng::with_seed(options.latency.seed)),
            options,
            seen: Mutex::default(),
        }
    }

    pub(super) fn calls(&self) -> Calls {
        lock(&self.seen).calls.clone()
    }

    pub(super) fn violations(&self) -> Vec<String> {
        lock(&self.seen).violations.clone()
    }

    /// What is done before a call's body is read: it has arrived.
    pub(super) fn arrived(&self, headers: &mut HeaderMap) -> Arrived {
        self.options.clock.arrived(headers)
    }

    pub(super) async fn call(
        &self,
        request: Request<Bytes>,
        arrived: Arrived,
    ) -> Result<Response<Body>, Closed> {
        let clock = &self.options.clock;
        let operation = operation(&request);
        let half_way = self.latency() / 2;

        arrived.sleep(half_way).await;
        let fault = self.options.faults.fault_for(&request);
        match &fault {
            Some(Fault::LoseRequest) => {
                self.count(operation, 0);
                return Err(Closed);
            }
            Some(Fault::Hang) => {
                self.count(operation, 0);
                arrived.sleep(FOREVER).await;
                return Err(Closed);
            }
            Some(Fault::Refuse(status, retry_after)) => {
                self.count(operation, *status);
                arrived.sleep(half_way).await;
                let refusal = refusal(self.options.api, *status, *retry_after);
                return Ok(dated(refusal, clock.now()).map(Body::whole));
            }
            _ => {}
        }
        let now = clock.now();
        let answer = || lock(&self.peer).answer(now, &request);
        if fault == Some(Fault::Double) {
            answer();
        }
        let response = dated(answer(), now);
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
            Some(Fault::HalfAnswer) => Ok(response.map(Body::half)),
            Some(Fault::Trickle) => {
                let pause = arrived.sleep(TRICKLE);
                Ok(response.map(|body| Body::trickle(body, pause)))
            }
            Some(Fault::Unannounced) => Ok(response.map(Body::unannounced)),
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

/// A refusal as it was recorded of this API, or else one that both APIs' clients can read: the members of the one beside
/// those of the other.
fn refusal(api: Api, status: u16, retry_after: Option<u32>) -> Response<Bytes> {
    let recorded = (api == Api::Klaviyo).then(|| recorded_refusal(status, retry_after));
    if let Some(refusal) = recorded.flatten() {
        return refusal;
    }
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
