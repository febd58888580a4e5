//! In place of the component's API: what the guest calls, and routes that make calls.

use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::app::App;
use crate::calls::{self, checksum};
use crate::config::{Problems, Secret};

/// As in the component.
pub(crate) const MAX_BODY_BYTES: usize = 1024 * 1024;

/// As in the component.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A request that is refused by its head.
pub(crate) struct Problem;

impl Problem {
    pub(crate) fn into_response(self) -> Response<Bytes> {
        status(StatusCode::UNAUTHORIZED)
    }
}

/// Nothing is public here: every request reaches the app.
pub(crate) fn public(_: &Request) -> Option<Response<Bytes>> {
    None
}

/// Refuses what asks for it.
pub(crate) fn admit(_: &App, head: &Request) -> Result<(), Problem> {
    if head.headers.contains_key("x-refuse") {
        return Err(Problem);
    }
    Ok(())
}

/// The tokens of callers.
#[expect(
    dead_code,
    reason = "the guest fills them in, and nobody asks for a token here"
)]
pub(crate) struct Tokens {
    pub(crate) api: Option<Secret>,
    pub(crate) cron: Option<Secret>,
}

pub(crate) fn misconfigured(_: &Request, _: &Problems, _: &Tokens) -> Response<Bytes> {
    status(StatusCode::INTERNAL_SERVER_ERROR)
}

pub(crate) fn variables_unread() -> Response<Bytes> {
    status(StatusCode::SERVICE_UNAVAILABLE)
}

pub(crate) fn broken_off() -> Response<Bytes> {
    status(StatusCode::BAD_REQUEST)
}

pub(crate) async fn handle(app: &Rc<App>, request: Request) -> Response<Bytes> {
    let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    match (&request.method, request.path.as_str()) {
        // what has arrived
        (_, "/echo") => answer(&json!({
            "method": request.method.as_str(),
            "bytes": request.body.len(),
            "checksum": checksum(&request.body),
            "headers": request.headers.get_all("x-twice").iter().count(),
        })),
        // makes the calls, all at once, and says what became of each
        (&Method::POST, "/calls") => answer(&calls::all(app, &asked).await),
        // answers, and makes the calls afterwards
        (&Method::POST, "/after") => {
            let worker = app.clone();
            app.ports.spawn.spawn(Box::pin(async move {
                calls::one_by_one(&worker, &asked).await;
            }));
            status(StatusCode::ACCEPTED)
        }
        // makes the first of the calls, answers, and makes the others afterwards
        (&Method::POST, "/around") => {
            calls::first(app, &asked).await;
            let worker = app.clone();
            app.ports.spawn.spawn(Box::pin(async move {
                calls::others(&worker, &asked).await;
            }));
            status(StatusCode::OK)
        }
        // tasks that wait for each other
        (&Method::POST, "/tasks") => answer(&calls::tasks(app).await),
        _ => status(StatusCode::NOT_FOUND),
    }
}

fn status(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

fn answer(body: &Value) -> Response<Bytes> {
    Response::new(body.to_string().into())
}
