//! `POST /sync/{resource}`: starts an import.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};
use serde::Deserialize;
use serde_json::json as json_value;

use super::problem::Problem;
use super::{App, json, status};
use crate::config::Continuation;
use crate::ports::Deadline;
use crate::resources;
use crate::run::chain::{self, Claimed};
use crate::run::cursor::Cursor;
use crate::run::lease::Lease;
use crate::run::state::{Order, Resource, RunDocument, Status};
use crate::run::store::{Saved, Stored};

/// "ids": at most.
const MAX_IDS: usize = 5_000;
/// How long a start may take to be written down.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The body of a start.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StartBody {
    #[serde(default)]
    ids: Option<Vec<String>>,
    #[serde(default)]
    start_id: Option<String>,
    #[serde(default)]
    trigger_flows: bool,
}

/// A commercetools id: a UUID. Nothing else gets into a query predicate.
fn is_id(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn bad_request(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "The request is not valid").detail(detail)
}

fn id(name: &str, id: &str) -> Result<String, Problem> {
    if is_id(id) { Ok(id.to_ascii_lowercase()) } else { Err(bad_request(format!("{name}: must be a commercetools id (a UUID)"))) }
}

fn order(resource: Resource, body: &Bytes) -> Result<Order, Problem> {
    let body: StartBody = if body.trim_ascii().is_empty() {
        StartBody::default()
    } else {
        serde_json::from_slice(body).map_err(|error| bad_request(format!("body: {error}")))?
    };
    if resource != Resource::Orders {
        for (name, given) in [("startId", body.start_id.is_some()), ("triggerFlows", body.trigger_flows)] {
            if given {
                return Err(bad_request(format!("{name}: is for orders only")));
            }
        }
    }
    let ids = match body.ids {
        None => None,
        Some(ids) if ids.is_empty() => return Err(bad_request("ids: must name at least one id, or be left out")),
        Some(ids) if ids.len() > MAX_IDS => {
            return Err(bad_request(format!("ids: has {} ids, the most is {MAX_IDS}", ids.len())));
        }
        Some(ids) => {
            let named = ids.iter().enumerate().map(|(at, text)| id(&format!("ids[{at}]"), text));
            let mut ids = named.collect::<Result<Vec<_>, _>>()?;
            ids.sort_unstable();
            ids.dedup();
            Some(ids)
        }
    };
    if ids.is_some() && body.start_id.is_some() {
        return Err(bad_request("startId: cannot be combined with ids"));
    }
    let start_id = body.start_id.map(|start| id("startId", &start)).transpose()?;
    Ok(Order { ids, start_id, trigger_flows: body.trigger_flows })
}

fn locked(document: &RunDocument) -> Problem {
    let detail = match document.status {
        Status::Failed => "The last run has failed and its cursor is kept. POST .../stop gives it up.",
        Status::Stopped => "The last run has been stopped, but its last invocation may still be sending. Try again shortly.",
        _ => "An import of this kind is going on. Watch it with GET, end it with POST .../stop.",
    };
    Problem::new(StatusCode::LOCKED, "An import of this kind is going on")
        .detail(detail)
        .extension("runId", &document.run_id)
        .extension("runStatus", &document.status)
        .extension("lease", &document.lease)
}

pub(super) async fn start(app: &Rc<App>, resource: Resource, body: &Bytes) -> Result<Response<Bytes>, Problem> {
    let order = order(resource, body)?;
    let begun = app.ports.clock.monotonic();
    let deadline = Deadline::after(&*app.ports.clock, TIMEOUT);
    let store = app.store();
    let import = resources::import(resource, app, &Rc::new(order.clone())).ok_or_else(|| {
        Problem::new(StatusCode::NOT_IMPLEMENTED, "Not implemented").detail("This resource cannot be imported yet")
    })?;
    let known = store.load(resource, deadline).await?;
    let is_locked = |document: &RunDocument| {
        let is_live = |lease: &Lease| lease.is_live(app.commercetools.server_now());
        document.is_going_on() || document.lease.as_ref().is_some_and(is_live)
    };
    if let Some(known) = known.as_ref().filter(|known| is_locked(&known.document)) {
        return Err(locked(&known.document));
    }
    // before anything is written: that the records may be read at all
    let total = import.total(&order, deadline).await?;
    let now = app.commercetools.server_now();
    let run_id = format!("{}-{:08x}", now.strftime("%Y%m%dT%H%M%SZ"), fastrand::u32(..));
    let cursor = Cursor::start(order.start_id.as_deref(), app.config.id_ranges);
    let mut document = RunDocument::start(resource, run_id, order, cursor, now);
    document.total = Some(total);
    let works_itself = app.config.continuation == Continuation::SelfCall;
    if works_itself {
        document.lease = Some(Lease::begin(chain::holder(), now, app.config.window));
        document.window = 1;
    }
    let mut stored = Stored { document, version: known.map_or(0, |known| known.version) };
    if store.save(&mut stored, deadline).await? == Saved::Lost {
        return Err(match store.load(resource, deadline).await? {
            Some(winner) => locked(&winner.document),
            None => Problem::new(StatusCode::LOCKED, "Another start was faster").detail("Try again"),
        });
    }
    let document = &stored.document;
    app.log(&json_value!({
        "event": "run_started",
        "resource": resource.name(),
        "runId": document.run_id,
        "records": total,
    }));
    let location = format!("/sync/{resource}");
    let mut response = json(StatusCode::ACCEPTED, &status::document(app, resource, Some(document)));
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, location);
    }
    if works_itself {
        chain::spawn(app, Claimed { stored, begun });
    }
    Ok(response)
}
