//! What is sent together, and what is known once it has been acknowledged.
//!
//! Records are packed into batches in the order in which they were read, and batches belong to groups. A group is the
//! unit of progress: when all its batches have been acknowledged, and those of every group before it, the places that
//! the ranges have reached, the counts and Klaviyo's jobs go into the run document together. Whatever the document
//! says is therefore true whenever it is saved, and what it does not say is read and sent again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::cursor::{IdRange, Job};
use super::names::EntryName;
use super::state::{Counts, Outcome, SetAside};
use crate::klaviyo::batch::{Batch, JobMade, Lane, Sent};
use crate::mapping::Skip;
use crate::mapping::pieces::Pieces;

/// A document that a record becomes.
#[derive(Debug, Clone)]
pub struct Document {
    /// Which of the import's lanes it goes to.
    pub lane: usize,
    /// The profile that it belongs to, where the lane groups by profile.
    pub profile: Option<std::rc::Rc<str>>,
    /// Where it stands in [`Documents::bytes`].
    pub place: Pieces,
    /// The part of the record that it is made of, where that is counted and named by itself.
    pub part: Option<String>,
}

/// The documents of one record, in a buffer that is used again for the next.
#[derive(Debug, Default)]
pub struct Documents {
    /// Their JSON texts.
    pub bytes: Vec<u8>,
    /// Where each stands and where it goes.
    pub list: Vec<Document>,
    /// What was done differently for this record.
    pub notes: Vec<&'static str>,
    /// Where the parts of the record are counted in its place, each document being one: the parts that are not sent,
    /// by name, with the reason.
    pub parts_skipped: Option<Vec<(String, Skip)>>,
}

impl Documents {
    /// Forgets everything but keeps the buffers.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.list.clear();
        self.notes.clear();
        self.parts_skipped = None;
    }

    /// Takes the bytes from `start` on as a document.
    pub fn push(&mut self, lane: usize, start: usize, part: Option<String>) {
        self.list.push(Document {
            lane,
            profile: None,
            place: Pieces::from(start..self.bytes.len()),
            part,
        });
    }
}

/// What a job's answer asks for, applied when its group is committed.
#[derive(Debug)]
pub struct JobEffect {
    /// The job.
    pub id: String,
    /// Where to go on reading its errors; the job is done where absent.
    pub errors_at: Option<String>,
    /// Records that the job did not take: id, where it is known, and reason.
    pub refused: Vec<(Option<String>, String)>,
    /// Documents that are sent again in another form.
    pub mended: u64,
}

/// A document that is sent again in another form.
#[derive(Debug)]
pub struct Mended {
    /// The record's id, where it is known.
    pub id: Option<String>,
    /// The document.
    pub document: Vec<u8>,
}

/// Everything that one group changes in the document.
#[derive(Debug, Default)]
pub struct Group {
    seq: u64,
    opened_at: Duration,
    closed: bool,
    outstanding: usize,
    sealed: usize,
    /// How often its records have been sent before.
    attempt: u32,
    /// What has documents, as batches number it: ids of records, names of parts (see [`EntryName`]).
    records: Vec<String>,
    /// What each range had before and has now.
    spans: BTreeMap<usize, IdRange>,
    finished: Vec<usize>,
    last_id: Option<String>,
    records_reached: u64,
    counts: Counts,
    set_aside: Vec<SetAside>,
    refused: BTreeMap<usize, String>,
    jobs: Vec<JobMade>,
    effect: Option<JobEffect>,
}

/// What a committed group says.
#[derive(Debug)]
pub struct Commit {
    /// For each range by its number, the part of it that is done: everything up to `through`.
    pub spans: BTreeMap<usize, IdRange>,
    /// Ranges that are read and sent to the end.
    pub finished: Vec<usize>,
    /// The last record read.
    pub last_id: Option<String>,
    /// Records that were read for the first time.
    pub records_reached: u64,
    /// Counts, refusals included.
    pub counts: Counts,
    /// Records for the report.
    pub set_aside: Vec<SetAside>,
    /// Jobs that Klaviyo made.
    pub jobs: Vec<JobMade>,
    /// What a job's answer asks for.
    pub effect: Option<JobEffect>,
    /// The names of what was sent, as [`JobMade::records`] numbers it.
    records: Vec<String>,
    attempt: u32,
}

/// Packs records and keeps groups in order until they can be committed.
pub struct Packer {
    lanes: &'static [&'static Lane],
    batches_a_group: usize,
    /// Documents a batch, at most; as many as the lane allows where absent.
    cap: Option<usize>,
    /// Documents of the largest batch that was handed out.
    largest: usize,
    next_seq: u64,
    open: Option<(Group, Vec<Batch>)>,
    waiting: VecDeque<Group>,
    /// Full batches with the group that they belong to, in order.
    outbox: VecDeque<(u64, Batch)>,
}

