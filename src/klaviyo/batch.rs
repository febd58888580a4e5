//! Batches: documents packed by count and by serialized bytes, sent whole, and taken apart when Klaviyo refuses them.
//!
//! A batch keeps its documents as slices of the bytes that they were written in, and the request's body is a list of
//! these, so that megabytes are written once. A refusal that points at some documents costs only those; one that points
//! nowhere is halved until the culprits stand alone.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use bytes::Bytes;
use foldhash::fast::RandomState;
use indexmap::IndexSet;
use serde::Deserialize;

use super::client::Client;
use super::rate::Endpoint;
use crate::error::{Action, Error, Peer, Refusal, plain_field};
use crate::mapping::pieces::Pieces;
use crate::ports::{Body, Deadline};

/// How the documents stand in the request.
#[derive(Debug)]
pub enum Shape {
    /// One after the other.
    Flat,
    /// Grouped: all documents of one profile under one entry, as `event-bulk-create-jobs` has it.
    ByProfile,
}

/// One bulk endpoint.
#[derive(Debug)]
pub struct Lane {
    /// The endpoint with its limits.
    pub endpoint: &'static Endpoint,
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
    /// Where the answer names a job that has to be asked how it went: the endpoint that is asked.
    pub job: Option<&'static Endpoint>,
    /// Whether such a job's errors name a document by its place in the request only.
    pub names_by_place: bool,
}

/// The path of a job of this lane.
#[must_use]
pub fn job_path(lane: &Lane, id: &str) -> String {
    let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    // a space is the one byte that a form writes otherwise than a path
    format!("{}/{}", lane.path, id.replace('+', "%20"))
}

/// A [`Lane::mend`] for what cannot be mended.
#[must_use]
pub fn never_mended(_pointer: &str, _document: &[u8]) -> Option<Vec<u8>> {
    None
}

/// Klaviyo's ids of jobs are well under this, in bytes.
const MAX_JOB_ID: usize = 500;

const ENTRY_HEAD: &str = r#"{"type":"event-bulk-create","attributes":{"profile":{"data":"#;
const ENTRY_MIDDLE: &str = r#"},"events":{"data":["#;
const ENTRY_TAIL: &str = "]}}}";
const SEPARATOR: usize = ",".len();

/// What the entry of a profile has in bytes, with a separator, beside its events.
fn entry_bytes(profile: &str) -> usize {
    ENTRY_HEAD.len() + profile.len() + ENTRY_MIDDLE.len() + ENTRY_TAIL.len() + SEPARATOR
}

/// One document of a batch.
#[derive(Debug, Clone)]
struct Item {
    /// The record that it belongs to, as the caller numbers them.
    record: usize,
    /// The entry of its profile ([`Shape::ByProfile`]).
    entry: usize,
    /// Its pieces, among those of the batch.
    pieces: Range<usize>,
}

/// Documents on their way.
#[derive(Debug)]
pub struct Batch {
    lane: &'static Lane,
    items: Vec<Item>,
    pieces: Vec<Bytes>,
    /// The profiles of its entries.
    profiles: IndexSet<String, RandomState>,
    /// What the request will have in bytes.
    bytes: usize,
    /// The most documents, at most those of the lane.
    max_documents: usize,
}

/// A job that Klaviyo has made of a batch, or of a part of it.
#[derive(Debug)]
pub struct JobMade {
    /// Klaviyo's id.
    pub id: String,
    /// Where it was handed in.
    pub lane: &'static Lane,
    /// The records of its documents in the order of the request.
    pub records: Vec<usize>,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Sent {
    /// The jobs that Klaviyo made of it.
    pub jobs: Vec<JobMade>,
    /// The records that Klaviyo refused, with the reason.
    pub refused: BTreeMap<usize, String>,
    /// Documents that were mended before they were taken.
    pub mended: usize,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new(lane: &'static Lane) -> Self {
        Self::of_at_most(lane, lane.max_documents)
    }

    /// An empty batch for fewer documents than the lane allows.
    #[must_use]
    pub fn of_at_most(lane: &'static Lane, documents: usize) -> Self {
        Self {
            lane,
            max_documents: documents.clamp(1, lane.max_documents),
            items: Vec::new(),
            pieces: Vec::new(),
            profiles: IndexSet::default(),
            bytes: lane.head.len() + lane.tail.len(),
        }
    }

    /// The endpoint it goes to.
    #[must_use]
    pub fn lane(&self) -> &'static Lane {
        self.lane
    }

    /// Whether it holds no document.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Documents held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Bytes of the request.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is room for so many more documents of so many bytes together.
    #[must_use]
    pub fn has_room_for(&self, documents: usize, bytes: usize) -> bool {
        self.bytes + bytes <= self.lane.max_bytes
            && self.items.len() + documents <= self.max_documents
    }

