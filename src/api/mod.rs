//! The HTTP surface: who may call what, and which answer each call gets.

mod advice;
pub mod app;
mod body;
mod check;
mod cron;
mod plan;
pub mod problem;
mod proceed;
mod start;
mod status;
mod stop;

use std::rc::Rc;

use bytes::Bytes;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Method, Response, StatusCode};
use serde::Serialize;
use subtle::ConstantTimeEq;

pub use app::App;
use cron::Errand;
use problem::Problem;

use crate::config::Secret;
use crate::ports::LocalFuture;
use crate::run::state::Resource;

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

/// What a path means.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    All,
    Status,
    ContinueAll,
    StopAll,
    Check,
    Ping,
    Description,
    Cron(Errand),
    Run(Resource),
    Continue(Resource),
    Stop(Resource),
}

fn route(path: &str) -> Option<Route> {
    let mut parts = path
        .trim_end_matches('/')
        .trim_start_matches('/')
        .split('/');
    if parts.next() != Some("sync") {
        return None;
    }
    let parts: Vec<&str> = parts.collect();
    match parts[..] {
        [] => Some(Route::All),
        ["status"] => Some(Route::Status),
        ["continue"] => Some(Route::ContinueAll),
        ["stop"] => Some(Route::StopAll),
        ["check"] => Some(Route::Check),
        ["check", "ping"] => Some(Route::Ping),
        ["openapi.json"] => Some(Route::Description),
        ["cron", _, errand] => Errand::named(errand).map(Route::Cron),
        [resource] => Resource::named(resource).map(Route::Run),
        [resource, "continue"] => Resource::named(resource).map(Route::Continue),
        [resource, "stop"] => Resource::named(resource).map(Route::Stop),
        _ => None,
    }
}

impl Route {
    fn allow(&self) -> &'static str {
        match self {
            Self::Status | Self::Check | Self::Ping | Self::Description | Self::Cron(_) => "GET",
            Self::All | Self::Run(_) => "GET, POST",
            Self::ContinueAll | Self::StopAll | Self::Continue(_) | Self::Stop(_) => "POST",
        }
    }
}

/// Checks the bearer token, in a time that does not depend on how much of it is right.
///
/// # Errors
/// 401 with `WWW-Authenticate` where it is missing or wrong.
pub fn authorize(headers: &HeaderMap, token: &Secret) -> Result<(), Problem> {
    let shown = headers
        .get(AUTHORIZATION)
        .map(http::HeaderValue::as_bytes)
        .unwrap_or_default();
    let shown = match shown.split_at_checked(7) {
        Some((scheme, shown)) if scheme.eq_ignore_ascii_case(b"Bearer ") => shown,
        _ => b"",
    };
    if shown.ct_eq(token.expose().as_bytes()).into() {
        return Ok(());
    }
    let mut problem = Problem::new(StatusCode::UNAUTHORIZED, "Unauthorized")
        .detail("Send the api_token of this app: Authorization: Bearer <api_token>");
    problem.headers.insert(
        WWW_AUTHENTICATE,
        http::HeaderValue::from_static("Bearer realm=\"klaviyo-bulk-import\""),
    );
    Err(problem)
}