impl Packer {
    /// An empty packer. A group is closed before it has more than `batches_a_group` full batches. A batch has at most
    /// `cap` documents to begin with; that grows with every batch that Klaviyo takes as it is.
    #[must_use]
    pub fn new(
        lanes: &'static [&'static Lane],
        batches_a_group: usize,
        cap: Option<usize>,
    ) -> Self {
        Self {
            lanes,
            batches_a_group,
            cap,
            largest: 0,
            next_seq: 0,
            open: None,
            waiting: VecDeque::new(),
            outbox: VecDeque::new(),
        }
    }

    fn open(&mut self, now: Duration) -> (Group, Vec<Batch>) {
        self.open.take().unwrap_or_else(|| {
            let seq = self.next_seq;
            self.next_seq += 1;
            let group = Group {
                seq,
                opened_at: now,
                ..Group::default()
            };
            (
                group,
                self.lanes
                    .iter()
                    .map(|lane| batch(lane, self.cap))
                    .collect(),
            )
        })
    }

    fn with_open<T>(&mut self, now: Duration, act: impl FnOnce(&mut Group) -> T) -> T {
        let (mut group, batches) = self.open(now);
        let result = act(&mut group);
        self.open = Some((group, batches));
        result
    }

    /// A record that is not sent.
    pub fn skip(&mut self, place: Place<'_>, reason: &str, text: String, now: Duration) {
        self.with_open(now, |group| {
            group.reach(&place);
            group.skip(place.id.map(str::to_owned), reason, text);
        });
    }

    /// A place in a range has been reached without a record.
    pub fn reach(&mut self, place: Place<'_>, now: Duration) {
        self.with_open(now, |group| group.reach(&place));
    }

    /// A record with its documents, each of which fits into a request of its lane.
    pub fn add(&mut self, place: Place<'_>, documents: &Documents, now: Duration) {
        let (mut group, mut batches) = self.open(now);
        let is_full = group.sealed + 1 >= self.batches_a_group && !fits(&batches, documents);
        // what is sent another time is apart, so that its jobs know how often that was
        let is_another_time = group.attempt != place.before.attempt;
        if is_full || is_another_time {
            self.open = Some((group, batches));
            self.close();
            (group, batches) = self.open(now);
        }
        group.attempt = place.before.attempt;
        group.reach(&place);
        group.count(&place, documents);
        let bytes = Bytes::copy_from_slice(&documents.bytes);
        let mut record = group.records.len();
        if documents.parts_skipped.is_none() {
            group.records.push(place.id.unwrap_or_default().to_owned());
        }
        for document in &documents.list {
            if documents.parts_skipped.is_some() {
                let name = EntryName {
                    id: place.id.unwrap_or_default(),
                    part: document.part.as_deref(),
                };
                record = group.records.len();
                group.records.push(name.to_string());
            }
            let batch = &mut batches[document.lane];
            let profile = document.profile.as_deref();
            if !batch.push(record, profile, &bytes, &document.place) {
                let empty = self::batch(self.lanes[document.lane], self.cap);
                let full = std::mem::replace(batch, empty);
                self.outbox.push_back((group.seq, full));
                group.sealed += 1;
                group.outstanding += 1;
                let taken = batch.push(record, profile, &bytes, &document.place);
                debug_assert!(
                    taken,
                    "a document that fits into no request is skipped before it comes here"
                );
            }
        }
        self.open = Some((group, batches));
    }

    /// A range is read to the end.
    pub fn finish(&mut self, range: usize, now: Duration) {
        self.with_open(now, |group| group.finished.push(range));
    }

    /// A job has been asked: its effect, with the documents that it makes necessary to send again.
    pub fn answer(&mut self, effect: JobEffect, lane: usize, mended: &[Mended], now: Duration) {
        self.close();
        let (mut group, mut batches) = self.open(now);
        group.effect = Some(effect);
        for Mended { id, document } in mended {
            let bytes = Bytes::copy_from_slice(document);
            let place = Pieces::from(0..bytes.len());
            let batch = &mut batches[lane];
            let record = group.records.len();
            group.records.push(id.clone().unwrap_or_default());
            if !batch.push(record, None, &bytes, &place) {
                let full = std::mem::replace(batch, self::batch(self.lanes[lane], self.cap));
                self.outbox.push_back((group.seq, full));
                group.outstanding += 1;
                batch.push(record, None, &bytes, &place);
            }
        }
        self.open = Some((group, batches));
        self.close();
    }

    /// Closes the open group: what it holds is sent as it is.
    pub fn close(&mut self) {
        let Some((mut group, batches)) = self.open.take() else {
            return;
        };
        for batch in batches {
            if !batch.is_empty() {
                self.outbox.push_back((group.seq, batch));
                group.outstanding += 1;
            }
        }
        group.closed = true;
        // sealed batches of this group may be out already: it stands where it was opened
        let at = self
            .waiting
            .partition_point(|waiting| waiting.seq < group.seq);
        self.waiting.insert(at, group);
    }

    /// When the open group was opened.
    #[must_use]
    pub fn open_since(&self) -> Option<Duration> {
        self.open.as_ref().map(|(group, _)| group.opened_at)
    }

    /// Batches that wait to be sent.
    #[must_use]
    pub fn outbox(&self) -> usize {
        self.outbox.len()
    }

    /// The lane of the batch that is to be sent next.
    #[must_use]
    pub fn next_lane(&self) -> Option<&'static Lane> {
        self.outbox.front().map(|(_, batch)| batch.lane())
    }

    /// The batch that is to be sent next, with its group.
    pub fn take(&mut self) -> Option<(u64, Batch)> {
        let (group, batch) = self.outbox.pop_front()?;
        self.largest = self.largest.max(batch.len());
        Some((group, batch))
    }

    /// How many documents a batch should have, at most, in the next window; `None` for as many as the lane allows.
    /// Where nothing `went_well` in this window, its batches were too much for it: one that is refused is taken apart
    /// step by step, and if the time is not enough for that, the same would happen again and again.
    #[must_use]
    pub fn next_cap(&self, went_well: bool) -> Option<usize> {
        match self.largest {
            largest if !went_well && largest > 0 => Some((largest / SHRINK).max(1)),
            _ => self.cap,
        }
    }

    /// Forgets what has not been sent: it stays uncommitted and is read again.
    pub fn discard_unsent(&mut self) {
        self.outbox.clear();
        self.open = None;
    }

    /// A batch has been acknowledged.
    pub fn acknowledge(&mut self, seq: u64, sent: Sent) {
        let open = self.open.as_mut().map(|(group, _)| group);
        let Some(group) = self
            .waiting
            .iter_mut()
            .chain(open)
            .find(|group| group.seq == seq)
        else {
            return;
        };
        group.outstanding -= 1;
        if sent.refused.is_empty() {
            let most = self.lanes.iter().map(|lane| lane.max_documents).max();
            self.cap = self.cap.map(|cap| cap * 2).filter(|cap| Some(*cap) < most);
        }
        group.jobs.extend(sent.jobs);
        group.refused.extend(sent.refused);
        if sent.mended > 0 {
            *group
                .counts
                .notes
                .entry(NOTE_MENDED.to_owned())
                .or_default() += sent.mended as u64;
        }
    }

    /// Whether everything has been committed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_none() && self.waiting.is_empty()
    }

    /// The next group that is complete, as are all before it.
    pub fn commit(&mut self) -> Option<Commit> {
        if self
            .waiting
            .front()
            .is_none_or(|group| group.outstanding > 0)
        {
            return None;
        }
        self.waiting.pop_front().map(Group::into_commit)
    }
}

