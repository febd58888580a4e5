//! The core natively, in one process with the simulated APIs and in a time of its own, which jumps to the next moment that
//! somebody waits for: for tests that run it hundreds of times or look inside. How fast the machine is plays no part.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::header::HOST;
use jiff::Timestamp;
use klaviyo_bulk_import::api::{self, Request};
use klaviyo_bulk_import::app::App;
use klaviyo_bulk_import::config::{Config, VARIABLES, Values};
use klaviyo_bulk_import::ports::{
    Body, Clock, Http, Limits, LocalFuture, Log, Ports, SELF_URL, Spawn, TransportError,
};
use serde_json::Value;
use sim::server::Direct;
use sim::world::World;

use super::{LONGEST_TEST, Setup, TOKEN};

/// Time that runs as fast as the world's.
struct ScaledClock(clock::Clock);

impl Clock for ScaledClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) -> LocalFuture<'static, ()> {
        Box::pin(self.0.sleep(duration))
    }
}

/// The way to the simulated APIs and to the app itself.
struct Network {
    /// By the beginning of their URLs.
    apis: [(String, Direct); 2],
    app: Rc<RefCell<Weak<App>>>,
}

impl Http for Network {
    fn send(
        &self,
        request: http::Request<Body>,
        limits: Limits,
    ) -> LocalFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let lost = || TransportError::Connection("lost".to_owned());
            let url = parts.uri.to_string();
            if let Some(path) = url.strip_prefix(SELF_URL) {
                let app = self.app.borrow().upgrade().ok_or_else(lost)?;
                let request = Request {
                    method: parts.method,
                    path: path.to_owned(),
                    headers: parts.headers,
                    body: body.to_bytes(),
                };
                return Ok(api::handle(&app, request).await);
            }
            let reached = self.apis.iter().find(|(base, _)| url.starts_with(base));
            let (_, api) = reached.ok_or(TransportError::Denied)?;
            let host = parts.uri.authority().map(|authority| authority.as_str());
            let host = HeaderValue::from_str(host.unwrap_or_default()).map_err(|_| lost())?;
            parts.headers.insert(HOST, host);
            let target = parts.uri.path_and_query().cloned();
            parts.uri = target.map(Into::into).ok_or_else(lost)?;
            let request = http::Request::from_parts(parts, body.to_bytes());
            let answer = api.call(request).await.ok_or_else(lost)?;
            if answer.body().len() > limits.max_bytes {
                let limit = limits.max_bytes;
                return Err(TransportError::TooLarge { limit });
            }
            Ok(answer)
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
    let clock = world.clock().clone();
    let ports = Ports {
        http: Rc::new(Network {
            apis: [world.commercetools_server(), world.klaviyo_server()]
                .map(|server| (server.url(), server.direct())),
            app: myself.clone(),
        }),
        clock: Rc::new(ScaledClock(clock)),
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

/// Runs a test of the native core, in paused time; no longer than [`LONGEST_TEST`].
pub(crate) fn run<T>(test: impl AsyncFnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let test = async { tokio::time::timeout(LONGEST_TEST, test()).await };
    let ended = tokio::task::LocalSet::new().block_on(&runtime, test);
    ended.expect("goes on for ever")
}
