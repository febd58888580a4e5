//! Requests to the Klaviyo API: with its headers and rate limits, limited in time and size, retried if that can help.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, Response};
use jiff::Timestamp;

use super::answer::accept;
use super::bulk::BulkEndpoint;
use super::job_limit::JobLimits;
use super::rate::{Endpoint, Limiter};
use super::recent_calls::RecentCalls;
use crate::config::KlaviyoConfig;
use crate::error::{Access, Error, Peer};
use crate::ports::{Body, Limits, Ports};
use crate::retry::with_retry;
use crate::time::{Deadline, later};

/// The revision of the API that every request names.
pub const REVISION: &str = "2026-07-15";
/// The longest time for one request: enough for 5 MB over a slow connection.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The largest response that is read, in bytes: a page of 100 import errors with payloads of up to 100 KB.
const MAX_BYTES: usize = 12 * 1024 * 1024;
/// With this many single documents rejected without a pointer while nothing was accepted, the documents are not the
/// cause.
const MAX_REFUSED_BLINDLY: u64 = 50;
/// The beginning of every path of the API.
pub(super) const API: &str = "/api/";
/// JSON:API's media type.
const MEDIA_TYPE: &str = "application/vnd.api+json";
/// The pause between two looks at a rate limit that depends on a response under way.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The client of one account. It keeps the state of the rate limits for as long as the instance lives.
pub struct Client {
    pub(super) ports: Ports,
    config: KlaviyoConfig,
    limiters: RefCell<HashMap<&'static str, Limiter>>,
    /// Requests of other instances to endpoints that this one had not used when it learned of them, with commercetools'
    /// time then.
    others: RefCell<(RecentCalls, Option<Moment>)>,
    tallies: RefCell<HashMap<&'static str, Tally>>,
    pub(super) job_limits: JobLimits,
}

/// What an endpoint did with the documents that this instance sent to it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Requests that were accepted.
    pub(super) accepted: u64,
    /// Earlier windows of the run have sent something.
    has_accepted_before: bool,
    /// Documents that were rejected without a pointer since the last accepted request.
    pub(super) refused_blindly: u64,
}

impl Tally {
    /// A single document was rejected without a pointer. Returns whether the documents are not the cause, as none was
    /// accepted.
    pub(super) fn refuse_blindly(&mut self) -> bool {
        self.refused_blindly += 1;
        let has_accepted = self.accepted > 0 || self.has_accepted_before;
        !has_accepted && self.refused_blindly >= MAX_REFUSED_BLINDLY
    }
}

/// A time of commercetools, and when it was, on this instance's monotonic clock.
#[derive(Debug, Clone, Copy)]
struct Moment {
    time: Timestamp,
    seen_at: Duration,
}

/// A request under way. Tells the limiter when it ends, also if its future is dropped.
struct Begun<'a> {
    client: &'a Client,
    endpoint: &'static Endpoint,
    ended: bool,
}

impl Begun<'_> {
    fn end(mut self, response: &Response<Bytes>) {
        self.ended = true;
        let now = self.client.ports.clock.monotonic();
        let status = response.status().as_u16();
        self.client.limiter(self.endpoint, |limiter| {
            limiter.end(status, response.headers(), now);
        });
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.client.limiter(self.endpoint, Limiter::abandon);
        }
    }
}

impl Client {
    /// A client that does not know the state of the rate limits yet.
    #[must_use]
    pub fn new(ports: Ports, config: KlaviyoConfig) -> Self {
        Self {
            ports,
            config,
            limiters: RefCell::default(),
            others: RefCell::default(),
            tallies: RefCell::default(),
            job_limits: JobLimits::default(),
        }
    }

