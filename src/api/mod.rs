//! The HTTP surface: who may call what, and which answer each call gets.
//!
//! - `routes`, `auth`: what a path means; who may call.
//! - `body`: what a start may ask for.
//! - `start`, `plan`, `continue_run`, `stop`, `cron`: what calls do.
//! - `status`, `views`: how runs and plans stand, and what the operator is told to do.
//! - `check`: tries the configuration.
//! - `answer`, [`problem`], `refusal`: answers, errors, and why nothing has been started or stopped.
//! - [`description`]: all of it for machines.

mod answer;
mod auth;
mod body;
mod check;
mod continue_run;
mod cron;
mod cron_task;
pub mod description;
mod plan;
pub mod problem;
mod refusal;
mod routes;
mod start;
mod status;
mod stop;
mod views;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH};
use http::{HeaderMap, Method, Response, StatusCode};

use self::answer::json;
use self::auth::{admits_cron, authorize};
use self::description::description;
use self::problem::Problem;
use self::routes::{Route, route};
use crate::app::App;
use crate::config::{Problems, Secret};
use crate::ports::LocalFuture;

/// Bodies of requests are read up to this size, in bytes: 5,000 ids with room.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// A request as the guest hands it in. A body longer than [`MAX_BODY_BYTES`] is handed in with one byte more than that.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Answers a request to an app whose configuration is not usable: what is wrong is told to those who have the token.
#[must_use]
pub fn misconfigured(
    request: &Request,
    problems: &Problems,
    token: Option<&Secret>,
) -> Response<Bytes> {
    if let Some(token) = token
        && let Err(problem) = authorize(&request.headers, token)
    {
        return problem.into_response();
    }
    if request.method == Method::GET && route(&request.path) == Some(Route::Check) {
        return check::misconfigured(problems);
    }
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "The configuration is not usable",
    )
    .detail(problems.to_string())
    .extension("variables", &problems.0)
    .into_response()
}

/// Answers a request whose body broke off.
#[must_use]
pub fn broken_off() -> Response<Bytes> {
    Problem::new(StatusCode::BAD_REQUEST, "Half a body")
        .detail("The body did not arrive whole. Nothing has been done")
        .into_response()
}

/// Answers a request.
pub async fn handle(app: &App, request: Request) -> Response<Bytes> {
    match answer(app, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

/// Checks a request by its head, so that nobody without the token has a body read: `request` has none yet. What is
/// refused here, [`handle`] refuses as well.
///
/// # Errors
/// 401, 404, 413 where the length is announced, 405.
pub fn admit(app: &App, request: &Request) -> Result<(), Problem> {
    admitted(app, request).map(|_| ())
}

fn admitted(app: &App, request: &Request) -> Result<Route, Problem> {
    let engine = &app.engine;
    let is_admitted = admits_cron(&request.path, engine.config.cron_token.as_ref());
    if !is_admitted {
        authorize(&request.headers, &engine.config.api_token)?;
    }
    let route = route(&request.path).filter(|route| is_admitted == matches!(route, Route::Cron(_)));
    let route = route.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "Not found")
            .detail("There is nothing under this path; see GET /sync/status")
    })?;
    let announced = request.headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if request.body.len() > MAX_BODY_BYTES || announced > Some(MAX_BODY_BYTES as u64) {
        return Err(
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "Content too large")
                .detail(format!("The body may have {MAX_BODY_BYTES} bytes")),
        );
    }
    let allow = route.allow();
    if !allow.split(", ").any(|method| request.method == *method) {
        return Err(method_not_allowed(allow));
    }
    Ok(route)
}

fn method_not_allowed(allow: &'static str) -> Problem {
    let mut problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
        .detail(format!("This path answers {allow}"));
    problem
        .headers
        .insert(ALLOW, http::HeaderValue::from_static(allow));
    problem
}

async fn answer(app: &App, request: Request) -> Result<Response<Bytes>, Problem> {
    let engine = &app.engine;
    let route = admitted(app, &request)?;
    // boxed: a request's future is as large as the largest of these, and moves through the host's calls
    let answered: LocalFuture<'_, Result<Response<Bytes>, Problem>> =
        match (&request.method, &route) {
            (&Method::GET, Route::All | Route::Status) => Box::pin(status::all(engine)),
            (&Method::POST, Route::All) => Box::pin(plan::start(engine, &request.body)),
            (&Method::POST, Route::StopAll) => Box::pin(stop::all(engine)),
            (&Method::GET, Route::Check) => Box::pin(async { Ok(check::check(engine).await) }),
            (&Method::GET, Route::Ping) => {
                return Ok(json(StatusCode::OK, &serde_json::json!({"ok": true})));
            }
            (&Method::GET, Route::Description) => return Ok(description()),
            (&Method::GET, Route::Cron(task)) => Box::pin(cron::run(engine, *task)),
            (&Method::GET, Route::Run(resource)) => Box::pin(status::one(engine, *resource)),
            (&Method::POST, Route::Run(resource)) => {
                Box::pin(start::start(engine, *resource, &request.body))
            }
            (&Method::POST, Route::Stop(resource)) => Box::pin(stop::run(engine, *resource)),
            (&Method::POST, Route::Continue(resource)) => {
                Box::pin(continue_run::one(engine, *resource, &request.headers))
            }
            (&Method::POST, Route::ContinueAll) => Box::pin(continue_run::all(engine)),
            _ => return Err(method_not_allowed(route.allow())),
        };
    answered.await
}
