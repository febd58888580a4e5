//! Looks up records by their ids, in chunks, within a memory limit.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use futures_util::{StreamExt, pin_mut, stream};

use super::room::Room;
use crate::commercetools::Client;
use crate::commercetools::graphql::GraphqlQuery;
use crate::commercetools::query::{Query, id_in};
use crate::error::Error;
use crate::json::Json;
use crate::ports::Ports;
use crate::time::Deadline;

/// Responses of look-ups may take this fraction of the instance's memory: one eighth.
const ROOM_SHARE: usize = 8;
/// The least memory that is reserved for a response, in bytes.
const LEAST_RESERVED: usize = 256 * 1024;
/// The most chunks of one page that are requested at the same time, if there is memory for their responses.
pub(super) const CHUNKS_AT_A_TIME: usize = 4;

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
    pub(super) room: Room,
    /// The largest mean size of the records of a response, in bytes.
    record_bytes: RefCell<HashMap<Source, usize>>,
}

impl Lookups {
    /// Look-ups of an instance with this much memory.
    pub(super) fn new(ports: Ports, client: Rc<Client>, memory_mib: usize) -> Self {
        Self {
            ports,
            client,
            room: Room::of(memory_mib * 1024 * 1024 / ROOM_SHARE),
            record_bytes: RefCell::default(),
        }
    }

    /// The largest response that is read, in bytes.
    pub(super) fn most(&self) -> usize {
        self.room.most
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
        let chunks = ids.chunks(lookup.ids_a_query);
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
                true => self.room.most,
                false => self.room_for(lookup, ids.len()),
            };
            let taken = self.room.take(&self.ports, reserved).await;
            match self.by_ids(lookup, ids, reserved, deadline).await {
                Ok(records) => {
                    self.note_size(lookup.source, &records);
                    let mut take = take.borrow_mut();
                    records.iter().try_for_each(&mut *take)?;
                }
                Err(error) if error.is_too_large() || error.is_slow_page() => {
                    drop(taken);
                    match ids {
                        [_] if error.is_slow_page() => return Err(error),
                        [id] if reserved >= self.room.most => too_large.push(id.clone()),
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

    /// The memory to reserve for a response with this many records: twice their known size.
    fn room_for(&self, lookup: &Lookup, records: usize) -> usize {
        let known = self.record_bytes.borrow().get(&lookup.source).copied();
        known
            .unwrap_or(lookup.unseen_bytes)
            .saturating_mul(2 * records)
            .clamp(LEAST_RESERVED.min(self.room.most), self.room.most)
    }

    fn note_size(&self, source: Source, records: &[Json]) {
        let bytes: usize = records.iter().map(|record| record.get().len()).sum();
        if let Some(mean) = bytes.checked_div(records.len()) {
            let mut known = self.record_bytes.borrow_mut();
            let largest = known.entry(source).or_default();
            *largest = mean.max(*largest);
        }
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
                    max_bytes,
                };
                self.client.graphql(&query, deadline).await
            }
        }
    }
}
