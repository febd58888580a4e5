//! Requests to the commercetools HTTP API: authorized, limited in time and size, retried if that can help.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use jiff::Timestamp;

use super::answer::accept;
use super::attributes::AttributeFilter;
use super::scope::is_granted;
use super::token::Token;
use crate::config::CommercetoolsConfig;
use crate::error::{Access, Action, Error, Peer};
use crate::ports::{Body, Limits, Ports};
use crate::retry::with_retry;
use crate::time::{Deadline, between, later};

/// The longest time for one request; a request that takes longer hangs.
const TIMEOUT: Duration = Duration::from_secs(12);
/// The longest time for a page: commercetools itself gives up a query after 20 s
/// (<https://docs.commercetools.com/api/releases/2020-10-06-added-the-querytimedout-error-code>).
const PAGE_TIMEOUT: Duration = Duration::from_secs(22);
/// How long a look-up of several records may take: after that it is requested in parts, for which there has to be time.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(6);
/// If the time of a response is further back than this, the time before it was wrong.
const CLOCK_JUMP: Duration = Duration::from_secs(60);
/// A response's `Date`, which is cut to the second, and the moment of the change that it tells of are no further apart than
/// this if both are of one clock.
const CLOCKS_AGREE: Duration = Duration::from_secs(1);
/// The pause before a third token is fetched if two were rejected: a new token may not be known to all of
/// commercetools' servers yet.
const REFUSED_PAUSE: Duration = Duration::from_secs(2);
/// The pause between two looks for the token that another request fetches.
const TOKEN_LOOK: Duration = Duration::from_millis(20);

/// The client of one project. It keeps its token for as long as the instance lives.
pub struct Client {
    pub(super) ports: Ports,
    config: CommercetoolsConfig,
    token: RefCell<Option<Token>>,
    /// Whether a token is being fetched.
    is_fetching: Rc<Cell<bool>>,
    server_clock: Cell<Option<ServerClock>>,
    pub(super) attributes: AttributeFilter,
}

/// A timestamp of commercetools, and when it was received on this instance's monotonic clock.
#[derive(Clone, Copy)]
struct ServerClock {
    time: Timestamp,
    seen_at: Duration,
}

/// Sets `is_fetching` while a token is being fetched, also if the future is dropped.
struct Fetch(Option<Rc<Cell<bool>>>);

impl Fetch {
    /// `None` if another fetch is under way.
    fn begin(is_fetching: &Rc<Cell<bool>>) -> Option<Self> {
        (!is_fetching.replace(true)).then(|| Self(Some(is_fetching.clone())))
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        if let Some(is_fetching) = &self.0 {
            is_fetching.set(false);
        }
    }
}

