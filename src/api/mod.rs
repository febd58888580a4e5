//! The HTTP API: routes, authorization, request bodies and responses.
//!
//! - `routes`, `auth`: which path is which operation, and who may use it.
//! - `body`: the request bodies of starts.
//! - `start`, `plan`, `continue_run`, `stop`, `cron`: the operations.
//! - `status`, `views`: the status of runs and plans, with advice for the operator.
//! - `check`: tries the configuration.
//! - `page`: the page for operators, which needs no token and has no data in it.
//! - `answer`, [`problem`], `refusal`: responses, errors, and why nothing was started or stopped.
//! - [`mod@description`]: the OpenAPI description.

mod answer;
mod auth;
mod body;
mod check;
mod continue_run;
mod cron;
mod cron_task;
pub mod description;
mod page;
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

/// The largest request body that is read, in bytes: more than 5,000 ids need.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// A request as the guest passes it in. A body longer than [`MAX_BODY_BYTES`] is cut to one byte more than that.
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

/// Responds to a request while the platform cannot read the variables.
#[must_use]
pub fn variables_unread() -> Response<Bytes> {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "The variables cannot be read",
    )
    .detail("The platform's provider of variables does not respond. Nothing has been done; see the log, and try again")
    .into_response()
}

/// The tokens of callers, as far as their variables are valid.
#[derive(Debug, Default)]
pub struct Tokens {
    /// `api_token`.
    pub api: Option<Secret>,
    /// `cron_token`.
    pub cron: Option<Secret>,
}

/// Responds to a request while the configuration is invalid. The problems are shown only to callers with the token;
/// without a valid `api_token` nobody has it, and they are in the log only.
#[must_use]
pub fn misconfigured(request: &Request, problems: &Problems, tokens: &Tokens) -> Response<Bytes> {
    let problem = Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "The configuration is not usable",
    );
    if admits_cron(&request.path, tokens.cron.as_ref()) {
        let detail = "Variables are missing or wrong; the log and GET /sync/check name them";
        return problem.detail(detail).into_response();
    }
    let Some(token) = &tokens.api else {
        return problem
            .detail("api_token has no valid value, so nobody may see what else is wrong; the log names it")
            .into_response();
    };
    if let Err(problem) = authorize(&request.headers, token) {
        return problem.into_response();
    }
    if request.method == Method::GET && route(&request.path) == Some(Route::Check) {
        return check::misconfigured(problems);
    }
    problem
        .detail(problems.to_string())
        .extension("variables", &problems.0)
        .into_response()
}

/// Responds to a request whose body is incomplete.
#[must_use]
pub fn broken_off() -> Response<Bytes> {
    Problem::new(StatusCode::BAD_REQUEST, "Incomplete body")
        .detail("The body did not arrive completely. Nothing has been done")
        .into_response()
}

/// Responds to a request that needs neither a token nor a valid configuration; `None` if it is another one.
#[must_use]
pub fn public(request: &Request) -> Option<Response<Bytes>> {
    match (&request.method, route(&request.path)) {
        (&Method::GET, Some(Route::Page)) => Some(page::page()),
        (&Method::GET, Some(Route::Home)) => Some(page::home()),
        _ => None,
    }
}

/// Responds to a request.
pub async fn handle(app: &App, request: Request) -> Response<Bytes> {
    if let Some(response) = public(&request) {
        return response;
    }
    match answer(app, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

/// Checks a request before its body is read, so that the body of a caller without the token is not read. [`handle`]
/// does the same checks again.
///
/// # Errors
/// 401, 404, 405, and 413 if `Content-Length` is too large.
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
            .detail("There is no such path; see GET /sync/openapi.json")
    })?;
    let announced = request.headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if request.body.len() > MAX_BODY_BYTES || announced > Some(MAX_BODY_BYTES as u64) {
        return Err(
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "Content too large")
                .detail(format!("The body may have at most {MAX_BODY_BYTES} bytes")),
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
        .detail(format!("This path allows {allow}"));
    problem
        .headers
        .insert(ALLOW, http::HeaderValue::from_static(allow));
    problem
}

async fn answer(app: &App, request: Request) -> Result<Response<Bytes>, Problem> {
    let engine = &app.engine;
    let route = admitted(app, &request)?;
    // boxed: else the future of every request would be as large as the largest of these
    let answered: LocalFuture<'_, Result<Response<Bytes>, Problem>> =
        match (&request.method, &route) {
            (&Method::GET, Route::All | Route::Status) => Box::pin(status::all(engine)),
            (&Method::POST, Route::All) => Box::pin(plan::start(engine, &request.body)),
            (&Method::POST, Route::StopAll) => Box::pin(stop::all(engine)),
            (&Method::GET, Route::Check) => Box::pin(async { Ok(check::check(engine).await) }),
            (&Method::GET | &Method::POST, Route::Ping) => Box::pin(async {
                let status = check::pong(engine, &request.method, &request.headers).await;
                Ok(json(status, &serde_json::json!({"ok": true})))
            }),
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
