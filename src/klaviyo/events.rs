//! `event-bulk-create-jobs`: up to 1,000 events per request, grouped by profile. The response is a 202 without a body,
//! and there is no job to poll (<https://developers.klaviyo.com/en/reference/bulk_create_events>).

use super::bulk::{BulkAction, BulkEndpoint, MAX_REQUEST_BYTES, Shape, never_apart};
use super::profiles;
use super::rate::Endpoint;

/// "Maximum number of events per request: 1,000".
const MAX_EVENTS: usize = 1_000;

static CREATE: Endpoint = Endpoint {
    name: "create events",
    burst: 10,
    steady: 150,
};

/// The bulk creation of events.
pub static BULK_CREATE: BulkEndpoint = BulkEndpoint {
    key: "create events",
    action: BulkAction::Create,
    post: &CREATE,
    path: "/api/event-bulk-create-jobs",
    shape: Shape::ByProfile,
    head: r#"{"data":{"type":"event-bulk-create-job","attributes":{"events-bulk-create":{"data":["#,
    tail: "]}}}}",
    pointer: "/data/attributes/events-bulk-create/data/",
    max_documents: MAX_EVENTS,
    max_bytes: MAX_REQUEST_BYTES,
    mend: profiles::without_identifier,
    apart: never_apart,
    // the response is a 202 without a job
    read_job: None,
    names_entries: false,
};