    /// Whether a request could hold a document of so many bytes alone.
    #[must_use]
    pub fn fits_alone(lane: &'static Lane, profile: Option<&str>, document: usize) -> bool {
        Self::new(lane).bytes_with(profile, document) <= lane.max_bytes
    }

    /// What the request would have in bytes with one more document of so many, and with the entry of a new profile.
    fn bytes_with(&self, new: Option<&str>, document: usize) -> usize {
        self.bytes + new.map_or(0, entry_bytes) + document + SEPARATOR
    }

    /// Adds the document that stands at `place` in `bytes`, where there is room for it.
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
        if self.items.len() == self.max_documents || total > self.lane.max_bytes {
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

    /// Sends the batch and takes it apart as far as Klaviyo's refusals ask for it.
    ///
    /// # Errors
    /// Where Klaviyo does not answer, or refuses for a reason that is not in the documents. Part of the batch may have
    /// been taken then; sending it again is harmless.
    pub async fn send(self, client: &Client, deadline: Deadline) -> Result<Sent, Error> {
        let mut sending = Sending {
            lane: self.lane,
            items: self.items,
            pieces: self.pieces,
            profiles: self.profiles.into_iter().map(Bytes::from).collect(),
            mended: HashMap::new(),
            sent: Sent::default(),
        };
        let mut parts = vec![(0..sending.items.len()).collect::<Vec<usize>>()];
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let (body, places) = sending.body(&part);
            match client
                .post(sending.lane.endpoint, sending.lane.path, body, deadline)
                .await
            {
                Ok(answer) => sending.note_job(&answer, &part)?,
                Err(error) if error.action() == Action::SetAside => {
                    let refusal = error
                        .refusal()
                        .cloned()
                        .unwrap_or_else(|| unreachable_refusal(&error));
                    parts.extend(sending.take_apart(part, &places, &refusal));
                }
                Err(error) => return Err(error),
            }
        }
        sending.sent.mended = sending.mended.len();
        Ok(sending.sent)
    }
}

/// Only answers are set aside by the table; should a row ever say otherwise, nothing is pointed at.
fn unreachable_refusal(error: &Error) -> Refusal {
    Refusal {
        status: error.status().unwrap_or(0),
        code: None,
        retry_after: None,
        pointers: Vec::new(),
    }
}

/// A batch while it is being sent.
struct Sending {
    lane: &'static Lane,
    items: Vec<Item>,
    pieces: Vec<Bytes>,
    profiles: Vec<Bytes>,
    mended: HashMap<usize, Bytes>,
    sent: Sent,
}

/// Where each item of a request stands in it, for reading pointers: `places[entry]` are the item numbers in order. In
/// a flat request each item is an entry of its own.
type Places = Vec<Vec<usize>>;

#[derive(Deserialize)]
struct JobAnswer {
    data: JobData,
}

#[derive(Deserialize)]
struct JobData {
    id: String,
}

impl Sending {
    fn document(&self, item: usize) -> &[Bytes] {
        match self.mended.get(&item) {
            Some(mended) => std::slice::from_ref(mended),
            None => &self.pieces[self.items[item].pieces.clone()],
        }
    }

    fn body(&self, part: &[usize]) -> (Body, Places) {
        let places: Places = match self.lane.shape {
            Shape::Flat => part.iter().map(|&item| vec![item]).collect(),
            Shape::ByProfile => {
                let mut order = Vec::new();
                let mut entries: HashMap<usize, Vec<usize>> = HashMap::new();
                for &item in part {
                    let entry = self.items[item].entry;
                    let members = entries.entry(entry).or_default();
                    if members.is_empty() {
                        order.push(entry);
                    }
                    members.push(item);
                }
                order
                    .into_iter()
                    .filter_map(|entry| entries.remove(&entry))
                    .collect()
            }
        };
        let mut slices = vec![Bytes::from_static(self.lane.head.as_bytes())];
        for (position, entry) in places.iter().enumerate() {
            if position > 0 {
                slices.push(Bytes::from_static(b","));
            }
            match self.lane.shape {
                Shape::Flat => {
                    slices.extend(entry.iter().flat_map(|&item| self.document(item)).cloned());
                }
                Shape::ByProfile => self.entry(entry, &mut slices),
            }
        }
        slices.push(Bytes::from_static(self.lane.tail.as_bytes()));
        (Body::from_slices(slices), places)
    }

