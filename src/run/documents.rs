//! What one record becomes: documents in a buffer, with where each goes.

use std::rc::Rc;

use super::state::Note;
use crate::json::pieces::Pieces;
use crate::mapping::Skip;

/// A document that a record becomes.
#[derive(Debug, Clone)]
pub struct Document {
    /// Which of the import's bulk endpoints it goes to, by index.
    pub endpoint: usize,
    /// The profile that it belongs to, where the endpoint groups by profile.
    pub profile: Option<Rc<str>>,
    /// Its ranges of [`Documents::bytes`].
    pub pieces: Pieces,
    /// The part of the record that it is made of, where that is counted and named by itself.
    pub part: Option<String>,
}

/// The size of a large record in bytes.
const LARGE: usize = 1024 * 1024;

/// The documents of one record, in a buffer that is used again for the next.
#[derive(Debug, Default)]
pub struct Documents {
    /// Their JSON texts.
    pub bytes: Vec<u8>,
    /// The bytes and the endpoint of each.
    pub list: Vec<Document>,
    /// What was done differently for this record.
    pub notes: Vec<Note>,
    /// Where the parts of the record are counted in its place, each document being one: the parts that are not sent,
    /// by name, with the reason.
    pub parts_skipped: Option<Vec<(String, Skip)>>,
    /// Why the record counts as skipped, although there are documents of it.
    pub skipped: Option<Skip>,
}

impl Documents {
    /// Clears everything for a record of this many bytes. The buffers are kept, unless they are much larger than most
    /// records need. A buffer for a large record is made once, because growing step by step takes twice its size.
    pub fn clear(&mut self, record_bytes: usize) {
        self.bytes.clear();
        if self.bytes.capacity().max(record_bytes) > LARGE {
            self.bytes = Vec::with_capacity(record_bytes + LARGE / 4);
        }
        self.list.clear();
        self.notes.clear();
        self.parts_skipped = None;
        self.skipped = None;
    }

    /// Adds the bytes from `start` on as a document.
    pub fn push(&mut self, endpoint: usize, start: usize, part: Option<String>) {
        self.list.push(Document {
            endpoint,
            profile: None,
            pieces: Pieces::from(start..self.bytes.len()),
            part,
        });
    }
}
