//! Reads a commercetools collection page by page.

use std::collections::HashMap;
use std::rc::Rc;

use jiff::Timestamp;

use crate::commercetools::Client;
use crate::commercetools::query::{IDS_A_QUERY, Query};
use crate::error::{Error, Peer};
use crate::json::{Json, Part};
use crate::mapping;
use crate::ports::LocalFuture;
use crate::run::page::{Mapper, Page, PageQuery, Record};
use crate::run::state::{Digests, RunOptions};
use crate::time::Deadline;

/// The largest response to a query without records that is read, in bytes.
const MAX_TOTAL_BYTES: usize = 64 * 1024;

/// The records of a page, without their mapper.
pub struct Records {
    /// The records in id order.
    pub list: Vec<Record>,
    /// The last id.
    pub last: Option<String>,
    /// Whether this is the last page of the range.
    pub is_last: bool,
}

/// A collection that is read page by page.
#[derive(Debug, Clone, Copy)]
pub struct Collection {
    /// The operation that errors name, such as `query customers`.
    pub operation: &'static str,
    /// The path, such as `customers`.
    pub path: &'static str,
    /// Further parameters.
    pub parameters: &'static [(&'static str, &'static str)],
}

impl Collection {
    /// The number of records that a run has to read.
    ///
    /// # Errors
    /// If commercetools does not respond or rejects the request.
    pub fn total(
        self,
        client: &Rc<Client>,
        options: &RunOptions,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<u64, Error>> {
        let (client, options) = (client.clone(), options.clone());
        Box::pin(async move {
            let query = Query {
                from: options.start_id.as_deref(),
                since: options.since,
                ..self.query(MAX_TOTAL_BYTES)
            };
            let total = client.total(&query, deadline).await?;
            Ok(options.ids.as_ref().map_or(total, |ids| ids.len() as u64))
        })
    }

    /// Reads the next page of a range, or of the ids that were requested.
    ///
    /// # Errors
    /// If commercetools does not respond or rejects the request, and if a record in the response has no id.
    pub async fn read(
        &self,
        client: &Client,
        query: &PageQuery,
        deadline: Deadline,
    ) -> Result<Records, Error> {
        match query.range.wanted_ids() {
            Some(ids) => self.read_ids(client, query, &ids, None, deadline).await,
            None => match &query.options.ids {
                Some(ids) => {
                    let since = query.options.since;
                    self.read_ids(client, query, ids, since, deadline).await
                }
                None => self.read_range(client, query, deadline).await,
            },
        }
    }

    /// Reads the next records of the range in id order.
    async fn read_range(
        &self,
        client: &Client,
        query: &PageQuery,
        deadline: Deadline,
    ) -> Result<Records, Error> {
        let PageQuery { range, limit, .. } = query;
        let bounds = Query {
            after: range.after.as_deref(),
            from: range.from.as_deref(),
            through: range.through.as_deref(),
            since: query.options.since,
            limit: *limit,
            ..self.query(query.max_bytes)
        };
        let list = client.page(&bounds, deadline).await?;
        let last = list
            .last()
            .map(|record| {
                mapping::id(record.part())
                    // else the next page would be this one again
                    .filter(|last| range.after.as_ref().is_none_or(|after| last > after))
                    .ok_or_else(|| self.unreadable())
            })
            .transpose()?;
        Ok(Records {
            is_last: list.len() < *limit,
            list: list.into_iter().map(Record::Present).collect(),
            last,
        })
    }

    /// Reads the next of these ids that the range has left.
    async fn read_ids(
        &self,
        client: &Client,
        query: &PageQuery,
        ids: &[String],
        since: Option<Timestamp>,
        deadline: Deadline,
    ) -> Result<Records, Error> {
        let mut left = ids.iter().filter(|id| query.range.contains(id));
        let asked: Vec<String> = left
            .by_ref()
            .take(query.limit.min(IDS_A_QUERY))
            .cloned()
            .collect();
        let is_last = left.next().is_none();
        let Some(last) = asked.last().cloned() else {
            return Ok(Records {
                list: Vec::new(),
                last: None,
                is_last: true,
            });
        };
        let by_id = Query {
            ids: Some(&asked),
            since,
            limit: asked.len(),
            ..self.query(query.max_bytes)
        };
        let found = client.page(&by_id, deadline).await?;
        let mut found: HashMap<String, Json> = found
            .into_iter()
            .map(|record| Some((mapping::id(record.part())?, record)))
            .collect::<Option<_>>()
            .ok_or_else(|| self.unreadable())?;
        let list = asked.into_iter().map(|id| match found.remove(&id) {
            Some(record) => Record::Present(record),
            None => Record::Missing(id),
        });
        Ok(Records {
            list: list.collect(),
            last: Some(last),
            is_last,
        })
    }

    /// A query of the whole collection.
    fn query(&self, max_bytes: usize) -> Query<'_> {
        Query {
            parameters: self.parameters,
            ..Query::all(self.operation, self.path, max_bytes)
        }
    }

    fn unreadable(&self) -> Error {
        Error::unreadable(
            Peer::Commercetools,
            self.operation,
            "records with their ids, which come after those of the page before",
        )
    }
}

impl Records {
    /// The records that exist.
    pub fn present(&self) -> impl Iterator<Item = Part<'_>> {
        self.list.iter().filter_map(|record| match record {
            Record::Present(record) => Some(record.part()),
            Record::Missing(_) => None,
        })
    }

    /// Leaves out what is not wanted: records whose ids have none of these digests, if there are any.
    pub fn retain(&mut self, digests: &Digests) {
        if digests.is_empty() {
            return;
        }
        self.list.retain(|record| match record {
            Record::Present(record) => {
                mapping::id(record.part()).is_none_or(|id| digests.contains(&id))
            }
            Record::Missing(id) => digests.contains(id),
        });
    }

    /// The page, with the mapper of its records.
    #[must_use]
    pub fn into_page(self, mapper: Mapper) -> Page {
        Page {
            bytes: self.list.iter().map(Record::bytes).sum(),
            len: self.list.len(),
            records: self.list.into(),
            by_id: true,
            last: self.last,
            is_last: self.is_last,
            mapper,
        }
    }
}