    fn entry(&self, items: &[usize], slices: &mut Vec<Bytes>) {
        slices.push(Bytes::from_static(ENTRY_HEAD.as_bytes()));
        slices.push(self.profiles[self.items[items[0]].entry].clone());
        slices.push(Bytes::from_static(ENTRY_MIDDLE.as_bytes()));
        for (position, &item) in items.iter().enumerate() {
            if position > 0 {
                slices.push(Bytes::from_static(b","));
            }
            slices.extend_from_slice(self.document(item));
        }
        slices.push(Bytes::from_static(ENTRY_TAIL.as_bytes()));
    }

    /// Takes note of the job that has been made, without which nobody would hear of what it refuses.
    fn note_job(&mut self, answer: &[u8], part: &[usize]) -> Result<(), Error> {
        if self.lane.job.is_none() {
            return Ok(());
        }
        let id = serde_json::from_slice::<JobAnswer>(answer).map(|answer| answer.data.id);
        let Some(id) = id.ok().filter(|id| is_job_id(id)) else {
            return Err(Error::unreadable(
                Peer::Klaviyo,
                self.lane.endpoint.name,
                "a job with its id",
            ));
        };
        let records = part.iter().map(|&item| self.items[item].record).collect();
        self.sent.jobs.push(JobMade {
            id,
            lane: self.lane,
            records,
        });
        Ok(())
    }

    /// Decides what a refused part is sent as next.
    fn take_apart(
        &mut self,
        part: Vec<usize>,
        places: &Places,
        refusal: &Refusal,
    ) -> Vec<Vec<usize>> {
        let mut culprits: BTreeMap<usize, &str> = BTreeMap::new();
        for pointer in &refusal.pointers {
            for item in self.pointed_at(pointer, places) {
                culprits.entry(item).or_insert(pointer);
            }
        }
        if culprits.is_empty() {
            return self.halve(part, refusal);
        }
        for (&item, pointer) in &culprits {
            let field = self.field(pointer);
            // what has been mended once and is refused again is not worth a third try
            let mended = if self.mended.contains_key(&item) {
                None
            } else {
                (self.lane.mend)(field, &self.document(item).concat())
            };
            match mended {
                Some(document) => {
                    self.mended.insert(item, document.into());
                }
                None => {
                    let reason = reason(refusal, field);
                    self.sent.refused.insert(self.items[item].record, reason);
                }
            }
        }
        let left = part
            .into_iter()
            .filter(|item| !culprits.contains_key(item) || self.is_worth_a_try(*item))
            .collect();
        vec![left]
    }

    fn is_worth_a_try(&self, item: usize) -> bool {
        self.mended.contains_key(&item) && !self.sent.refused.contains_key(&self.items[item].record)
    }

    fn halve(&mut self, mut part: Vec<usize>, refusal: &Refusal) -> Vec<Vec<usize>> {
        if let [item] = part[..] {
            self.sent
                .refused
                .insert(self.items[item].record, reason(refusal, ""));
            return Vec::new();
        }
        let second = part.split_off(part.len() / 2);
        // the last is sent first: keeps the order of an order's events
        vec![second, part]
    }

    /// The items that a pointer names: one, or all of an entry.
    fn pointed_at(&self, pointer: &str, places: &Places) -> Vec<usize> {
        let Some(below) = pointer.strip_prefix(self.lane.pointer) else {
            return Vec::new();
        };
        let mut parts = below.splitn(2, '/');
        let Some(entry) = parts
            .next()
            .and_then(|index| index.parse().ok())
            .and_then(|index: usize| places.get(index))
        else {
            return Vec::new();
        };
        if matches!(self.lane.shape, Shape::Flat) {
            return entry.clone();
        }
        let event = parts
            .next()
            .and_then(|rest| rest.strip_prefix("attributes/events/data/"))
            .and_then(|rest| rest.split('/').next()?.parse().ok())
            .and_then(|index: usize| entry.get(index));
        event.map_or_else(|| entry.clone(), |&item| vec![item])
    }

    /// The part of a pointer that stands below the document.
    fn field<'a>(&self, pointer: &'a str) -> &'a str {
        let below = pointer.strip_prefix(self.lane.pointer).unwrap_or(pointer);
        below.find('/').map_or("", |slash| &below[slash..])
    }
}

/// Whether this can be the id of a job: it is kept in the run document and becomes a part of a path.
fn is_job_id(id: &str) -> bool {
    (1..=MAX_JOB_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Why Klaviyo refused a record: the status, its code and the field; never its words, which can quote the record.
fn reason(refusal: &Refusal, field: &str) -> String {
    let code = refusal.code.as_deref().unwrap_or("no code");
    match plain_field(field) {
        "" => format!("Klaviyo refused it: {} {code}", refusal.status),
        field => format!("Klaviyo refused it: {} {code} at {field}", refusal.status),
    }
}