    fn limiter<T>(&self, endpoint: &'static Endpoint, act: impl FnOnce(&mut Limiter) -> T) -> T {
        let mut limiters = self.limiters.borrow_mut();
        act(limiters.entry(endpoint.name).or_insert_with(|| {
            let mut limiter = Limiter::default();
            let now = self.ports.clock.monotonic();
            let (others, moment) = &*self.others.borrow();
            let since = moment.map(|moment| later(moment.time, now.saturating_sub(moment.seen_at)));
            if let Some(left) = since.and_then(|now| others.left(endpoint.name, now)) {
                limiter.remember(&left.steady, left.last, now);
            }
            limiter
        }))
    }

    /// Counts the requests that other instances have sent. `now` is commercetools' time.
    pub fn remember(&self, calls: &RecentCalls, now: Timestamp) {
        let monotonic = self.ports.clock.monotonic();
        let mut limiters = self.limiters.borrow_mut();
        let (others, moment) = &mut *self.others.borrow_mut();
        // windows of this instance and of another one may alternate
        for (endpoint, limiter) in &mut *limiters {
            if let Some(left) = calls.left_beyond(limiter.requests(monotonic), endpoint, now) {
                limiter.remember(&left.steady, left.last, monotonic);
                others.note(endpoint, left.steady, now);
            }
        }
        others.take(calls, |endpoint| !limiters.contains_key(endpoint));
        *moment = Some(Moment {
            time: now,
            seen_at: monotonic,
        });
    }

    /// The time, by this machine's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// The deadline this long from now.
    #[must_use]
    pub fn deadline(&self, duration: Duration) -> Deadline {
        Deadline::after(&*self.ports.clock, duration)
    }

    /// The requests of the last minute, those of other instances included.
    #[must_use]
    pub fn recent_calls(&self, now: Timestamp) -> RecentCalls {
        let monotonic = self.ports.clock.monotonic();
        let mut calls = self.others.borrow().0.current(now);
        for (endpoint, limiter) in &*self.limiters.borrow() {
            calls.note(endpoint, limiter.left(monotonic), now);
        }
        calls
    }

    /// The time until a request to this endpoint may begin, as far as it is known.
    #[must_use]
    pub fn ready_in(&self, endpoint: &'static Endpoint) -> Duration {
        let now = self.ports.clock.monotonic();
        match self.limiter(endpoint, |limiter| limiter.ready_at(endpoint, now)) {
            Some(ready) => ready.saturating_sub(now),
            None => LOOK_AGAIN,
        }
    }

    /// Whether the next request to this endpoint waits for nothing but the minute of requests that are counted: the next
    /// instance learns of these by [`Client::recent_calls`].
    #[must_use]
    pub fn waits_for_counted(&self, endpoint: &'static Endpoint) -> bool {
        let now = self.ports.clock.monotonic();
        self.limiter(endpoint, |limiter| limiter.waits_for_counted(endpoint, now))
    }

    /// Sends a POST request once, without retries: used to find the documents that an error is about.
    ///
    /// # Errors
    /// If Klaviyo does not respond or rejects the request.
    pub(super) async fn post_once(
        &self,
        endpoint: &'static Endpoint,
        path: &str,
        body: Body,
        deadline: Deadline,
    ) -> Result<Bytes, Error> {
        self.send(endpoint, Method::POST, path, body, deadline)
            .await
    }

