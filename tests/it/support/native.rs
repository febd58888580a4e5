//! The core natively, over real HTTP: for tests that run it hundreds of times or look inside.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use klaviyo_bulk_import::api::{self, App, Request};
use klaviyo_bulk_import::config::{Config, VARIABLES, Values};
use klaviyo_bulk_import::ports::{
    Body, Clock, Http, Limits, LocalFuture, Log, Ports, Spawn, TransportError,
};
use klaviyo_bulk_import::run::chain::SELF_URL;
use serde_json::Value;
use sim::world::World;

use super::{Setup, TOKEN};

/// Time that runs as fast as the world's.
struct ScaledClock(sim::clock::Clock, Instant);

impl Clock for ScaledClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.1.elapsed().mul_f64(self.0.speed())
    }

    fn sleep(&self, duration: Duration) -> LocalFuture<'static, ()> {
        let clock = self.0;
        Box::pin(async move { clock.sleep(duration).await })
    }
}

struct Network {
    client: reqwest::Client,
    clock: sim::clock::Clock,
    app: Rc<RefCell<Weak<App>>>,
}

impl Http for Network {
    fn send(
        &self,
        request: http::Request<Body>,
        limits: Limits,
    ) -> LocalFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let lost = || TransportError::Connection("lost".to_owned());
            if let Some(path) = parts.uri.to_string().strip_prefix(SELF_URL) {
                let app = self.app.borrow().upgrade().ok_or_else(lost)?;
                let request = Request {
                    method: parts.method,
                    path: path.to_owned(),
                    headers: parts.headers,
                    body: body.to_bytes(),
                };
                return Ok(api::handle(&app, request).await);
            }
            let response = self
                .client
                .request(parts.method, parts.uri.to_string())
                .headers(parts.headers)
                .timeout(self.clock.real(limits.timeout))
                .body(body.to_bytes())
                .send()
                .await
                .map_err(|_| lost())?;
            let mut answer = http::Response::new(());
            *answer.status_mut() = response.status();
            *answer.headers_mut() = response.headers().clone();
            let body = response.bytes().await.map_err(|_| lost())?;
            if body.len() > limits.max_bytes {
                return Err(TransportError::TooLarge {
                    limit: limits.max_bytes,
                });
            }
            Ok(answer.map(|()| body))
        })
    }
}

struct Tasks;

impl Spawn for Tasks {
    fn spawn(&self, work: LocalFuture<'static, ()>) {
        tokio::task::spawn_local(work);
    }
}

struct Silence;

impl Log for Silence {
    fn line(&self, _line: &str) {}
}

/// The app of this world, natively. Must be used inside a `LocalSet`.
pub(crate) fn app(setup: &Setup, world: &World) -> Rc<App> {
    let given = setup.values(world);
    let values: Values = VARIABLES
        .map(|name| (name, given.get(name).cloned().unwrap_or_default()))
        .into_iter()
        .collect();
    let myself = Rc::new(RefCell::new(Weak::new()));
    let clock = world.clock();
    let ports = Ports {
        http: Rc::new(Network {
            client: reqwest::Client::new(),
            clock,
            app: myself.clone(),
        }),
        clock: Rc::new(ScaledClock(clock, Instant::now())),
        spawn: Rc::new(Tasks),
        log: Rc::new(Silence),
    };
    let app = Rc::new(App::new(
        Config::parse(&values).expect("a usable configuration"),
        ports,
    ));
    *myself.borrow_mut() = Rc::downgrade(&app);
    app
}

/// A call of the app's API: status and body.
pub(crate) async fn call(
    app: &Rc<App>,
    method: http::Method,
    path: &str,
    body: &str,
) -> (u16, Value) {
    call_with(app, method, path, Some(TOKEN), body).await
}

/// As [`call`], with this token or none.
pub(crate) async fn call_with(
    app: &Rc<App>,
    method: http::Method,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> (u16, Value) {
    let mut headers = http::HeaderMap::new();
    if let Some(token) = token {
        let shown = format!("Bearer {token}").parse().expect("a header");
        headers.insert("authorization", shown);
    }
    let request = Request {
        method,
        path: path.to_owned(),
        headers,
        body: Bytes::copy_from_slice(body.as_bytes()),
    };
    let response = api::handle(app, request).await;
    (
        response.status().as_u16(),
        serde_json::from_slice(response.body()).expect("a JSON answer"),
    )
}

/// Runs a test of the native core.
pub(crate) fn run<T>(test: impl AsyncFnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, test())
}
