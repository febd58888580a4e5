//! `POST /sync/{resource}`: starts an import, or resumes one that has failed.

use std::rc::Rc;

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json as json_value};

use super::answer::json;
use super::body::{self, Asked};
use super::problem::Problem;
use super::refusal::not_started;
use super::views::run::run_view;
use crate::run::chain::{self, Claimed};
use crate::run::engine::Engine;
use crate::run::start::{self, Launched};
use crate::run::state::Resource;

/// Starts or resumes.
pub(super) async fn start(
    engine: &Rc<Engine>,
    resource: Resource,
    body: &Bytes,
) -> Result<Response<Bytes>, Problem> {
    let (launched, retries) = match body::start(resource, body, engine.now())? {
        Asked::Resume { adopt } => (start::resume(engine, resource, adopt).await, false),
        Asked::Start(request) => (
            start::launch(engine, resource, &request).await,
            request.retry_failed,
        ),
    };
    let Launched {
        stored,
        begun,
        is_claimed,
        unnamed,
    } = launched.map_err(|reason| not_started(resource, reason))?;
    let document = &stored.document;
    let mut answer = run_view(engine, resource, Some(document));
    if let Value::Object(answer) = &mut answer
        && retries
    {
        let named = document.options.ids.as_ref().map_or(0, Vec::len);
        answer.insert(
            "retried".to_owned(),
            json_value!({"records": named, "missed": unnamed}),
        );
    }
    let mut response = json(StatusCode::ACCEPTED, &answer);
    if let Ok(location) = HeaderValue::from_str(&format!("/sync/{resource}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    if is_claimed {
        chain::spawn(engine, Claimed { stored, begun });
    }
    Ok(response)
}