    /// Takes over how many documents earlier windows of a run sent to these endpoints that were rejected without a
    /// pointer, while nothing of the run was accepted.
    pub fn remember_refused(&self, endpoints: &[&'static BulkEndpoint], refused_blindly: u64) {
        for endpoint in endpoints {
            self.tally(endpoint.post, |tally| {
                tally.refused_blindly = refused_blindly;
            });
        }
    }

    /// Takes over whether earlier windows of a run have sent something to endpoints of this kind: if so, the documents are the
    /// cause of what is rejected.
    pub fn remember_accepted(&self, endpoint: &'static BulkEndpoint, has_accepted: bool) {
        self.tally(endpoint.post, |tally| {
            tally.has_accepted_before = has_accepted;
        });
    }

    /// What this endpoint did with documents so far.
    pub(super) fn tally<T>(
        &self,
        endpoint: &'static Endpoint,
        act: impl FnOnce(&mut Tally) -> T,
    ) -> T {
        act(self.tallies.borrow_mut().entry(endpoint.name).or_default())
    }

    /// Waits for the endpoint's rate limits. If that takes longer than the deadline allows, returns a 429 with the
    /// time.
    async fn admit(
        &self,
        endpoint: &'static Endpoint,
        deadline: Deadline,
    ) -> Result<Begun<'_>, Error> {
        loop {
            let wait = self.ready_in(endpoint);
            if wait.is_zero() {
                let now = self.ports.clock.monotonic();
                self.limiter(endpoint, |limiter| limiter.begin(now));
                return Ok(Begun {
                    client: self,
                    endpoint,
                    ended: false,
                });
            }
            if wait >= deadline.remaining(&*self.ports.clock) {
                let why = "rate limit used up";
                return Err(Error::throttled(Peer::Klaviyo, endpoint.name, why, wait));
            }
            self.ports.clock.sleep(wait).await;
        }
    }

    /// Sends a GET request; `path` begins with `/api/`.
    ///
    /// # Errors
    /// If Klaviyo does not respond or rejects the request.
    pub async fn get(
        &self,
        endpoint: &'static Endpoint,
        path: &str,
        deadline: Deadline,
    ) -> Result<Bytes, Error> {
        with_retry(&self.ports, deadline, || {
            self.send(endpoint, Method::GET, path, Body::default(), deadline)
        })
        .await
    }

    /// Sends a POST request; `path` begins with `/api/`. The request is retried, so it must be harmless if it arrives
    /// twice.
    ///
    /// # Errors
    /// If Klaviyo does not respond or rejects the request.
    pub async fn post(
        &self,
        endpoint: &'static Endpoint,
        path: &str,
        body: Body,
        deadline: Deadline,
    ) -> Result<Bytes, Error> {
        with_retry(&self.ports, deadline, || {
            self.send(endpoint, Method::POST, path, body.clone(), deadline)
        })
        .await
    }

    async fn send(
        &self,
        endpoint: &'static Endpoint,
        method: Method,
        path: &str,
        body: Body,
        deadline: Deadline,
    ) -> Result<Bytes, Error> {
        let access = match method {
            Method::GET => Access::Read,
            _ => Access::Write,
        };
        let sent = self.send_once(endpoint, method, path, body, deadline);
        sent.await.map_err(|error| error.of(access))
    }

    async fn send_once(
        &self,
        endpoint: &'static Endpoint,
        method: Method,
        path: &str,
        body: Body,
        deadline: Deadline,
    ) -> Result<Bytes, Error> {
        // paths can come from responses and run documents: none of them may send the key to another host
        if !path.starts_with(API) {
            return Err(Error::unreadable(
                Peer::Klaviyo,
                endpoint.name,
                "a path of the API, to go on from",
            ));
        }
        let begun = self.admit(endpoint, deadline).await?;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.config.api_url))
            .header(ACCEPT, MEDIA_TYPE)
            .header("revision", REVISION)
            .header(
                AUTHORIZATION,
                format!("Klaviyo-API-Key {}", self.config.auth_key.expose()),
            );
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, MEDIA_TYPE);
        }
        let request = request.body(body).map_err(|_| {
            Error::unreadable(
                Peer::Klaviyo,
                endpoint.name,
                "a usable klaviyo_api_url and key",
            )
        })?;
        let timeout = TIMEOUT.min(deadline.remaining(&*self.ports.clock));
        let response = self
            .ports
            .send(
                request,
                Limits {
                    timeout,
                    max_bytes: MAX_BYTES,
                },
            )
            .await
            .map_err(|error| Error::transport(Peer::Klaviyo, endpoint.name, error))?;
        begun.end(&response);
        accept(endpoint.name, response)
    }
}