/// One request.
pub(super) struct Call<'a> {
    /// For errors, such as `query customers`.
    pub(super) operation: &'static str,
    /// The kind of request.
    pub(super) access: Access,
    pub(super) method: Method,
    /// The path below the project, without a leading slash, with the query; empty for the project itself.
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
            is_fetching: Rc::default(),
            server_clock: Cell::new(None),
            attributes: AttributeFilter::default(),
        }
    }

    /// Time on this instance's monotonic clock.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        self.ports.clock.monotonic()
    }

    /// commercetools' current time, by the `Date` of its responses (cut to the second, so never ahead) and by when it says
    /// that it has written a document. Before the first response: this instance's own time.
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

    /// Sets commercetools' time from the response to a request that was sent at `sent_at` of the monotonic clock. The time
    /// never goes back, because responses can arrive out of order and come from different servers, and a lease that has
    /// ended must not be live again. Only if the time is very far back from what it was when the request was sent, the
    /// time before was wrong: a response that comes late, or to an instance that was frozen, is as old as its request at
    /// most.
    fn set_clock(&self, time: Timestamp, sent_at: Duration) {
        let on_the_way = self.ports.clock.monotonic().saturating_sub(sent_at);
        let known = self.server_clock.get().map(|_| self.server_now());
        if known.is_some_and(|known| between(time, known) > CLOCK_JUMP + on_the_way) {
            self.server_clock.set(None);
        }
        self.advance_clock(time);
    }

    /// It is this time at commercetools, or later.
    fn advance_clock(&self, time: Timestamp) {
        let known = self.server_clock.get().map(|_| self.server_now());
        self.server_clock.set(Some(ServerClock {
            time: known.map_or(time, |known| known.max(time)),
            seen_at: self.ports.clock.monotonic(),
        }));
    }

    /// Sets commercetools' time from a moment in a response, with its milliseconds, unless it is not of the clock that the
    /// response's `Date` is of.
    pub(super) fn refine_clock(&self, time: Timestamp, headers: &HeaderMap) {
        let is_of_one_clock = |date| between(date, time) + between(time, date) <= CLOCKS_AGREE;
        if date(headers).is_some_and(is_of_one_clock) {
            self.advance_clock(time);
        }
    }

    /// The scopes that the token was granted, separated by spaces; fetches a token if there is none.
    ///
    /// # Errors
    /// If no token can be fetched.
    pub async fn granted_scope(&self, deadline: Deadline) -> Result<String, Error> {
        Ok(self.token(None, deadline).await?.scope)
    }

    /// Whether the token was granted a scope, or one that allows more; fetches a token if there is none.
    ///
    /// # Errors
    /// If no token can be fetched.
    pub async fn may(&self, scope: &str, deadline: Deadline) -> Result<bool, Error> {
        let granted = self.granted_scope(deadline).await?;
        Ok(is_granted(&granted, scope, &self.config.project))
    }

    /// A usable token; a new one if the cached one is `refused`.
    ///
    /// A request that finds no token while another request fetches one waits for that one. It looks repeatedly, because
    /// a task cannot wake a task of another request in a component instance (`wit-bindgen` without `inter-task-wakeup`
    /// traps).
    async fn token(&self, refused: Option<&Token>, deadline: Deadline) -> Result<Token, Error> {
        let _fetch = loop {
            let cached = self.token.borrow().clone();
            if let Some(token) = cached {
                let is_refused = refused.is_some_and(|refused| refused.value == token.value);
                if !is_refused && token.is_usable(self.ports.clock.monotonic()) {
                    return Ok(token);
                }
            }
            match Fetch::begin(&self.is_fetching) {
                Some(fetch) => break fetch,
                // there is no time to wait for it: fetching it gives the error that the caller needs
                None if deadline.is_over(&*self.ports.clock) => break Fetch(None),
                None => self.ports.clock.sleep(TOKEN_LOOK).await,
            }
        };
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

    /// Sends a request once, and again with a new token if the token is rejected, at most twice; once if it lacks a scope
    /// that may have been granted since.
    pub(super) async fn call_once(
        &self,
        call: &Call<'_>,
        deadline: Deadline,
    ) -> Result<Response<Bytes>, Error> {
        let token = self.token(None, deadline).await?;
        let refused = match self.attempt(call, &token, deadline).await {
            Err(error) if error.action() == Action::RefreshToken => token,
            Err(error) if error.status() == Some(403) && self.may_lack_scopes(&token) => {
                let token = self.token(Some(&token), deadline).await?;
                return self.attempt(call, &token, deadline).await;
            }
            answer => return answer,
        };
        let token = self.token(Some(&refused), deadline).await?;
        let refused = match self.attempt(call, &token, deadline).await {
            Err(error) if error.action() == Action::RefreshToken => token,
            answer => return answer,
        };
        let pause = REFUSED_PAUSE.min(deadline.remaining(&*self.ports.clock));
        self.ports.clock.sleep(pause).await;
        let token = self.token(Some(&refused), deadline).await?;
        self.attempt(call, &token, deadline).await
    }

    fn may_lack_scopes(&self, token: &Token) -> bool {
        token.may_lack_scopes(self.ports.clock.monotonic())
    }

    async fn attempt(
        &self,
        call: &Call<'_>,
        token: &Token,
        deadline: Deadline,
    ) -> Result<Response<Bytes>, Error> {
        let answer = self.send(call, token, deadline).await;
        answer.map_err(|error| error.of(call.access))
    }

    async fn send(
        &self,
        call: &Call<'_>,
        token: &Token,
        deadline: Deadline,
    ) -> Result<Response<Bytes>, Error> {
        let separator = if call.path.is_empty() { "" } else { "/" };
        let uri = format!(
            "{}/{}{separator}{}",
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
        let most = match call.access {
            Access::Page => PAGE_TIMEOUT,
            Access::Lookup => LOOKUP_TIMEOUT,
            Access::Read | Access::Write => TIMEOUT,
        };
        let timeout = most.min(deadline.remaining(&*self.ports.clock));
        let limits = Limits {
            timeout,
            max_bytes: call.max_bytes,
        };
        let sent_at = self.ports.clock.monotonic();
        let response = self
            .ports
            .send(request, limits)
            .await
            .map_err(|error| Error::transport(Peer::Commercetools, call.operation, error))?;
        if let Some(time) = server_time(&response) {
            self.set_clock(time, sent_at);
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
    date(response.headers())
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = headers.get(DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(date)
        .ok()
}
