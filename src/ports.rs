//! What the core needs of the world, as a few narrow traits: HTTP, time, work after the response, log lines.
//!
//! The component implements them over the platform (`guest`), tests over real sockets or over nothing at all. The core
//! runs on one thread, so futures are not `Send` and sharing is by [`Rc`].

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use jiff::Timestamp;

/// A boxed future of the single-threaded core.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A request's body as a list of slices, so that a batch of megabytes is sent without being copied into one piece.
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

    /// The body in one piece (copies where there is more than one slice).
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

/// What one outbound request may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the first byte sent to the last byte read.
    pub timeout: Duration,
    /// The largest answer that is read; a larger one ends in [`TransportError::TooLarge`].
    pub max_bytes: usize,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The time that the caller gave is over. The request may have taken effect.
    #[error("no answer in time")]
    Timeout,
    /// The answer is larger than the caller can hold.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The caller's bound in bytes.
        limit: usize,
    },
    /// The platform does not let the component talk to this host (`allowed_outbound_hosts` in `spin.toml`).
    #[error("the host is not among the app's allowed outbound hosts")]
    Denied,
    /// No connection, or it broke. The request may have taken effect.
    #[error("connection failed: {0}")]
    Connection(String),
}

/// The WASI version that this build's guest is for.
pub const WASI: &str = if cfg!(feature = "wasi-0-3") {
    "0.3"
} else {
    "0.2"
};

/// The app itself, by the name that Spin has for it from 3.2 on.
pub const SELF_URL: &str = "http://self.alt";

/// Outbound HTTP. Redirects are not followed; every status is an answer, not an error.
pub trait Http {
    /// How requests reach the app itself: a URL without a slash at its end.
    fn self_url(&self) -> &'static str {
        SELF_URL
    }

    /// Sends the request and reads the whole answer.
    ///
    /// # Errors
    /// Where there is no complete answer within the limits.
    fn send(
        &self,
        request: http::Request<Body>,
        limits: Limits,
    ) -> LocalFuture<'_, Result<http::Response<Bytes>, TransportError>>;
}

/// Time.
pub trait Clock {
    /// The wall clock. It may be wrong and may jump: what must hold is measured by [`Clock::monotonic`] here, and by
    /// commercetools' clock between invocations.
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary moment; never goes back.
    fn monotonic(&self) -> Duration;
    /// Completes after this much time.
    fn sleep(&self, duration: Duration) -> LocalFuture<'static, ()>;
}

/// Work that goes on after the response has been sent.
pub trait Spawn {
    /// Starts the work; nobody waits for it.
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
        // whoever is out of time may have lost the right to send: nothing is begun any more
        if limits.timeout.is_zero() {
            return Err(TransportError::Timeout);
        }
        let answer = self.http.send(request, limits);
        match select(answer, self.clock.sleep(limits.timeout)).await {
            Either::Left((answer, _)) => answer,
            Either::Right(((), _)) => Err(TransportError::Timeout),
        }
    }
}
