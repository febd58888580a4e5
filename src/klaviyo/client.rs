//! Calls to the Klaviyo API: headers, rate limits, bounded in time and size, tried again where that can help.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, Response};

use super::answer::accept;
use super::rate::{Endpoint, Limiter};
use crate::config::KlaviyoConfig;
use crate::error::{Access, Error, Kind, Peer, Refusal};
use crate::ports::{Body, Limits, Ports};
use crate::retry::with_retry;
use crate::time::Deadline;

/// The revision of the API that every request names.
pub const REVISION: &str = "2026-07-15";
/// The longest that one call may take: a request of 5 MB on a slow line still gets through.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Answers are read up to this size: a page of 100 import errors with their payloads of 100 KB at most.
const MAX_BYTES: usize = 12 * 1024 * 1024;
/// How every path of the API begins.
const API: &str = "/api/";
/// JSON:API's media type.
const MEDIA_TYPE: &str = "application/vnd.api+json";
/// How long to wait for the answer that says what is left of a rate limit before looking again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The client of one account. Remembers the rate limits for as long as the instance lives.
pub struct Client {
    pub(super) ports: Ports,
    config: KlaviyoConfig,
    limiters: RefCell<HashMap<&'static str, Limiter>>,
    tallies: RefCell<HashMap<&'static str, Tally>>,
}

/// What an endpoint has done with the documents that this instance sent to it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Requests that were taken.
    pub(super) accepted: u64,
    /// Documents that were refused without a pointer since the last request that was taken.
    pub(super) refused_blindly: u64,
}

/// Counts a call out of its limiter however it ends, dropped futures included.
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
    /// A client that knows nothing of the limits' state yet.
    #[must_use]
    pub fn new(ports: Ports, config: KlaviyoConfig) -> Self {
        Self {
            ports,
            config,
            limiters: RefCell::default(),
            tallies: RefCell::default(),
        }
    }

    fn limiter<T>(&self, endpoint: &'static Endpoint, act: impl FnOnce(&mut Limiter) -> T) -> T {
        act(self.limiters.borrow_mut().entry(endpoint.name).or_default())
    }

    /// How long until a call to this endpoint may begin, as far as is known.
    #[must_use]
    pub fn ready_in(&self, endpoint: &'static Endpoint) -> Duration {
        let now = self.ports.clock.monotonic();
        match self.limiter(endpoint, |limiter| limiter.ready_at(endpoint, now)) {
            Some(ready) => ready.saturating_sub(now),
            None => LOOK_AGAIN,
        }
    }

    /// Posts a document once: what was refused or broke off before is being narrowed down.
    ///
    /// # Errors
    /// Where Klaviyo does not answer or refuses.
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

    /// What this endpoint has done with documents so far.
    pub(super) fn tally<T>(
        &self,
        endpoint: &'static Endpoint,
        act: impl FnOnce(&mut Tally) -> T,
    ) -> T {
        act(self.tallies.borrow_mut().entry(endpoint.name).or_default())
    }

    /// Waits for the endpoint's limits, or says how long that would take where the deadline is nearer.
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
                return Err(Error {
                    peer: Peer::Klaviyo,
                    operation: endpoint.name,
                    access: Access::default(),
                    kind: Kind::Refused(Refusal {
                        status: 429,
                        code: Some("rate limit used up".to_owned()),
                        retry_after: Some(wait),
                        pointers: Vec::new(),
                    }),
                });
            }
            self.ports.clock.sleep(wait).await;
        }
    }

    /// Reads from the API; `path` begins with `/api/`.
    ///
    /// # Errors
    /// Where Klaviyo does not answer or refuses.
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

    /// Posts a document; `path` begins with `/api/`. What is posted here is harmless when it arrives twice.
    ///
    /// # Errors
    /// Where Klaviyo does not answer or refuses.
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
        // paths come from answers and out of run documents: none of them may lead the key to another host
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

    /// Path and query of the `links.next` of a page, wherever the API says that it is served. `None` where it is no link
    /// of this API, or leads back to the page itself and so round in a circle.
    #[must_use]
    pub fn next_path(page: &str, next: &str) -> Option<String> {
        let parsed = url::Url::options()
            .base_url(url::Url::parse("https://a.klaviyo.com").ok().as_ref())
            .parse(next)
            .ok()
            .filter(|url| url.path().starts_with(API))?;
        let next = match parsed.query() {
            Some(query) => format!("{}?{query}", parsed.path()),
            None => parsed.path().to_owned(),
        };
        (next != page).then_some(next)
    }
}