/// The note for documents that were taken in another form than they were sent in first.
pub const NOTE_MENDED: &str = "sent-again-without-phone-number";

/// Where a record comes from.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The number of its range.
    pub range: usize,
    /// The range as it stood before this record.
    pub before: &'a IdRange,
    /// Its id, where it has one.
    pub id: Option<&'a str>,
    /// How far everything is read and sent with it; `None` where that cannot be said of a single record.
    pub reached: Option<&'a str>,
}

/// Entries of a job that the cursor names although its errors would do so, at most: keeps the document small.
const MAX_NAMED: usize = 200;
/// By how much smaller batches are after a window without progress: from the largest to single records in as many
/// windows as a run may stand still.
const SHRINK: usize = 10;

fn batch(lane: &'static Lane, cap: Option<usize>) -> Batch {
    cap.map_or_else(|| Batch::new(lane), |cap| Batch::of_at_most(lane, cap))
}

fn fits(batches: &[Batch], documents: &Documents) -> bool {
    let mut bytes = vec![0; batches.len()];
    let mut count = vec![0; batches.len()];
    for document in &documents.list {
        // the entry of a profile that is new to the batch costs a little more: counted for each, to be on the safe side
        let profile = document
            .profile
            .as_ref()
            .map_or(0, |profile| profile.len() + 128);
        bytes[document.lane] += document.place.len() + 1 + profile;
        count[document.lane] += 1;
    }
    batches
        .iter()
        .zip(bytes.iter().zip(&count))
        .all(|(batch, (&bytes, &count))| batch.has_room_for(count, bytes))
}

