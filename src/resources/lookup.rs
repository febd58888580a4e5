//! Looks up records by their ids, in chunks, within a memory limit.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use futures_util::{StreamExt, pin_mut, stream};

use crate::commercetools::Client;
use crate::commercetools::graphql::GraphqlQuery;
use crate::commercetools::query::{Query, id_in};
use crate::error::Error;
use crate::json::Json;
use crate::memory::Pool;
use crate::ports::Ports;
use crate::time::Deadline;

/// The least memory that is reserved for a response, in bytes.
const LEAST_RESERVED: usize = 256 * 1024;
/// After this many queries larger ones are tried again, if they were too slow.
const QUERIES_BEFORE_LARGER: usize = 50;
/// The most chunks of one page that are requested at the same time, if there is memory for their responses.
pub(super) const CHUNKS_AT_A_TIME: usize = 8;

/// How records are requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// A query endpoint with further parameters, such as `staged=false`.
    Endpoint {
        /// The path below the project.
        path: &'static str,
        /// The parameters.
        parameters: &'static [(&'static str, &'static str)],
    },
    /// A field of GraphQL.
    Graphql {
        /// Its name.
        field: &'static str,
        /// The members that are selected.
        selection: &'static str,
    },
}

/// A collection that is looked up by ids.
#[derive(Debug)]
pub(super) struct Lookup {
    /// For errors, such as `query categories by id`.
    pub(super) operation: &'static str,
    pub(super) source: Source,
    /// The most ids of one query.
    pub(super) ids_a_query: usize,
    /// The assumed size of a record in the response in bytes, before any has been read.
    pub(super) unseen_bytes: usize,
}

/// Looks up records, for all requests of an instance.
pub(super) struct Lookups {
    pub(super) ports: Ports,
    /// The client that requests them.
    pub(super) client: Rc<Client>,
    pub(super) room: Pool,
    /// The largest mean size of the records of a response, in bytes.
    record_bytes: RefCell<HashMap<Source, usize>>,
    /// The most ids of a query because more took too long, and how many queries have gone well since.
    slow_cap: Cell<(usize, usize)>,
}

impl Lookups {
    /// Look-ups whose responses are held in this memory.
    pub(super) fn new(ports: Ports, client: Rc<Client>, room: Pool) -> Self {
        Self {
            ports,
            client,
            room,
            record_bytes: RefCell::default(),
            slow_cap: Cell::new((usize::MAX, 0)),
        }
    }

    /// The largest response that is read, in bytes.
    pub(super) fn most(&self) -> usize {
        self.room.most()
    }

    /// Looks up records, a few chunks at a time, and passes them to `take` as they arrive: only a few responses are in
    /// memory, beside the page that they are fetched for. Returns the ids of records that are too large.
    pub(super) async fn run(
        &self,
        lookup: &Lookup,
        ids: &[String],
        deadline: Deadline,
        take: impl FnMut(&Json) -> Result<(), Error>,
    ) -> Result<Vec<String>, Error> {
        let take = RefCell::new(take);
        let (cap, _) = self.slow_cap.get();
        let chunks = ids.chunks(lookup.ids_a_query.min(cap));
        let chunks = chunks.map(|chunk| self.run_chunk(lookup, chunk, deadline, &take));
        let answers = stream::iter(chunks).buffered(CHUNKS_AT_A_TIME);
        pin_mut!(answers);
        let mut too_large = Vec::new();
        while let Some(answer) = answers.next().await {
            too_large.extend(answer?);
        }
        Ok(too_large)
    }

