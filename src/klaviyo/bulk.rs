//! The bulk endpoints: what they accept, how their requests are built, and the jobs that Klaviyo makes of them.

use super::rate::Endpoint;

/// "Maximum payload size: 5MB" of the bulk endpoints: whole requests, decimal megabytes.
pub const MAX_REQUEST_BYTES: usize = 5_000_000;
/// The longest job id that is accepted, in bytes; Klaviyo's are far shorter.
const MAX_JOB_ID: usize = 500;

/// The arrangement of the documents in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// In one list.
    Flat,
    /// Grouped: all documents of one profile under one entry, as `event-bulk-create-jobs` has it.
    ByProfile,
}

/// What a bulk endpoint does with the documents of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkAction {
    /// Creates or updates.
    Upsert,
    /// Creates; what exists is an error.
    Create,
    /// Updates; what does not exist is an error.
    Update,
    /// Deletes.
    Delete,
    /// Deletes what is then created anew in another place.
    Move,
}

/// A profile without the identifier that Klaviyo rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mended {
    /// Without its phone number.
    WithoutPhoneNumber(Vec<u8>),
    /// Without its email.
    WithoutEmail(Vec<u8>),
}

/// A corrected document, with the place in the list of the one that it replaces.
pub type Corrected = (usize, Vec<u8>);

/// One bulk endpoint.
#[derive(Debug)]
pub struct BulkEndpoint {
    /// Its stable key: run documents store it for each job, so it must not change.
    pub key: &'static str,
    /// What it does with the documents.
    pub action: BulkAction,
    /// The endpoint that documents are posted to, with its rate limits.
    pub post: &'static Endpoint,
    /// Its path.
    pub path: &'static str,
    /// The arrangement of the documents in a request.
    pub shape: Shape,
    /// The request's text before the documents.
    pub head: &'static str,
    /// The request's text after the documents.
    pub tail: &'static str,
    /// The JSON pointer of the list of documents, with a slash at the end.
    pub pointer: &'static str,
    /// The most documents per request.
    pub max_documents: usize,
    /// The most bytes per request.
    pub max_bytes: usize,
    /// Returns a corrected document in place of one that was rejected at this pointer (relative to the document), if
    /// that is possible. For [`Shape::ByProfile`] it is the entry's profile that is corrected.
    pub mend: fn(pointer: &str, document: &[u8]) -> Option<Mended>,
    /// Returns corrected documents, by their place in the list, in the place of those that may not be in one request
    /// together.
    pub apart: fn(documents: &[&[u8]]) -> Vec<Corrected>,
    /// The endpoint that reads the job that Klaviyo makes of a request; absent if there is no job that can be read.
    pub read_job: Option<&'static Endpoint>,
    /// Whether the run document names all entries of such a job: what is not known to have been done is looked up and
    /// decided again.
    pub names_entries: bool,
}

impl BulkEndpoint {
    /// The index in a pointer to a document or a part of it, and the rest of the pointer. Pointers of jobs' errors have
    /// no index.
    pub(super) fn below(&self, pointer: &str) -> (Option<usize>, String) {
        let Some(below) = pointer.strip_prefix(self.pointer) else {
            return (None, String::new());
        };
        let (first, rest) = below.split_at(below.find('/').unwrap_or(below.len()));
        match first.parse() {
            Ok(index) => (Some(index), rest.to_owned()),
            Err(_) if below.is_empty() => (None, String::new()),
            Err(_) => (None, format!("/{below}")),
        }
    }

    /// Whether an error at this field (a pointer below the document) may be gone when the entry is looked up and decided again:
    /// unless it is about what is in the entry. That an entry is there already, or not there, is said in several ways,
    /// and not all of them are known. What an entry is related to may have been deleted since it was looked up, and is
    /// looked up again, too.
    #[must_use]
    pub fn may_be_decided_again(&self, field: &str) -> bool {
        let is_of_content = field.starts_with("/attributes/") && field != "/attributes/external_id";
        self.names_entries && !is_of_content
    }

    /// Whether it creates entries of the catalog: one that is there already is rejected for that.
    #[must_use]
    pub fn creates_entries(&self) -> bool {
        self.names_entries && self.action == BulkAction::Create
    }
}

/// The path of a job of this endpoint.
#[must_use]
pub fn job_path(bulk: &BulkEndpoint, id: &str) -> String {
    let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    // a space is the only byte that form encoding and path encoding write differently
    format!("{}/{}", bulk.path, id.replace('+', "%20"))
}

/// The [`BulkEndpoint::mend`] of endpoints whose documents cannot be corrected.
#[must_use]
pub fn never_mended(_pointer: &str, _document: &[u8]) -> Option<Mended> {
    None
}

/// The [`BulkEndpoint::apart`] of endpoints whose documents have nothing to do with each other.
#[must_use]
pub fn never_apart(_documents: &[&[u8]]) -> Vec<Corrected> {
    Vec::new()
}

/// Whether this is accepted as the id of a job: it is stored in the run document and becomes part of a path.
pub(super) fn is_job_id(id: &str) -> bool {
    (1..=MAX_JOB_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}