impl Group {
    fn reach(&mut self, place: &Place<'_>) {
        if let Some(id) = place.id {
            self.last_id = Some(id.to_owned());
            self.records_reached += u64::from(place.before.attempt == 0);
        }
        let Some(reached) = place.reached else { return };
        let span = self
            .spans
            .entry(place.range)
            .or_insert_with(|| place.before.clone());
        span.through = Some(reached.to_owned());
    }

    fn skip(&mut self, id: Option<String>, reason: &str, text: String) {
        self.counts.read += 1;
        *self.counts.skipped.entry(reason.to_owned()).or_default() += 1;
        self.set_aside.push(SetAside {
            id,
            outcome: Outcome::Skipped,
            reason: text,
        });
    }

    /// Counts each part that is not sent; the report names those with the same reason together.
    fn skip_parts(&mut self, id: Option<&str>, skipped: &[(String, Skip)]) {
        for alike in skipped.chunk_by(|(_, one), (_, next)| one == next) {
            let [(first, skip), others @ ..] = alike else {
                continue;
            };
            let count = alike.len() as u64;
            self.counts.read += count;
            *self
                .counts
                .skipped
                .entry(skip.code().to_owned())
                .or_default() += count;
            let reason = match others.len() {
                0 => format!("{first}: {skip}"),
                more => format!("{first} and {more} more: {skip}"),
            };
            self.set_aside.push(SetAside {
                id: id.map(str::to_owned),
                outcome: Outcome::Skipped,
                reason,
            });
        }
    }

    fn count(&mut self, place: &Place<'_>, documents: &Documents) {
        let sent = match &documents.parts_skipped {
            None => 1,
            Some(skipped) => {
                self.skip_parts(place.id, skipped);
                documents.list.len() as u64
            }
        };
        self.counts.read += sent;
        self.counts.sent += sent;
        self.counts.documents += documents.list.len() as u64;
        for note in &documents.notes {
            *self.counts.notes.entry((*note).to_owned()).or_default() += 1;
        }
    }

    fn into_commit(mut self) -> Commit {
        for (record, reason) in std::mem::take(&mut self.refused) {
            let name = self.records.get(record).filter(|id| !id.is_empty());
            let refused = SetAside::failed(name.map(String::as_str), reason);
            // what a job's answer sends again was counted as sent when the job was handed in
            if let Some(effect) = &mut self.effect {
                effect.refused.push((refused.id, refused.reason));
                continue;
            }
            self.counts.move_to_failed(1);
            self.set_aside.push(refused);
        }
        Commit {
            spans: self.spans,
            finished: self.finished,
            last_id: self.last_id,
            records_reached: self.records_reached,
            counts: self.counts,
            set_aside: self.set_aside,
            jobs: self.jobs,
            effect: self.effect,
            records: self.records,
            attempt: self.attempt,
        }
    }
}

impl Commit {
    /// The jobs as the cursor keeps them, with what can be read again should they be cancelled: the spans of the group,
    /// where Klaviyo made one job of it; the names of their entries, where these are few, or where a job's errors do not
    /// name them.
    #[must_use]
    pub fn cursor_jobs(&self, now: jiff::Timestamp, due: jiff::Timestamp) -> Vec<Job> {
        let is_alone = self.jobs.len() == 1 && self.effect.is_none();
        let job = |made: &JobMade| {
            let documents = made.records.len() as u64;
            let counts = Counts {
                read: documents,
                sent: documents,
                documents,
                ..Counts::default()
            };
            let job = Job {
                id: made.id.clone(),
                kind: made.lane.endpoint.name.to_owned(),
                since: now,
                due,
                asked: 0,
                errors_at: None,
                spans: Vec::new(),
                counts,
                entries: Vec::new(),
                attempt: self.attempt,
            };
            let are_few = !is_alone && made.records.len() <= MAX_NAMED;
            if made.lane.names_by_place || are_few {
                Job {
                    entries: made
                        .records
                        .iter()
                        .map(|&record| self.records[record].clone())
                        .collect(),
                    ..job
                }
            } else if is_alone {
                Job {
                    spans: self.spans.values().cloned().collect(),
                    counts: self.counts.clone(),
                    ..job
                }
            } else {
                job
            }
        };
        self.jobs.iter().map(job).collect()
    }
}
