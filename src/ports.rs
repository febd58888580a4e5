//! What the core needs of the platform, as a few narrow traits: HTTP, time, work after the response, log lines.
//!
//! The component implements them with the platform's interfaces (`guest`); tests implement them with real sockets or in
//! memory. The core runs on one thread, so futures are not `Send` and values are shared by [`Rc`].

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use jiff::Timestamp;

/// A boxed future of the single-threaded core.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A request's body as a list of slices, so that a batch of megabytes is not copied into one buffer before it is sent.
#[derive(Debug, Clone, Default)]
pub struct Body(Vec<Bytes>);

impl Body {
    /// A body of these slices, one after the other.
    #[must_use]
    pub fn from_slices(slices: Vec<Bytes>) -> Self {
        Self(slices)
    }

    /// Total length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Bytes::is_empty)
    }

    /// The slices in order.
    #[must_use]
    pub fn into_slices(self) -> Vec<Bytes> {
        self.0
    }

    /// The body as one slice (copies if there is more than one).
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self.0.as_slice() {
            [] => Bytes::new(),
            [one] => one.clone(),
            many => many.concat().into(),
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(vec![bytes.into()])
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

/// The limits of one outbound request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the first byte sent to the last byte read.
    pub timeout: Duration,
    /// The largest response body that is read; a larger one is [`TransportError::TooLarge`].
    pub max_bytes: usize,
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The caller's time limit is over. The request may have taken effect.
    #[error("no response in time")]
    Timeout,
    /// The same, where the caller had less time left than a response may take ([`LEAST_TIME`]).
    #[error("no response in the time that was left")]
    CutOff,
    /// The response is larger than the caller can hold.
    #[error("the response is larger than {limit} bytes")]
    TooLarge {
        /// The caller's limit in bytes.
        limit: usize,
    },
    /// The instance has no memory for the response, although the caller could hold it: others hold it now.
    #[error("no memory for a response of {bytes} bytes")]
    NoMemory {
        /// How much was asked for, in bytes.
        bytes: usize,
    },
    /// The platform does not let the component send requests to this host (`allowed_outbound_hosts` in `spin.toml`).
    #[error("the host is not among the app's allowed outbound hosts")]
    Denied,
    /// No connection, or it broke. The request may have taken effect.
    #[error("connection failed: {0}")]
    Connection(String),
}

/// A request that has less time than this may end without a response although its API responds as usual: pages and bulk
/// requests take seconds.
pub const LEAST_TIME: Duration = Duration::from_secs(5);

/// The WASI version that this build's guest is for.
pub const WASI: &str = if cfg!(feature = "wasi-0-3") {
    "0.3"
} else {
    "0.2"
};

/// The URL of the app itself, as Spin has it from 3.2 on.
pub const SELF_URL: &str = "http://self.alt";

/// Outbound HTTP. Redirects are not followed; every status is a response, not an error.
pub trait Http {
    /// The URL that requests reach the app itself at, without a trailing slash.
    fn self_url(&self) -> &'static str {
        SELF_URL
    }

    /// Sends the request and reads the whole response.
    ///
    /// # Errors
    /// If there is no complete response within the limits.
    fn send(
        &self,
        request: http::Request<Body>,
        limits: Limits,
    ) -> LocalFuture<'_, Result<http::Response<Bytes>, TransportError>>;
}

/// Time.
pub trait Clock {
    /// The wall clock. It may be wrong and may jump: durations are measured with [`Clock::monotonic`], and invocations
    /// agree on commercetools' time.
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary start; never goes back.
    fn monotonic(&self) -> Duration;
    /// Completes after this much time.
    fn sleep(&self, duration: Duration) -> LocalFuture<'static, ()>;
}

/// Work that goes on after the response has been sent.
pub trait Spawn {
    /// Starts the work; the caller does not wait for it.
    fn spawn(&self, work: LocalFuture<'static, ()>);
}

/// Where log lines go.
pub trait Log {
    /// Writes one line, without the line break.
    fn line(&self, line: &str);
}

/// All ports together; cheap to clone.
#[derive(Clone)]
pub struct Ports {
    /// Outbound HTTP.
    pub http: Rc<dyn Http>,
    /// Time.
    pub clock: Rc<dyn Clock>,
    /// Work after the response.
    pub spawn: Rc<dyn Spawn>,
    /// Log lines.
    pub log: Rc<dyn Log>,
}

impl Ports {
    /// Sends a request, bounded by `limits.timeout` whatever the implementation of [`Http`] does about it.
    ///
    /// # Errors
    /// As [`Http::send`].
    pub async fn send(
        &self,
        request: http::Request<Body>,
        limits: Limits,
    ) -> Result<http::Response<Bytes>, TransportError> {
        // with no time left the lease may be over: no request is begun
        if limits.timeout.is_zero() {
            return Err(TransportError::CutOff);
        }
        let answer = self.http.send(request, limits);
        let answer = match select(answer, self.clock.sleep(limits.timeout)).await {
            Either::Left((answer, _)) => answer,
            Either::Right(((), _)) => Err(TransportError::Timeout),
        };
        answer.map_err(|error| match error {
            TransportError::Timeout if limits.timeout < LEAST_TIME => TransportError::CutOff,
            error => error,
        })
    }
}
