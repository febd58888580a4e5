//! `event-bulk-create-jobs`: up to 1,000 events a request, grouped by profile; a bare 202, nothing to ask afterwards
//! (<https://developers.klaviyo.com/en/reference/bulk_create_events>).

use super::MAX_REQUEST_BYTES;
use super::batch::{Lane, Shape, never_mended};
use super::rate::Endpoint;

/// "Maximum number of events per request: 1,000".
const MAX_EVENTS: usize = 1_000;

static CREATE: Endpoint = Endpoint {
    name: "create events",
    burst: 10,
    steady: 150,
};

/// The bulk creation of events.
pub static LANE: Lane = Lane {
    endpoint: &CREATE,
    path: "/api/event-bulk-create-jobs",
    shape: Shape::ByProfile,
    head: r#"{"data":{"type":"event-bulk-create-job","attributes":{"events-bulk-create":{"data":["#,
    tail: "]}}}}",
    pointer: "/data/attributes/events-bulk-create/data/",
    max_documents: MAX_EVENTS,
    max_bytes: MAX_REQUEST_BYTES,
    mend: never_mended,
    job: None,
    names_by_place: false,
};