    /// Looks up a chunk. If the response is larger than the memory reserved for it, or takes too long, the chunk is
    /// requested in halves; a single record is requested with all the memory for look-ups.
    async fn run_chunk(
        &self,
        lookup: &Lookup,
        chunk: &[String],
        deadline: Deadline,
        take: &RefCell<impl FnMut(&Json) -> Result<(), Error>>,
    ) -> Result<Vec<String>, Error> {
        let mut parts = vec![(chunk, false)];
        let mut too_large = Vec::new();
        while let Some((ids, needs_all)) = parts.pop() {
            let reserved = match needs_all {
                true => self.room.most(),
                false => self.room_for(lookup, ids.len()),
            };
            let taken = self.room.take(&self.ports, reserved).await;
            match self.by_ids(lookup, ids, reserved, deadline).await {
                Ok(records) => {
                    self.note_quick();
                    self.note_size(lookup.source, &records);
                    let mut take = take.borrow_mut();
                    records.iter().try_for_each(&mut *take)?;
                }
                Err(error) if error.is_too_large() || error.is_slow_page() => {
                    drop(taken);
                    // once may be a server that was restarted
                    if error.is_slow_page() && ids.len() < chunk.len() {
                        self.note_slow(ids.len());
                    }
                    match ids {
                        [_] if error.is_slow_page() || error.lacks_memory() => return Err(error),
                        [id] if reserved >= self.room.most() => too_large.push(id.clone()),
                        [_] => parts.push((ids, true)),
                        _ => {
                            let (first, second) = ids.split_at(ids.len() / 2);
                            parts.extend([(second, false), (first, false)]);
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(too_large)
    }

    /// Pages have no more than so many records because larger ones took too long: look-ups take no more ids. What an
    /// instance has found out is known to the next one by this.
    pub(super) fn note_page_cap(&self, page_cap: Option<usize>) {
        let (cap, since) = self.slow_cap.get();
        if let Some(least) = page_cap.filter(|page_cap| *page_cap < cap) {
            self.slow_cap.set((least.max(1), since));
        }
    }

    fn note_slow(&self, ids: usize) {
        let (cap, _) = self.slow_cap.get();
        self.slow_cap.set((cap.min((ids / 2).max(1)), 0));
    }

    fn note_quick(&self) {
        let (cap, since) = self.slow_cap.get();
        self.slow_cap.set(match since + 1 {
            QUERIES_BEFORE_LARGER => (cap.saturating_mul(2), 0),
            since => (cap, since),
        });
    }

    /// The memory to reserve for a response with this many records: twice their known size.
    fn room_for(&self, lookup: &Lookup, records: usize) -> usize {
        self.known_record_bytes(lookup.source)
            .unwrap_or(lookup.unseen_bytes)
            .saturating_mul(2 * records)
            .clamp(LEAST_RESERVED.min(self.room.most()), self.room.most())
    }

    /// The largest mean size of the records of a response from there, in bytes, if there was one.
    pub(super) fn known_record_bytes(&self, source: Source) -> Option<usize> {
        self.record_bytes.borrow().get(&source).copied()
    }

    /// Notes how large the records of a response are. Returns their mean size in bytes, if there are any.
    pub(super) fn note_size(&self, source: Source, records: &[Json]) -> Option<usize> {
        let bytes: usize = records.iter().map(|record| record.get().len()).sum();
        let mean = bytes.checked_div(records.len())?;
        let mut known = self.record_bytes.borrow_mut();
        let largest = known.entry(source).or_default();
        *largest = mean.max(*largest);
        Some(mean)
    }

    async fn by_ids(
        &self,
        lookup: &Lookup,
        ids: &[String],
        max_bytes: usize,
        deadline: Deadline,
    ) -> Result<Vec<Json>, Error> {
        match lookup.source {
            Source::Endpoint { path, parameters } => {
                let query = Query {
                    ids: Some(ids),
                    limit: ids.len(),
                    parameters,
                    is_lookup: true,
                    ..Query::all(lookup.operation, path, max_bytes)
                };
                self.client.page(&query, deadline).await
            }
            Source::Graphql { field, selection } => {
                let query = GraphqlQuery {
                    operation: lookup.operation,
                    field,
                    predicate: id_in(ids),
                    limit: ids.len(),
                    selection,
                    is_lookup: true,
                    max_bytes,
                };
                self.client.graphql(&query, deadline).await
            }
        }
    }
}