/// Answers a request to an app whose configuration is not usable: what is wrong is told to those who have the token.
#[must_use]
pub fn misconfigured(
    request: &Request,
    problems: &crate::config::Problems,
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
pub async fn handle(app: &Rc<App>, request: Request) -> Response<Bytes> {
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
    let is_admitted = cron::admits(app, &request.path);
    if !is_admitted {
        authorize(&request.headers, &app.config.api_token)?;
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

async fn answer(app: &Rc<App>, request: Request) -> Result<Response<Bytes>, Problem> {
    let route = admitted(app, &request)?;
    // boxed: a request's future is as large as the largest of these, and moves through the host's calls
    let answered: LocalFuture<'_, Result<Response<Bytes>, Problem>> =
        match (&request.method, &route) {
            (&Method::GET, Route::All | Route::Status) => Box::pin(status::all(app)),
            (&Method::POST, Route::All) => Box::pin(plan::start(app, &request.body)),
            (&Method::POST, Route::StopAll) => Box::pin(plan::stop(app)),
            (&Method::GET, Route::Check) => Box::pin(async { Ok(check::check(app).await) }),
            (&Method::GET, Route::Ping) => {
                return Ok(json(StatusCode::OK, &serde_json::json!({"ok": true})));
            }
            (&Method::GET, Route::Description) => return Ok(description()),
            (&Method::GET, Route::Cron(errand)) => Box::pin(cron::run(app, *errand)),
            (&Method::GET, Route::Run(resource)) => Box::pin(status::one(app, *resource)),
            (&Method::POST, Route::Run(resource)) => {
                Box::pin(start::start(app, *resource, &request.body))
            }
            (&Method::POST, Route::Stop(resource)) => Box::pin(stop::stop(app, *resource)),
            (&Method::POST, Route::Continue(resource)) => Box::pin(proceed::one(app, *resource)),
            (&Method::POST, Route::ContinueAll) => Box::pin(proceed::all(app)),
            _ => return Err(method_not_allowed(route.allow())),
        };
    answered.await
}

/// The description of this API (OpenAPI 3.1).
pub const DESCRIPTION: &str = include_str!("openapi.json");

fn description() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(DESCRIPTION.as_bytes()));
    response.headers_mut().insert(
        CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    response
}

/// A JSON answer.
fn json(status: StatusCode, body: &impl Serialize) -> Response<Bytes> {
    let mut response = Response::new(serde_json::to_vec(body).unwrap_or_default().into());
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    response
        .headers_mut()
        .insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;

    /// The path of a route as the description has it. Names every route, so that a new one is not forgotten.
    fn template(route: &Route) -> &'static str {
        match route {
            Route::All => "/sync",
            Route::Status => "/sync/status",
            Route::ContinueAll => "/sync/continue",
            Route::StopAll => "/sync/stop",
            Route::Check => "/sync/check",
            Route::Ping => "/sync/check/ping",
            Route::Description => "/sync/openapi.json",
            Route::Cron(Errand::Continue) => "/sync/cron/{token}/continue",
            Route::Cron(Errand::Changes) => "/sync/cron/{token}/changes",
            Route::Run(_) => "/sync/{resource}",
            Route::Continue(_) => "/sync/{resource}/continue",
            Route::Stop(_) => "/sync/{resource}/stop",
        }
    }

    #[test]
    fn the_description_has_every_route_with_its_methods_and_no_other() {
        let description: Value = serde_json::from_str(DESCRIPTION).unwrap();
        let described: BTreeMap<String, BTreeSet<String>> = description["paths"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(path, operations)| {
                let methods = operations
                    .as_object()
                    .unwrap()
                    .keys()
                    .filter(|key| *key != "parameters");
                (
                    path.clone(),
                    methods.map(|method| method.to_ascii_uppercase()).collect(),
                )
            })
            .collect();
        let mut answered = BTreeMap::new();
        for route in [
            Route::All,
            Route::Status,
            Route::ContinueAll,
            Route::StopAll,
            Route::Check,
            Route::Ping,
            Route::Description,
            Route::Cron(Errand::Continue),
            Route::Cron(Errand::Changes),
            Route::Run(Resource::Orders),
            Route::Continue(Resource::Orders),
            Route::Stop(Resource::Orders),
        ] {
            let path = template(&route);
            assert_eq!(
                super::route(&path.replace("{resource}", "orders")),
                Some(route),
                "{path}"
            );
        }
        for path in described.keys() {
            let route = route(&path.replace("{resource}", "orders"))
                .unwrap_or_else(|| panic!("{path} has no route"));
            answered.insert(
                template(&route).to_owned(),
                route.allow().split(", ").map(str::to_owned).collect(),
            );
        }
        assert_eq!(described, answered);
    }
}
