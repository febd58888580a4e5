//! Calls to the commercetools HTTP API: authorized, bounded in time and size, tried again where that can help.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE};
use http::{Method, Request, Response, StatusCode};
use jiff::Timestamp;

use super::answer::accept;
use super::token::Token;
use crate::config::CommercetoolsConfig;
use crate::error::{Access, Action, Error, Peer};
use crate::ports::{Body, Limits, Ports};
use crate::retry::with_retry;
use crate::time::{Deadline, between, later};

/// The longest that one call may take; what takes longer hangs.
const TIMEOUT: Duration = Duration::from_secs(12);
/// The longest that a page may take: a query is given up by commercetools itself after 20 s
/// (<https://docs.commercetools.com/api/releases/2020-10-06-added-the-querytimedout-error-code>).
const PAGE_TIMEOUT: Duration = Duration::from_secs(22);
/// An answer whose time is further back than this is believed: the one before it was wrong.
const CLOCK_JUMP: Duration = Duration::from_secs(60);
/// The pause before a third token is fetched where two of them were refused: a token that has just been given may not be
/// known everywhere yet.
const REFUSED_PAUSE: Duration = Duration::from_secs(2);
/// How often a call looks whether the token that another one fetches is there.
const TOKEN_LOOK: Duration = Duration::from_millis(20);

/// The client of one project. Keeps its token for as long as the instance lives.
pub struct Client {
    pub(super) ports: Ports,
    config: CommercetoolsConfig,
    token: RefCell<Option<Token>>,
    /// Whether a token is being fetched.
    is_fetching: Rc<Cell<bool>>,
    server_clock: Cell<Option<ServerClock>>,
}

/// commercetools' time, and when on this instance's monotonic clock it was that.
#[derive(Clone, Copy)]
struct ServerClock {
    time: Timestamp,
    seen_at: Duration,
}

/// A token that is being fetched: says so for as long as it lives, dropped futures included.
struct Fetch(Option<Rc<Cell<bool>>>);

impl Fetch {
    /// `None` where another fetch is under way.
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

/// One call.
pub(super) struct Call<'a> {
    /// For errors, such as `query customers`.
    pub(super) operation: &'static str,
    /// What kind of call it is.
    pub(super) access: Access,
    pub(super) method: Method,
    /// Below the project, without a leading slash, with the query.
    pub(super) path: &'a str,
    pub(super) body: Option<Vec<u8>>,
    /// The largest answer that is read, in bytes.
    pub(super) max_bytes: usize,
}

impl Client {
    /// A client without a token yet.
    #[must_use]
    pub fn new(ports: Ports, config: CommercetoolsConfig) -> Self {
        Self {
            ports,
            config,
            token: RefCell::default(),
            is_fetching: Rc::default(),
            server_clock: Cell::new(None),
        }
    }

    /// commercetools' time now, by the `Date` of its latest answer (cut to the second, so never ahead); this instance's
    /// own where no answer has told it.
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

    /// Takes over the time that an answer tells. It never goes back: answers overtake each other and come from different
    /// servers, and a lease that has run out must not be live again. A clock that jumps far back was wrong before.
    fn set_clock(&self, time: Timestamp) {
        let known = self.server_clock.get().map(|_| self.server_now());
        let is_jump = known.is_some_and(|known| between(time, known) > CLOCK_JUMP);
        let time = match known {
            Some(known) if !is_jump => known.max(time),
            _ => time,
        };
        self.server_clock.set(Some(ServerClock {
            time,
            seen_at: self.ports.clock.monotonic(),
        }));
    }

    /// What the token was granted for, separated by spaces; fetches a token where there is none.
    ///
    /// # Errors
    /// Where no token is given.
    pub async fn granted_scope(&self, deadline: Deadline) -> Result<String, Error> {
        Ok(self.token(None, deadline).await?.scope)
    }

    /// A usable token; a new one where the cached one is `refused`.
    ///
    /// Calls that find no token while another call fetches one wait for that one. They look again and again: whoever
    /// fetches cannot wake a task of another request in a component instance (`wit-bindgen` without
    /// `inter-task-wakeup` traps).
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
                // without time to wait for it, it is fetched all the same: the call says what is wrong
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

    /// Sends a call, tried again as [`crate::error::POLICY`] says.
    pub(super) async fn call(
        &self,
        call: Call<'_>,
        deadline: Deadline,
    ) -> Result<Response<Bytes>, Error> {
        with_retry(&self.ports, deadline, || self.call_once(&call, deadline)).await
    }

    /// Sends a call once (and once more with a new token where the token is refused).
    pub(super) async fn call_once(
        &self,
        call: &Call<'_>,
        deadline: Deadline,
    ) -> Result<Response<Bytes>, Error> {
        let token = self.token(None, deadline).await?;
        let refused = match self.attempt(call, &token, deadline).await {
            Err(error) if error.action() == Action::RefreshToken => token,
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
        let most = match call.access {
            Access::Page => PAGE_TIMEOUT,
            Access::Read | Access::Write => TIMEOUT,
        };
        let timeout = most.min(deadline.remaining(&*self.ports.clock));
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
            self.set_clock(time);
        }
        accept(Peer::Commercetools, call.operation, response)
    }
}

/// commercetools' clock: the `Date` of an answer (RFC 9110), cut to the second. What balancers and proxies answer in its
/// stead (5xx, 429) has the time of their clocks and does not count.
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
