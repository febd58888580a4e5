//! Sends a batch as one request, and in parts if Klaviyo rejects it.
//!
//! If the error points at documents, only these are left out. If it points at none, the request is halved until each
//! rejected document is alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;

use super::answer::reason;
use super::batch::{Batch, ENTRY_HEAD, ENTRY_MIDDLE, ENTRY_TAIL, Item};
use super::bulk::{BulkEndpoint, Mended, Shape, is_job_id};
use super::client::{Client, Tally};
use super::job::{limit_may_be_reached, one_job_too_many, read_id};
use super::rate::Endpoint;
use crate::error::{Access, Action, Error, Kind, Peer, Refusal};
use crate::ports::Body;
use crate::time::Deadline;

/// A job that Klaviyo has made of a batch or a part of it.
#[derive(Debug)]
pub struct JobMade {
    /// Klaviyo's id.
    pub id: String,
    /// The endpoint that the documents were posted to.
    pub endpoint: &'static BulkEndpoint,
    /// The records of its documents, in the order of the request.
    pub records: Vec<usize>,
}

/// The outcome of a batch.
#[derive(Debug, Default)]
pub struct Sent {
    /// The jobs that Klaviyo made of it.
    pub jobs: Vec<JobMade>,
    /// The records that Klaviyo rejected, with the reason.
    pub refused: BTreeMap<usize, String>,
    /// The records that Klaviyo rejected for a reason that may be gone when they are looked up and decided again.
    pub again: BTreeMap<usize, String>,
    /// The number of profiles that were sent again without their phone number.
    pub without_phone_number: usize,
    /// The number of profiles that were sent again without their email.
    pub without_email: usize,
    /// The number of profiles that were sent without a phone number that another one of the request has.
    pub shared_phone_numbers: usize,
    /// The number of single documents that Klaviyo rejected without a pointer, and not because they may be there already.
    pub refused_blindly: u64,
}

/// Where the profile is in an entry of [`Shape::ByProfile`].
const PROFILE: &str = "/attributes/profile/";
/// With this many single documents whose response was 5xx while nothing was accepted, the API is down.
const MAX_SUSPECTS: usize = 3;
/// A single document that gets a 5xx is to blame if it was tried for as long as this: four times, with pauses.
const THOROUGH: Duration = Duration::from_millis(1_750);

impl Batch {
    /// Sends the batch, in parts as far as Klaviyo rejects it.
    ///
    /// A 5xx counts as caused by a document only if the same endpoint has accepted another request since. Then it is
    /// narrowed down like a 400 without a pointer, and the document is set aside with the other documents of its
    /// record.
    ///
    /// # Errors
    /// If Klaviyo does not respond, or rejects the request for a reason that is not in the documents. Then a part of
    /// the batch may have been accepted; sending it again is harmless.
    pub async fn send(self, client: &Client, deadline: Deadline) -> Result<Sent, Error> {
        let endpoint = self.bulk.post;
        let mut sending = Sending {
            bulk: self.bulk,
            items: self.items,
            pieces: self.pieces,
            profiles: self.profiles.into_iter().map(Bytes::from).collect(),
            mended: HashMap::new(),
            mended_profiles: HashSet::new(),
            narrowing: None,
            is_looked_up_again: self.is_looked_up_again,
            sent: Sent::default(),
        };
        sending.take_apart_what_shares();
        let mut parts = vec![(0..sending.items.len()).collect::<Vec<usize>>()];
        while let Some(part) = parts.pop() {
            let part = sending.without_refused(part);
            if !part.is_empty() {
                let (body, positions) = sending.body(&part);
                let accepted = client.tally(endpoint, |tally| tally.accepted);
                let is_tried_once = sending.is_tried_once(client, &part);
                let begun = client.ports.clock.monotonic();
                let posted = sending.post(client, is_tried_once, body, deadline);
                let answer = posted.await;
                match answer {
                    Ok(answer) => {
                        client.tally(endpoint, |tally| {
                            tally.accepted += 1;
                            tally.refused_blindly = 0;
                        });
                        sending.note_job(&answer, &part)?;
                    }
                    Err(error) if error.action() == Action::SetAside => {
                        let refusal = error
                            .refusal()
                            .cloned()
                            .unwrap_or_else(|| unreachable_refusal(&error));
                        if sending.names_no_document(&refusal)
                            && limit_may_be_reached(client, sending.bulk, deadline).await?
                        {
                            return Err(one_job_too_many(sending.bulk));
                        }
                        let more = sending.take_apart(part, &positions, &refusal, client)?;
                        parts.extend(more);
                    }
                    Err(error) if error.status().is_some_and(|status| status >= 500) => {
                        let took = client.ports.clock.monotonic().saturating_sub(begun);
                        let is_cut_short =
                            took < THOROUGH || deadline.is_over(&*client.ports.clock);
                        if !is_tried_once && is_cut_short {
                            return Err(error);
                        }
                        let tried = (accepted, is_tried_once);
                        parts.extend(sending.narrow_down(part, error, tried, client)?);
                    }
                    Err(error) => return Err(error),
                }
            }
            if parts.is_empty() {
                parts = sending.suspects_again(client)?;
            }
        }
        Ok(sending.sent)
    }
}

