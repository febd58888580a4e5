//! The bulk endpoints: what they take, how a request to them is put together, and the job that comes of it.

use super::rate::Endpoint;

/// "Maximum payload size: 5MB" of the bulk endpoints, decimal, whole requests.
pub const MAX_REQUEST_BYTES: usize = 5_000_000;
/// Klaviyo's ids of jobs are well under this, in bytes.
const MAX_JOB_ID: usize = 500;

/// How the documents stand in the request.
#[derive(Debug)]
pub enum Shape {
    /// One after the other.
    Flat,
    /// Grouped: all documents of one profile under one entry, as `event-bulk-create-jobs` has it.
    ByProfile,
}

/// What a bulk endpoint does with the documents that it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkAction {
    /// Creates what is not there and updates what is.
    Upsert,
    /// Creates.
    Create,
    /// Updates what is there.
    Update,
    /// Deletes.
    Delete,
}

/// One bulk endpoint.
#[derive(Debug)]
pub struct BulkEndpoint {
    /// Its stable name: jobs are stored under it in run documents, so it must not change.
    pub key: &'static str,
    /// What it does with the documents.
    pub action: BulkAction,
    /// The call that hands documents in, with its limits.
    pub post: &'static Endpoint,
    /// Its path.
    pub path: &'static str,
    /// How the documents stand in the request.
    pub shape: Shape,
    /// What comes before the documents.
    pub head: &'static str,
    /// What comes after them.
    pub tail: &'static str,
    /// The JSON pointer of the list that holds them, with a slash at the end.
    pub pointer: &'static str,
    /// The most documents a request.
    pub max_documents: usize,
    /// The most bytes a request.
    pub max_bytes: usize,
    /// Mends a document that is refused at this pointer (below the document), where that is possible.
    pub mend: fn(pointer: &str, document: &[u8]) -> Option<Vec<u8>>,
    /// The call that reads how the job went which Klaviyo makes of a request; absent where it makes none that can be
    /// read.
    pub read_job: Option<&'static Endpoint>,
    /// Whether the errors of such a job name a document by its index in the request only.
    pub errors_by_index: bool,
}

/// The path of a job of this endpoint.
#[must_use]
pub fn job_path(bulk: &BulkEndpoint, id: &str) -> String {
    let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    // a space is the one byte that a form writes otherwise than a path
    format!("{}/{}", bulk.path, id.replace('+', "%20"))
}

/// A [`BulkEndpoint::mend`] for what cannot be mended.
#[must_use]
pub fn never_mended(_pointer: &str, _document: &[u8]) -> Option<Vec<u8>> {
    None
}

/// Whether this can be the id of a job: it is kept in the run document and becomes a part of a path.
pub(super) fn is_job_id(id: &str) -> bool {
    (1..=MAX_JOB_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}
