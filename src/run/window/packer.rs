//! Packs records into batches, in the order in which they were read, and keeps groups of batches in order until they
//! can be committed.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::commit::{Commit, JobEffect, SentEntry};
use super::group::{Group, Origin};
use crate::json::pieces::Pieces;
use crate::klaviyo::batch::Batch;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::sending::Sent;
use crate::run::documents::Documents;
use crate::run::import::Mended;
use crate::run::state::{EntryName, Note};

/// The factor by which batches are smaller after a window without progress: from the largest batch to single records in
/// as many windows as a run may be without progress.
const SHRINK: usize = 10;

/// The most entries that the cursor names in a window because their batches failed, those of a whole group: limits the
/// document.
const MAX_PUT_OFF: usize = 2_500;

/// Packs records and keeps groups in order until they can be committed.
pub struct Packer {
    endpoints: &'static [&'static BulkEndpoint],
    batches_a_group: usize,
    /// The most documents per batch; if absent, as many as the endpoint allows.
    cap: Option<usize>,
    /// The number of documents of the largest batch that was taken out.
    largest: usize,
    next_seq: u64,
    open: Option<(Group, Vec<Batch>)>,
    waiting: VecDeque<Group>,
    /// Full batches with the group that they belong to, in order.
    outbox: VecDeque<(u64, Batch)>,
    /// Batches that were taken out, by kind, as long as their groups are not committed.
    uncommitted: HashMap<&'static str, usize>,
    /// Ids of records of which a commit says that they were read.
    watched: Rc<BTreeSet<String>>,
    /// How many more entries the cursor may name because their batches failed.
    may_be_put_off: usize,
}