/// The table sets records aside for error responses only. If a row ever did so for another error, it would point at no
/// document.
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
    bulk: &'static BulkEndpoint,
    items: Vec<Item>,
    pieces: Vec<Bytes>,
    profiles: Vec<Bytes>,
    mended: HashMap<usize, Bytes>,
    /// Entries whose profile was corrected.
    mended_profiles: HashSet<usize>,
    narrowing: Option<Narrowing>,
    is_looked_up_again: bool,
    sent: Sent,
}

/// The state since a request got a 5xx.
struct Narrowing {
    /// Requests that the endpoint had accepted when the part was sent that got it.
    accepted_before: u64,
    /// Single documents whose response was 5xx while nothing was accepted.
    suspects: Vec<usize>,
    /// The latest of these errors.
    error: Error,
}

/// The positions of the items in a request, for reading pointers: `positions[entry]` has the item numbers in order. In
/// a flat request each item is an entry of its own.
type Positions = Vec<Vec<usize>>;

impl Sending {
    fn document(&self, item: usize) -> &[Bytes] {
        match self.mended.get(&item) {
            Some(mended) => std::slice::from_ref(mended),
            None => &self.pieces[self.items[item].pieces.clone()],
        }
    }

    /// Corrects the documents that may not be in one request together.
    fn take_apart_what_shares(&mut self) {
        let documents: Vec<&[u8]> = (0..self.items.len())
            .map(|item| match self.document(item) {
                [document] => &**document,
                // what consists of several slices is an event
                _ => &[],
            })
            .collect();
        let apart = (self.bulk.apart)(&documents);
        self.sent.shared_phone_numbers = apart.len();
        let apart = apart.into_iter();
        self.mended
            .extend(apart.map(|(item, document)| (item, Bytes::from(document))));
    }

