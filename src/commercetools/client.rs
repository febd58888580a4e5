//! Requests to the commercetools HTTP API: authorized, limited in time and size, retried if that can help.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE};
use http::{Method, Request, Response, StatusCode};
use jiff::Timestamp;

use super::answer::accept;
use super::token::Token;
use crate::config::CommercetoolsConfig;
use crate::error::{Action, Error, Peer};
use crate::ports::{Body, Limits, Ports};
use crate::retry::with_retry;
use crate::time::Deadline;
use crate::time::later;

/// The longest time for one request. A page of several megabytes arrives in seconds; a request that takes longer hangs.
const TIMEOUT: Duration = Duration::from_secs(12);

/// The client of one project. It keeps its token for as long as the instance lives.
pub struct Client {
    pub(super) ports: Ports,
    config: CommercetoolsConfig,
    token: RefCell<Option<Token>>,
    server_clock: Cell<Option<ServerClock>>,
}

/// A timestamp of commercetools, and when it was received on this instance's monotonic clock.
#[derive(Clone, Copy)]
struct ServerClock {
    time: Timestamp,
    seen_at: Duration,
}

/// One request.
pub(super) struct Call<'a> {
    /// For errors, such as `query customers`.
    pub(super) operation: &'static str,
    pub(super) method: Method,
    /// The path below the project, without a leading slash, with the query.
    pub(super) path: &'a str,
    pub(super) body: Option<Vec<u8>>,
    /// The largest response that is read, in bytes.
    pub(super) max_bytes: usize,
}

impl Client {
    /// A client that has no token yet.
    #[must_use]
    pub fn new(ports: Ports, config: CommercetoolsConfig) -> Self {
        Self {
            ports,
            config,
            token: RefCell::default(),
            server_clock: Cell::new(None),
        }
    }

    /// commercetools' current time, by the `Date` of its latest response (cut to the second, so never ahead). Before
    /// the first response: this instance's own time.
    #[must_use]
    pub fn server_now(&self) -> Timestamp {
        match self.server_clock.get() {
            Some(clock) => later(
                clock.time,
                self.ports.clock.monotonic().saturating_sub(clock.seen_at),
            ),
            None => self.ports.clock.now(),
        }
    }

    /// The scopes that the token was granted, separated by spaces; fetches a token if there is none.
    ///
    /// # Errors
    /// If no token can be fetched.
    pub async fn granted_scope(&self, deadline: Deadline) -> Result<String, Error> {
        Ok(self.token(None, deadline).await?.scope)
    }

    /// A usable token; a new one if the cached one is `refused`.
    ///
    /// Requests that find no token at the same time each fetch one. A lock would avoid that, but releasing it would
    /// have to wake a task of another request, which component instances cannot do (`wit-bindgen` without
    /// `inter-task-wakeup` traps).
    async fn token(&self, refused: Option<&Token>, deadline: Deadline) -> Result<Token, Error> {
        let cached = self.token.borrow().clone();
        if let Some(token) = cached {
            let is_refused = refused.is_some_and(|refused| refused.value == token.value);
            if !is_refused && token.is_usable(self.ports.clock.monotonic()) {
                return Ok(token);
            }
        }
        let token = with_retry(&self.ports, deadline, || {
            Token::fetch(
                &self.ports,
                &self.config,
                TIMEOUT.min(deadline.remaining(&*self.ports.clock)),
            )
        })
        .await?;
        *self.token.borrow_mut() = Some(token.clone());
        Ok(token)
    }

    /// Sends a request, with retries as [`crate::error::POLICY`] says.
    pub(super) async fn call(
        &self,
        call: Call<'_>,
        deadline: Deadline,
    ) -> Result<Response<Bytes>, Error> {
        with_retry(&self.ports, deadline, || self.call_once(&call, deadline)).await
    }

    /// Sends a request once, and once more with a new token if the token is rejected.
    pub(super) async fn call_once(
        &self,
        call: &Call<'_>,
        deadline: Deadline,
    ) -> Result<Response<Bytes>, Error> {
        let token = self.token(None, deadline).await?;
        match self.attempt(call, &token, deadline).await {
            Err(error) if error.action() == Action::RefreshToken => {
                let token = self.token(Some(&token), deadline).await?;
                self.attempt(call, &token, deadline).await
            }
            answer => answer,
        }
    }

    async fn attempt(
        &self,
        call: &Call<'_>,
        token: &Token,
        deadline: Deadline,
    ) -> Result<Response<Bytes>, Error> {
        let uri = format!(
            "{}/{}/{}",
            self.config.api_url, self.config.project, call.path
        );
        let mut request = Request::builder()
            .method(&call.method)
            .uri(uri)
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, format!("Bearer {}", token.value.expose()));
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(call.body.clone().map_or_else(Body::default, Body::from))
            .map_err(|_| {
                Error::unreadable(
                    Peer::Commercetools,
                    call.operation,
                    "a usable ct_api_url and token",
                )
            })?;
        let timeout = TIMEOUT.min(deadline.remaining(&*self.ports.clock));
        let limits = Limits {
            timeout,
            max_bytes: call.max_bytes,
        };
        let response = self
            .ports
            .send(request, limits)
            .await
            .map_err(|error| Error::transport(Peer::Commercetools, call.operation, error))?;
        if let Some(time) = server_time(&response) {
            self.server_clock.set(Some(ServerClock {
                time,
                seen_at: self.ports.clock.monotonic(),
            }));
        }
        accept(Peer::Commercetools, call.operation, response)
    }
}

/// commercetools' time: the `Date` of a response (RFC 9110), cut to the second. Responses with 5xx and 429 are ignored:
/// they can come from a load balancer or proxy with a clock of its own.
fn server_time(response: &Response<Bytes>) -> Option<Timestamp> {
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let date = response.headers().get(DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(date)
        .ok()
}