impl Packer {
    /// An empty packer. A group is closed before it has more than `batches_a_group` full batches. A batch has at most
    /// `cap` documents to begin with; that grows with every group that is committed and of which Klaviyo has
    /// taken a batch as it was.
    #[must_use]
    pub fn new(
        endpoints: &'static [&'static BulkEndpoint],
        batches_a_group: usize,
        cap: Option<usize>,
    ) -> Self {
        Self {
            endpoints,
            batches_a_group,
            cap,
            largest: 0,
            next_seq: 0,
            open: None,
            waiting: VecDeque::new(),
            outbox: VecDeque::new(),
            uncommitted: HashMap::new(),
            watched: Rc::default(),
            may_be_put_off: MAX_PUT_OFF,
        }
    }

    /// Commits say from now on which of these records they contain.
    #[must_use]
    pub fn watching(self, ids: Rc<BTreeSet<String>>) -> Self {
        Self {
            watched: ids,
            ..self
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
                self.endpoints
                    .iter()
                    .map(|endpoint| batch(endpoint, self.cap))
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
    pub fn skip(&mut self, origin: Origin<'_>, reason: &str, text: String, now: Duration) {
        let watched = self.watched.clone();
        self.with_open(now, |group| {
            group.reach(&origin);
            group.meet(&origin, &watched);
            group.skip(origin.id.map(str::to_owned), reason, text);
        });
    }

    /// A position in a range has been reached without a record.
    pub fn reach(&mut self, origin: Origin<'_>, now: Duration) {
        self.with_open(now, |group| group.reach(&origin));
    }

    /// A record with its documents, each of which fits into a request of its endpoint.
    pub fn add(&mut self, origin: Origin<'_>, documents: &Documents, now: Duration) {
        let (mut group, mut batches) = self.open(now);
        let is_full = group.sealed + 1 >= self.batches_a_group && !fits(&batches, documents);
        // records that are sent again are in a group of their own, so that its jobs know how often that was
        let is_another_time = group.attempt != origin.before.attempt;
        if is_full || is_another_time {
            self.open = Some((group, batches));
            self.close();
            (group, batches) = self.open(now);
        }
        group.attempt = origin.before.attempt;
        group.reach(&origin);
        group.meet(&origin, &self.watched);
        group.count(&origin, documents);
        let bytes = Bytes::copy_from_slice(&documents.bytes);
        let range = origin.span_range();
        let mut whole = None;
        for document in &documents.list {
            let id = origin.id.unwrap_or_default();
            let endpoint = self.endpoints[document.endpoint];
            let part = document.part.as_deref();
            let entry = || SentEntry {
                name: EntryName { id, part }.to_string(),
                endpoint,
                is_part: part.is_some(),
                range,
                notes: match part {
                    Some(_) => document.part_note.into_iter().collect(),
                    None => documents.notes.clone(),
                },
            };
            let record = match (part, whole) {
                (None, Some(entry)) => entry,
                (None, None) => *whole.insert(group.enter(entry())),
                (Some(_), _) => group.enter(entry()),
            };
            let batch = &mut batches[document.endpoint];
            let profile = document.profile.as_deref();
            if !batch.push(record, profile, &bytes, &document.pieces) {
                let empty = self::batch(self.endpoints[document.endpoint], self.cap);
                let full = std::mem::replace(batch, empty);
                self.outbox.push_back((group.seq, full));
                group.sealed += 1;
                group.outstanding += 1;
                let taken = batch.push(record, profile, &bytes, &document.pieces);
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

    /// A job has been polled: its effect, with the documents that are to be sent again.
    pub fn answer(&mut self, effect: JobEffect, endpoint: usize, mended: &[Mended], now: Duration) {
        self.close();
        let (mut group, mut batches) = self.open(now);
        group.effect = Some(effect);
        for Mended { id, document, .. } in mended {
            let bytes = Bytes::copy_from_slice(document);
            let pieces = Pieces::from(0..bytes.len());
            let batch = &mut batches[endpoint];
            let record = group.enter(SentEntry {
                name: id.clone().unwrap_or_default(),
                endpoint: self.endpoints[endpoint],
                is_part: false,
                range: None,
                notes: Vec::new(),
            });
            if !batch.push(record, None, &bytes, &pieces) {
                let full =
                    std::mem::replace(batch, self::batch(self.endpoints[endpoint], self.cap));
                self.outbox.push_back((group.seq, full));
                group.outstanding += 1;
                batch.push(record, None, &bytes, &pieces);
            }
        }
        self.open = Some((group, batches));
        self.close();
    }

    /// Closes the open group: what it holds is sent as it is. One that holds nothing is no group.
    pub fn close(&mut self) {
        let Some((mut group, batches)) = self.open.take().filter(|(group, _)| !group.is_blank())
        else {
            return;
        };
        for batch in batches {
            if !batch.is_empty() {
                self.outbox.push_back((group.seq, batch));
                group.outstanding += 1;
            }
        }
        group.closed = true;
        // full batches of this group may be under way already: the group is inserted by when it was opened
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

    /// The bytes of the batches that are open or wait to be sent.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let open = self.open.iter().flat_map(|(_, batches)| batches);
        let waiting = self.outbox.iter().map(|(_, batch)| batch);
        open.chain(waiting).map(Batch::bytes).sum()
    }

    /// The endpoints of the batches that wait to be sent, the next one first; an endpoint with several has several.
    pub fn endpoints(&self) -> impl Iterator<Item = &'static BulkEndpoint> {
        self.outbox.iter().map(|(_, batch)| batch.endpoint())
    }

    /// Whether a record of a group that is not committed yet goes to an endpoint of this kind.
    pub fn has(&self, kind: &str, record: &str) -> bool {
        let open = self.open.iter().map(|(group, _)| group);
        let mut groups = open.chain(&self.waiting);
        groups.any(|group| group.has(kind, record))
    }

    /// Whether this part of a record is in a group that is not committed yet, and is sent again.
    pub fn has_part_again(&self, part: &str) -> bool {
        let open = self.open.iter().map(|(group, _)| group);
        let mut groups = open.chain(&self.waiting);
        groups.any(|group| group.parts_again.contains(part))
    }

    /// Batches of a kind that were taken out and whose groups are not committed yet.
    #[must_use]
    pub fn uncommitted(&self, kind: &str) -> usize {
        self.uncommitted.get(kind).copied().unwrap_or_default()
    }

    /// Batches of any kind that were taken out and whose groups are not committed yet.
    #[must_use]
    pub fn uncommitted_in_all(&self) -> usize {
        self.uncommitted.values().sum()
    }

    /// The first batch whose endpoint is free, with its group: an endpoint whose rate limit is used up holds up no
    /// other.
    pub fn take(
        &mut self,
        is_free: impl Fn(&'static BulkEndpoint) -> bool,
    ) -> Option<(u64, Batch)> {
        let at = self.endpoints().position(is_free)?;
        let (seq, mut batch) = self.outbox.remove(at)?;
        self.largest = self.largest.max(batch.len());
        let kind = batch.endpoint().key;
        *self.uncommitted.entry(kind).or_default() += 1;
        if let Some(group) = self.group(seq) {
            group.taken.push(kind);
            if group.attempt > 0 {
                batch = batch.looked_up_again();
            }
        }
        Some((seq, batch))
    }

    fn group(&mut self, seq: u64) -> Option<&mut Group> {
        let open = self.open.as_mut().map(|(group, _)| group);
        let mut groups = self.waiting.iter_mut().chain(open);
        groups.find(|group| group.seq == seq)
    }

    /// How many documents a batch should have, at most, in the next window; `None` for as many as the endpoint allows.
    /// Where nothing `went_well` in this window, its batches were too much for it: one that is refused is taken apart
    /// step by step, and if the time is not enough for that, the same would happen again and again.
    #[must_use]
    pub fn next_cap(&self, went_well: bool) -> Option<usize> {
        match self.largest {
            largest if !went_well && largest > 0 => Some((largest / SHRINK).max(1)),
            _ => self.cap,
        }
    }

    /// Drops what has not been sent: it is not committed, and will be read again.
    pub fn discard_unsent(&mut self) {
        self.outbox.clear();
        self.open = None;
    }

    /// Drops what has not been sent, as [`Packer::discard_unsent`] does, but commits groups of which something was sent:
    /// their other entries are read again by name. Else what Klaviyo has taken of them would be sent again as well.
    pub fn defer_unsent(&mut self) {
        self.close();
        let is_untouched = |group: &Group| group.taken.is_empty();
        while self.waiting.back().is_some_and(is_untouched) {
            self.waiting.pop_back();
        }
        for (seq, batch) in std::mem::take(&mut self.outbox) {
            if !batch.endpoint().names_entries {
                continue;
            }
            if let Some(group) = self.group(seq) {
                group.deferred.extend(batch.records());
                group.outstanding -= 1;
            }
        }
    }

    /// A batch has been acknowledged, just now.
    pub fn acknowledge(&mut self, seq: u64, sent: Sent, now: Timestamp) {
        let Some(group) = self.group(seq) else {
            return;
        };
        group.outstanding -= 1;
        group.has_accepted_batch |= sent.refused.is_empty() && sent.again.is_empty();
        group
            .jobs
            .extend(sent.jobs.into_iter().map(|job| (job, now)));
        group.refused.extend(sent.refused);
        group.again.extend(sent.again);
        group.refused_blindly += sent.refused_blindly;
        for (mended, note) in [
            (sent.without_phone_number, Note::SentAgainWithoutPhoneNumber),
            (sent.without_email, Note::SentAgainWithoutEmail),
            (sent.shared_phone_numbers, Note::SharedPhoneNumber),
        ] {
            group.counts.note(note, mended as u64);
        }
    }

    /// A batch with these entries has failed, for a reason that may pass. What else its group has sent does not wait for
    /// it: the entries are read again by name, as far as the cursor may name so many.
    pub fn put_off(&mut self, seq: u64, entries: &[usize]) {
        // what a job's result sends again has been counted before
        let group = self.group(seq).filter(|group| group.effect.is_none());
        if let Some(group) = group {
            group.failed.extend(entries);
            group.failed_batches += 1;
        }
    }

    /// Whether everything has been committed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_none() && self.waiting.is_empty()
    }

    /// The next group that is complete, as are all before it. One of which everything has failed is read again from where it
    /// began, unless Klaviyo has taken something of a group behind it: then that is committed, and it is read again by
    /// name. What the cursor may name is given to the first groups, in whatever order their batches failed: a group commits
    /// only after those before it.
    pub fn commit(&mut self) -> Option<Commit> {
        let is_answered = |group: &&Group| group.is_complete() || group.has_failed();
        let mut next = self.waiting.iter().take_while(is_answered);
        let group = next.next()?;
        if !group.is_complete() && !next.any(|group| !group.jobs.is_empty()) {
            return None;
        }
        self.may_be_put_off = self.may_be_put_off.checked_sub(group.failed.len())?;
        let commit = self.waiting.pop_front().map(Group::into_commit)?;
        for kind in &commit.taken {
            if let Some(count) = self.uncommitted.get_mut(kind) {
                *count = count.saturating_sub(1);
            }
        }
        if commit.has_accepted_batch {
            self.grow();
        }
        Some(commit)
    }

    /// Batches may be twice as large from here on. Only a commit says so: batches that grew before it would be too large
    /// again in the next window, which begins where this one did.
    fn grow(&mut self) {
        let endpoints = self.endpoints.iter();
        let most = endpoints.map(|endpoint| endpoint.max_documents).max();
        self.cap = self
            .cap
            .map(|cap| cap.saturating_mul(2))
            .filter(|cap| Some(*cap) < most);
    }
}

fn batch(endpoint: &'static BulkEndpoint, cap: Option<usize>) -> Batch {
    cap.map_or_else(
        || Batch::new(endpoint),
        |cap| Batch::of_at_most(endpoint, cap),
    )
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
        bytes[document.endpoint] += document.pieces.len() + 1 + profile;
        count[document.endpoint] += 1;
    }
    batches
        .iter()
        .zip(bytes.iter().zip(&count))
        .all(|(batch, (&bytes, &count))| batch.has_room_for(count, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::klaviyo::catalog::CATEGORY_JOBS;
    use crate::klaviyo::sending::JobMade;
    use crate::mapping::Skip;
    use crate::run::documents::{Documents, RecordOutcome};
    use crate::run::state::IdRange;

    /// Adds so many records of one document each, and sends all there is; `fails` says which of the batches fail, by
    /// number. Returns how many documents each batch has.
    fn send(packer: &mut Packer, records: usize, fails: impl Fn(usize) -> bool) -> Vec<usize> {
        let range = IdRange::default();
        for number in 0..records {
            let mut documents = Documents::default();
            documents.bytes.extend_from_slice(br#"{"a":1}"#);
            documents.push(0, 0, None);
            let id = number.to_string();
            let origin = Origin {
                range: 0,
                before: &range,
                id: Some(&id),
                reached: Some(&id),
            };
            packer.add(origin, &documents, Duration::ZERO);
        }
        packer.close();
        let mut sizes = Vec::new();
        while let Some((seq, batch)) = packer.take(|_| true) {
            if !fails(sizes.len()) {
                packer.acknowledge(seq, Sent::default(), Timestamp::UNIX_EPOCH);
            }
            sizes.push(batch.len());
        }
        sizes
    }

    #[test]
    fn batches_grow_with_what_is_committed_only() {
        // the first one fails: the others of its window do not grow, or the next would begin with larger ones than this
        let mut packer = Packer::new(&CATEGORY_JOBS, 4, Some(3));
        assert_eq!(send(&mut packer, 12, |batch| batch == 0), [3, 3, 3, 3]);
        assert!(packer.commit().is_none());
        assert_eq!(packer.next_cap(false), Some(1));
        assert_eq!(packer.next_cap(true), Some(3));

        let mut packer = Packer::new(&CATEGORY_JOBS, 4, Some(3));
        send(&mut packer, 12, |_| false);
        assert!(packer.commit().is_some() && packer.commit().is_none());
        assert_eq!(packer.next_cap(true), Some(6));
        assert_eq!(send(&mut packer, 12, |_| false), [6, 6]);
    }

    #[test]
    fn a_refused_document_keeps_no_other_batch_of_its_group_from_growing() {
        let mut packer = Packer::new(&CATEGORY_JOBS, 2, Some(1));
        send(&mut packer, 2, |_| true);
        let refused = Sent {
            refused: [(0, "no".to_owned())].into(),
            ..Sent::default()
        };
        packer.acknowledge(0, refused, Timestamp::UNIX_EPOCH);
        packer.acknowledge(0, Sent::default(), Timestamp::UNIX_EPOCH);
        assert!(packer.commit().is_some());
        assert_eq!(packer.next_cap(true), Some(2));
    }

    #[test]
    fn a_refused_record_is_not_taken_for_one_that_was_skipped_before_it() {
        let mut packer = Packer::new(&CATEGORY_JOBS, 4, None);
        let range = IdRange::default();
        for id in ["skipped", "refused"] {
            let mut documents = Documents::default();
            if id == "skipped" {
                documents.record = RecordOutcome::Skipped(Skip::NotFound);
            } else {
                documents.bytes.extend_from_slice(br#"{"a":1}"#);
                documents.push(0, 0, None);
            }
            let origin = Origin {
                range: 0,
                before: &range,
                id: Some(id),
                reached: Some(id),
            };
            packer.add(origin, &documents, Duration::ZERO);
        }
        packer.close();
        let (group, _) = packer.take(|_| true).expect("a batch");
        let refused = Sent {
            refused: [(0, "no".to_owned())].into(),
            ..Sent::default()
        };
        packer.acknowledge(group, refused, Timestamp::UNIX_EPOCH);
        let counts = packer.commit().expect("a commit").counts;
        assert_eq!((counts.read, counts.sent, counts.failed), (2, 0, 1));
        assert_eq!(counts.skipped.get(Skip::NotFound.code()), Some(&1));
    }

    #[test]
    fn what_may_be_put_off_goes_to_the_first_groups_in_whatever_order_they_fail() {
        let mut packer = Packer::new(&CATEGORY_JOBS, 2, None);
        let sizes = send(&mut packer, 6_000, |batch| batch % 2 == 1);
        assert_eq!(sizes, [100; 60]);
        let second_batch: Vec<usize> = (100..200).collect();
        for group in (0..30).rev() {
            packer.put_off(group, &second_batch);
        }
        let commits = std::iter::from_fn(|| packer.commit());
        let put_off: Vec<usize> = commits.map(|commit| commit.deferred.len()).collect();
        assert_eq!(put_off, [100; MAX_PUT_OFF / 100]);
        assert!(!packer.is_empty());
    }

    #[test]
    fn what_klaviyo_has_taken_is_committed_although_all_before_it_has_failed() {
        for is_taken in [true, false] {
            let mut packer = Packer::new(&CATEGORY_JOBS, 1, None);
            // the second group is the only one that is sent
            let sizes = send(&mut packer, 300, |batch| batch != 1 || is_taken);
            assert_eq!(sizes, [100; 3]);
            if is_taken {
                let job = JobMade {
                    id: "job".to_owned(),
                    endpoint: CATEGORY_JOBS[0],
                    records: (0..100).collect(),
                };
                let sent = Sent {
                    jobs: vec![job],
                    ..Sent::default()
                };
                packer.acknowledge(1, sent, Timestamp::UNIX_EPOCH);
            }
            let all: Vec<usize> = (0..100).collect();
            for group in [0, 2] {
                packer.put_off(group, &all);
            }
            let commits = std::iter::from_fn(|| packer.commit());
            let put_off: Vec<usize> = commits.map(|commit| commit.deferred.len()).collect();
            // without a job, all of it is read again from where it began
            let expected: &[usize] = if is_taken { &[100, 0] } else { &[] };
            assert_eq!(put_off, expected);
            assert!(!packer.is_empty());
        }
    }
}
