//! What an instance of the app lives in, and the app's ports to it.

use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use jiff::Timestamp;
use klaviyo_bulk_import::ports::SELF_URL;
use klaviyo_bulk_import::ports::{
    Body, Clock, Http, Limits, LocalFuture, Log, Ports, Spawn, TransportError,
};
use sim::world::{COMMERCETOOLS, KLAVIYO};

use crate::executor::Executor;

/// What comes of a call of an instance.
pub type Answered = Result<Response<Bytes>, TransportError>;

/// Whom an instance calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// commercetools.
    Commercetools,
    /// Klaviyo.
    Klaviyo,
    /// The app itself.
    Itself,
}

impl Destination {
    /// Who is called under a URL; nobody else may be.
    #[must_use]
    pub fn of(uri: &Uri) -> Option<Self> {
        let text = uri.to_string();
        [
            (COMMERCETOOLS, Self::Commercetools),
            (KLAVIYO, Self::Klaviyo),
            (SELF_URL, Self::Itself),
        ]
        .into_iter()
        .find_map(|(base, to)| text.strip_prefix(base)?.starts_with('/').then_some(to))
    }
}

/// A world that instances of the app live in.
pub trait Environment {
    /// Whose turn it is, and the time.
    fn executor(&self) -> &Executor;

    /// An instance sends a call, in the form in which a server receives it. What carries it must not keep the environment.
    fn send(
        self: Rc<Self>,
        instance: u64,
        to: Destination,
        request: Request<Bytes>,
    ) -> LocalFuture<'static, Answered>;

    /// An instance has tried to call somebody whom it must not.
    fn denied(&self, _request: &Request<Bytes>) {}

    /// What an instance's wall clock shows.
    fn now(&self, _instance: u64) -> Timestamp {
        self.executor().clock().now()
    }

    /// An instance writes a log line.
    fn log(&self, instance: u64, line: &str);
}

/// The ports of an instance of the app that is made now.
pub fn ports<E: Environment + 'static>(environment: &Rc<E>, instance: u64) -> Ports {
    let instance = Rc::new(Instance {
        environment: Rc::downgrade(environment),
        number: instance,
        made: environment.executor().elapsed(),
    });
    Ports {
        http: instance.clone(),
        clock: instance.clone(),
        spawn: instance.clone(),
        log: instance,
    }
}

/// There is no connection, or it broke.
#[must_use]
pub fn lost() -> TransportError {
    TransportError::Connection("lost".to_owned())
}

struct Instance<E> {
    environment: Weak<E>,
    number: u64,
    made: Duration,
}

impl<E> Instance<E> {
    fn environment(&self) -> Rc<E> {
        let environment = self.environment.upgrade();
        environment.expect("no instance outlives its environment")
    }
}

impl<E: Environment + 'static> Http for Instance<E> {
    fn send(&self, request: Request<Body>, limits: Limits) -> LocalFuture<'_, Answered> {
        Box::pin(async move {
            let environment = self.environment.upgrade().ok_or_else(lost)?;
            let request = request.map(|body| body.to_bytes());
            let Some(to) = Destination::of(request.uri()) else {
                environment.denied(&request);
                return Err(TransportError::Denied);
            };
            let answer = environment
                .send(self.number, to, as_received(request))
                .await?;
            if answer.body().len() > limits.max_bytes {
                let limit = limits.max_bytes;
                return Err(TransportError::TooLarge { limit });
            }
            Ok(answer)
        })
    }
}

/// A request as its server gets it: the target without the host, which is in a header.
fn as_received(mut request: Request<Bytes>) -> Request<Bytes> {
    let host = request.uri().authority().map(ToString::to_string);
    let host = HeaderValue::from_str(&host.unwrap_or_default()).expect("a host");
    request.headers_mut().insert(HOST, host);
    let target = request.uri().path_and_query().cloned();
    *request.uri_mut() = target.map_or_else(|| Uri::from_static("/"), Uri::from);
    request
}

impl<E: Environment> Clock for Instance<E> {
    fn now(&self) -> Timestamp {
        self.environment().now(self.number)
    }

    fn monotonic(&self) -> Duration {
        self.environment().executor().elapsed() - self.made
    }

    fn sleep(&self, duration: Duration) -> LocalFuture<'static, ()> {
        Box::pin(self.environment().executor().sleep(duration))
    }
}

impl<E: Environment> Spawn for Instance<E> {
    fn spawn(&self, work: LocalFuture<'static, ()>) {
        if let Some(environment) = self.environment.upgrade() {
            environment.executor().spawn(Some(self.number), work);
        }
    }
}

impl<E: Environment> Log for Instance<E> {
    fn line(&self, line: &str) {
        if let Some(environment) = self.environment.upgrade() {
            environment.log(self.number, line);
        }
    }
}
