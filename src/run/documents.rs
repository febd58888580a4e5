//! What one record becomes: documents in a buffer, with where each goes.

use std::rc::Rc;

use super::state::{Drift, IdRange, Note};
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
    /// What was done differently for that part.
    pub part_note: Option<Note>,
}

/// The size of a large buffer in bytes.
const LARGE: usize = 1024 * 1024;

/// The documents of one record, in a buffer that is used again for the next.
#[derive(Debug, Default)]
pub struct Documents {
    /// Their JSON texts.
    pub bytes: Vec<u8>,
    /// The bytes and the endpoint of each.
    pub list: Vec<Document>,
    /// What becomes of the record itself.
    pub record: RecordOutcome,
    /// What was done differently for this record, and is when it is read again.
    pub notes: Vec<Note>,
    /// What was done for it before it was mapped, and is not done again.
    pub notes_of_page: Vec<Note>,
    /// The parts of the record that are not sent, by name, with the reason. Its documents with a
    /// [part](Document::part) are those that are.
    pub parts_skipped: Vec<(String, Skip)>,
    /// Parts of other records that make room for this one's, by their names.
    pub displaced: Vec<String>,
    /// Whether the record was not sent, but found to have changed.
    pub changed: bool,
    /// How far Klaviyo is from this record, in a comparison.
    pub drift: Option<Box<Drift>>,
    /// What Klaviyo has of this record.
    pub found: Found,
    /// Whether its parts are read and sent later.
    pub parts_follow: bool,
    /// Whether all its parts are sent once more: Klaviyo has lost them.
    pub parts_follow_anew: bool,
    /// What of it counts as sent now, and is sent by others.
    pub ahead: Ahead,
    /// What of this has been counted before.
    pub counted: Counted,
    /// Where the rest of its parts is read, if these are only a portion of them.
    pub rest: Option<Box<IdRange>>,
}

/// What becomes of a record, apart from its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RecordOutcome {
    /// It is sent.
    #[default]
    Sent,
    /// It is not sent, for this reason.
    Skipped(Skip),
    /// It is not counted: only its parts are, or it was before.
    Uncounted,
}

/// What Klaviyo has of a record's parts, and what of these is to be removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// How many parts Klaviyo has.
    pub parts: u64,
    /// Whether the record seems to have lost one of them: that is looked at again when everything else is done.
    pub has_obsolete: bool,
    /// How many of them are to be removed, as counted in the end.
    pub removals: u64,
    /// Whether the record is not in commercetools, and does not say whose it is.
    pub is_unmarked: bool,
}

/// What counts as sent although it is not among a record's documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ahead {
    /// How many documents of the record itself, which are on their way.
    pub documents: u64,
    /// How many of its parts, which are on their way or follow when the record is in Klaviyo.
    pub parts: u64,
}

/// What has been counted as sent before, and is sent once more: it counts once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many records.
    pub records: u64,
    /// How many parts of records.
    pub parts: u64,
}

impl Documents {
    /// Clears everything for another record. The buffers are kept, unless they are much larger than most records need: what
    /// a large record needs, its mapping reserves.
    pub fn clear(&mut self) {
        self.bytes.clear();
        if self.bytes.capacity() > LARGE {
            self.bytes = Vec::new();
        }
        self.list.clear();
        self.record = RecordOutcome::Sent;
        self.notes.clear();
        self.notes_of_page.clear();
        self.parts_skipped.clear();
        self.displaced.clear();
        self.changed = false;
        self.drift = None;
        self.found = Found::default();
        self.parts_follow = false;
        self.parts_follow_anew = false;
        self.ahead = Ahead::default();
        self.counted = Counted::default();
        self.rest = None;
    }

    /// Adds the bytes from `start` on as a document.
    pub fn push(&mut self, endpoint: usize, start: usize, part: Option<String>) {
        self.list.push(Document {
            endpoint,
            profile: None,
            pieces: Pieces::from(start..self.bytes.len()),
            part,
            part_note: None,
        });
    }

    /// Removes the documents of parts, which were added to the first `bytes` bytes.
    pub fn take_parts_back(&mut self, bytes: usize) {
        self.bytes.truncate(bytes);
        self.list.retain(|document| document.part.is_none());
        self.displaced.clear();
        self.counted.parts = 0;
    }

    /// Notes what was done differently for the part of the latest document.
    pub fn note_part(&mut self, note: Note) {
        if let Some(document) = self.list.last_mut() {
            document.part_note = Some(note);
        }
    }
}
