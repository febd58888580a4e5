//! `POST /sync/{resource}`: starts an import, or resumes one that has failed.

use std::rc::Rc;

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json as json_value};

use super::answer::json;
use super::body::{self, Asked};
use super::problem::Problem;
use super::refusal::locked;
use super::refusal::not_started;
use super::views::run::run_view;
use crate::run::chain::{self, Claimed};
use crate::run::engine::Engine;
use crate::run::start::{self, Dismissed, Launched, Retried};
use crate::run::state::Resource;

/// Starts or resumes.
pub(super) async fn start(
    engine: &Rc<Engine>,
    resource: Resource,
    body: &Bytes,
) -> Result<Response<Bytes>, Problem> {
    let launched = match body::start(resource, body, engine.now())? {
        Asked::Resume {
            adopt,
            confirm_removal,
        } => start::resume(engine, resource, adopt, confirm_removal).await,
        Asked::Start(request) => start::launch(engine, resource, &request).await,
        Asked::DismissFailed => return dismiss(engine, resource).await,
    };
    let Launched {
        stored,
        begun,
        opening,
        retried,
    } = launched.map_err(|reason| not_started(resource, reason))?;
    let document = &stored.document;
    let mut answer = run_view(engine, resource, Some(document));
    if let Value::Object(answer) = &mut answer
        && let Some(Retried {
            records,
            left,
            unnamed,
        }) = retried
    {
        answer.insert(
            "retried".to_owned(),
            json_value!({"records": records, "left": left, "missed": unnamed}),
        );
    }
    let mut response = json(StatusCode::ACCEPTED, &answer);
    if let Ok(location) = HeaderValue::from_str(&format!("/sync/{resource}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    if let Some(opening) = opening {
        let claimed = Claimed {
            stored,
            begun,
            opening,
        };
        chain::spawn(engine, claimed);
    }
    Ok(response)
}

/// Forgets the failed records.
async fn dismiss(engine: &Engine, resource: Resource) -> Result<Response<Bytes>, Problem> {
    match start::dismiss(engine, resource).await? {
        Dismissed::Done(count) => {
            let answer = json_value!({"resource": resource, "dismissed": count});
            Ok(json(StatusCode::OK, &answer))
        }
        Dismissed::Locked(run) => Err(locked(&run)),
    }
}
