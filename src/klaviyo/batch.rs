//! Batches: documents packed by count and by serialized size.
//!
//! A batch keeps its documents as slices of the buffer that they were written to, and the request's body is a list of
//! these slices, so that megabytes are not copied.

use std::ops::Range;

use bytes::Bytes;
use foldhash::fast::RandomState;
use indexmap::IndexSet;

use super::bulk::BulkEndpoint;
use crate::json::pieces::Pieces;

pub(super) const ENTRY_HEAD: &str =
    r#"{"type":"event-bulk-create","attributes":{"profile":{"data":"#;
pub(super) const ENTRY_MIDDLE: &str = r#"},"events":{"data":["#;
pub(super) const ENTRY_TAIL: &str = "]}}}";
const SEPARATOR: usize = ",".len();

/// The size of a profile's entry without its events, in bytes, with a separator.
fn entry_bytes(profile: &str) -> usize {
    ENTRY_HEAD.len() + profile.len() + ENTRY_MIDDLE.len() + ENTRY_TAIL.len() + SEPARATOR
}

/// One document of a batch.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// The record that it belongs to, by the caller's number.
    pub(super) record: usize,
    /// The index of its profile's entry ([`super::bulk::Shape::ByProfile`]).
    pub(super) entry: usize,
    /// The indexes of its pieces among those of the batch.
    pub(super) pieces: Range<usize>,
}

/// Documents that are sent in one request.
#[derive(Debug)]
pub struct Batch {
    pub(super) bulk: &'static BulkEndpoint,
    pub(super) items: Vec<Item>,
    pub(super) pieces: Vec<Bytes>,
    /// The profiles of its entries.
    pub(super) profiles: IndexSet<String, RandomState>,
    /// The size of the request in bytes.
    bytes: usize,
    /// The most documents, at most as many as the endpoint allows.
    max_documents: usize,
    /// Its records were sent before, and were looked up in Klaviyo since.
    pub(super) is_looked_up_again: bool,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new(bulk: &'static BulkEndpoint) -> Self {
        Self::of_at_most(bulk, bulk.max_documents)
    }

    /// An empty batch for fewer documents than the endpoint allows.
    #[must_use]
    pub fn of_at_most(bulk: &'static BulkEndpoint, documents: usize) -> Self {
        Self {
            bulk,
            max_documents: documents.clamp(1, bulk.max_documents),
            items: Vec::new(),
            pieces: Vec::new(),
            profiles: IndexSet::default(),
            bytes: bulk.head.len() + bulk.tail.len(),
            is_looked_up_again: false,
        }
    }

    /// This batch, whose records were sent before, and were looked up in Klaviyo since: those that it creates are not
    /// rejected because they are there.
    #[must_use]
    pub fn looked_up_again(self) -> Self {
        Self {
            is_looked_up_again: true,
            ..self
        }
    }

    /// The endpoint that it is sent to.
    #[must_use]
    pub fn endpoint(&self) -> &'static BulkEndpoint {
        self.bulk
    }

    /// Whether it holds no document.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The number of documents.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// The records that its documents belong to, by the caller's numbers.
    pub fn records(&self) -> impl Iterator<Item = usize> {
        self.items.iter().map(|item| item.record)
    }

    /// The size of the request in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is room for this many more documents, of this many bytes in all.
    #[must_use]
    pub fn has_room_for(&self, documents: usize, bytes: usize) -> bool {
        self.bytes + bytes <= self.bulk.max_bytes
            && self.items.len() + documents <= self.max_documents
    }

    /// Whether a request can hold a single document of this many bytes.
    #[must_use]
    pub fn fits_alone(bulk: &'static BulkEndpoint, profile: Option<&str>, document: usize) -> bool {
        Self::new(bulk).bytes_with(profile, document) <= bulk.max_bytes
    }

    /// The size of the request with one more document of this many bytes, and with the entry of a new profile.
    fn bytes_with(&self, new: Option<&str>, document: usize) -> usize {
        self.bytes + new.map_or(0, entry_bytes) + document + SEPARATOR
    }

    /// Adds the document that has the ranges `place` of `bytes`; `false` if there is no room for it.
    pub fn push(
        &mut self,
        record: usize,
        profile: Option<&str>,
        bytes: &Bytes,
        place: &Pieces,
    ) -> bool {
        let known = profile.and_then(|profile| self.profiles.get_index_of(profile));
        let new = profile.filter(|_| known.is_none());
        let total = self.bytes_with(new, place.len());
        if self.items.len() == self.max_documents || total > self.bulk.max_bytes {
            return false;
        }
        let entry = known.unwrap_or(self.profiles.len());
        self.profiles.extend(new.map(str::to_owned));
        let start = self.pieces.len();
        self.pieces
            .extend(place.iter().map(|piece| bytes.slice(piece)));
        self.items.push(Item {
            record,
            entry,
            pieces: start..self.pieces.len(),
        });
        self.bytes = total;
        true
    }
}