    fn body(&self, part: &[usize]) -> (Body, Positions) {
        let positions: Positions = match self.bulk.shape {
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
        let mut slices = vec![Bytes::from_static(self.bulk.head.as_bytes())];
        for (position, entry) in positions.iter().enumerate() {
            if position > 0 {
                slices.push(Bytes::from_static(b","));
            }
            match self.bulk.shape {
                Shape::Flat => {
                    slices.extend(entry.iter().flat_map(|&item| self.document(item)).cloned());
                }
                Shape::ByProfile => self.entry(entry, &mut slices),
            }
        }
        slices.push(Bytes::from_static(self.bulk.tail.as_bytes()));
        (Body::from_slices(slices), positions)
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

    /// Keeps the job that Klaviyo made, because only the job reports the documents that it rejects later.
    fn note_job(&mut self, answer: &[u8], part: &[usize]) -> Result<(), Error> {
        if self.bulk.read_job.is_none() {
            return Ok(());
        }
        let Some(id) = read_id(answer).filter(|id| is_job_id(id)) else {
            return Err(Error::unreadable(
                Peer::Klaviyo,
                self.bulk.post.name,
                "a job with its id",
            ));
        };
        let records = part.iter().map(|&item| self.items[item].record).collect();
        self.sent.jobs.push(JobMade {
            id,
            endpoint: self.bulk,
            records,
        });
        Ok(())
    }

    /// While a 5xx is being narrowed down, a part of more than one document is not retried.
    fn is_tried_once(&self, client: &Client, part: &[usize]) -> bool {
        self.narrowing.as_ref().is_some_and(|narrowing| {
            part.len() > 1 || !narrowing.has_accepted_since(client, self.bulk.post)
        })
    }

    /// Posts a part, and retries that if it is not to be tried once.
    async fn post(
        &self,
        client: &Client,
        is_tried_once: bool,
        body: Body,
        deadline: Deadline,
    ) -> Result<Bytes, Error> {
        let (endpoint, path) = (self.bulk.post, self.bulk.path);
        match is_tried_once {
            true => client.post_once(endpoint, path, body, deadline).await,
            false => client.post(endpoint, path, body, deadline).await,
        }
    }

    /// The part without the documents of records that are rejected already.
    fn without_refused(&self, mut part: Vec<usize>) -> Vec<usize> {
        if self.narrowing.is_some() {
            part.retain(|&item| !self.sent.refused.contains_key(&self.items[item].record));
        }
        part
    }

    /// Decides in which parts a part that got a 5xx is sent next: how many requests the endpoint had accepted when the
    /// part was first sent, and whether it was tried once only.
    fn narrow_down(
        &mut self,
        part: Vec<usize>,
        error: Error,
        (accepted, is_tried_once): (u64, bool),
        client: &Client,
    ) -> Result<Vec<Vec<usize>>, Error> {
        let endpoint = self.bulk.post;
        let narrowing = self.narrowing.get_or_insert_with(|| Narrowing {
            accepted_before: accepted,
            suspects: Vec::new(),
            error: error.clone(),
        });
        let [item] = part[..] else {
            return Ok(halves(part));
        };
        let is_outage = !narrowing.has_accepted_since(client, endpoint);
        if !is_outage && !is_tried_once {
            let refusal = error
                .refusal()
                .cloned()
                .unwrap_or_else(|| unreachable_refusal(&error));
            let record = self.items[item].record;
            self.sent.refused.insert(record, reason(&refusal, ""));
            return Ok(Vec::new());
        }
        narrowing.suspects.push(item);
        narrowing.error = error;
        match narrowing.suspects.len() {
            MAX_SUSPECTS.. if is_outage => Err(narrowing.error.clone()),
            _ => Ok(Vec::new()),
        }
    }

    /// Called when nothing else is left: the documents whose response was 5xx before anything was accepted are sent
    /// again one by one, if something has been accepted since.
    fn suspects_again(&mut self, client: &Client) -> Result<Vec<Vec<usize>>, Error> {
        let endpoint = self.bulk.post;
        let Some(narrowing) = self.narrowing.as_mut() else {
            return Ok(Vec::new());
        };
        let suspects = std::mem::take(&mut narrowing.suspects);
        if !suspects.is_empty() && !narrowing.has_accepted_since(client, endpoint) {
            return Err(narrowing.error.clone());
        }
        Ok(suspects.into_iter().map(|item| vec![item]).collect())
    }

    /// Whether a refusal of catalog entries does not say which of them is meant.
    fn names_no_document(&self, refusal: &Refusal) -> bool {
        let mut pointers = refusal.pointers.iter();
        let has_index = |pointer: &String| self.bulk.below(pointer).0.is_some();
        self.bulk.names_entries && !pointers.any(has_index)
    }

    /// Decides in which parts a rejected part is sent next.
    fn take_apart(
        &mut self,
        part: Vec<usize>,
        positions: &Positions,
        refusal: &Refusal,
        client: &Client,
    ) -> Result<Vec<Vec<usize>>, Error> {
        let mut culprits: BTreeMap<usize, String> = BTreeMap::new();
        for pointer in &refusal.pointers {
            let (index, field) = self.bulk.below(pointer);
            for item in self.pointed_at(index, &field, positions) {
                culprits.entry(item).or_insert_with(|| field.clone());
            }
        }
        if culprits.is_empty() {
            // a pointer without an index says what is wrong with the only document
            let fields = refusal.pointers.iter();
            let mut fields = fields.map(|pointer| self.bulk.below(pointer).1);
            match (&part[..], fields.find(|field| !field.is_empty())) {
                (&[only], Some(field)) => drop(culprits.insert(only, field)),
                _ => return self.halve(part, refusal, client),
            }
        }
        let mut mended = HashSet::new();
        // the profiles of entries that are corrected for this response: an entry has several documents
        self.mended_profiles.clear();
        for (&item, field) in &culprits {
            if self.mend(item, field) {
                mended.insert(item);
            } else {
                self.set_aside(item, refusal, field);
            }
        }
        let left = part
            .into_iter()
            .filter(|item| {
                let is_rejected = self.sent.refused.contains_key(&self.items[*item].record);
                !culprits.contains_key(item) || (mended.contains(item) && !is_rejected)
            })
            .collect();
        Ok(vec![left])
    }

    fn set_aside(&mut self, item: usize, refusal: &Refusal, field: &str) {
        let record = self.items[item].record;
        let of = match self.bulk.may_be_decided_again(field) {
            true => &mut self.sent.again,
            false => &mut self.sent.refused,
        };
        of.insert(record, reason(refusal, field));
    }

    /// Corrects what was rejected of an item, if it can be; nothing is corrected twice in the same way, as what is
    /// rejected is left out.
    fn mend(&mut self, item: usize, field: &str) -> bool {
        let entry = self.items[item].entry;
        let of_profile = matches!(self.bulk.shape, Shape::ByProfile);
        if of_profile && self.mended_profiles.contains(&entry) {
            return true;
        }
        let rejected = match of_profile {
            true if !field.starts_with(PROFILE) => return false,
            true => self.profiles[entry].to_vec(),
            false => self.document(item).concat(),
        };
        let (document, count) = match (self.bulk.mend)(field, &rejected) {
            Some(Mended::WithoutPhoneNumber(document)) => {
                (document, &mut self.sent.without_phone_number)
            }
            Some(Mended::WithoutEmail(document)) => (document, &mut self.sent.without_email),
            None => return false,
        };
        *count += 1;
        if of_profile {
            self.profiles[entry] = document.into();
            self.mended_profiles.insert(entry);
        } else {
            self.mended.insert(item, document.into());
        }
        true
    }

    /// Whether entries may be rejected because they are there already. Which of them are is found out by looking all of them
    /// up again, not by taking the request apart.
    fn may_be_there(&self) -> bool {
        self.bulk.creates_entries() && !self.is_looked_up_again
    }

    /// Decides in which parts a part is sent next that was rejected without a pointer to any document.
    fn halve(
        &mut self,
        part: Vec<usize>,
        refusal: &Refusal,
        client: &Client,
    ) -> Result<Vec<Vec<usize>>, Error> {
        if self.may_be_there() {
            for item in part {
                self.set_aside(item, refusal, "");
            }
            return Ok(Vec::new());
        }
        let [item] = part[..] else {
            return Ok(halves(part));
        };
        let endpoint = self.bulk.post;
        self.sent.refused_blindly += 1;
        if client.tally(endpoint, Tally::refuse_blindly) {
            return Err(Error {
                peer: Peer::Klaviyo,
                operation: endpoint.name,
                access: Access::Write,
                kind: Kind::EverythingRefused(refusal.clone()),
            });
        }
        self.set_aside(item, refusal, "");
        Ok(Vec::new())
    }

    /// The items that a pointer with this index and the rest names: one item, or all items of an entry.
    fn pointed_at(&self, index: Option<usize>, rest: &str, positions: &Positions) -> Vec<usize> {
        let Some(entry) = index.and_then(|index| positions.get(index)) else {
            return Vec::new();
        };
        if matches!(self.bulk.shape, Shape::Flat) {
            return entry.clone();
        }
        let event = rest
            .strip_prefix("/attributes/events/data/")
            .and_then(|rest| rest.split('/').next()?.parse().ok())
            .and_then(|index: usize| entry.get(index));
        event.map_or_else(|| entry.clone(), |&item| vec![item])
    }
}

impl Narrowing {
    fn has_accepted_since(&self, client: &Client, endpoint: &'static Endpoint) -> bool {
        client.tally(endpoint, |tally| tally.accepted) > self.accepted_before
    }
}

/// Both halves of a part. The last part in the list is sent first: this keeps the sequence of an order's events.
fn halves(mut part: Vec<usize>) -> Vec<Vec<usize>> {
    let second = part.split_off(part.len() / 2);
    vec![second, part]
}
