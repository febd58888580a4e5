//! Pages: records as they stand, and how they are read.

use std::collections::{HashMap, VecDeque};

use super::{Mapper, PageQuery};
use crate::commercetools::Client;
use crate::commercetools::query::{IDS_A_QUERY, Query};
use crate::error::{Error, Peer};
use crate::mapping;
use crate::mapping::json::{Json, Part};
use crate::ports::Deadline;
use crate::run::state::Order;

/// A record of a page.
#[derive(Debug, Clone)]
pub enum Record {
    /// As commercetools has it.
    Present(Json),
    /// Asked for by its id, and not there.
    Missing(String),
}

/// An answer without records is well under this.
const MAX_TOTAL_BYTES: usize = 64 * 1024;

/// One page of one range.
pub struct Page {
    /// The records that are not mapped yet, in id order.
    pub records: VecDeque<Record>,
    /// Whether each record's id says how far its range is read when it is done. Else only the page as a whole does.
    pub by_id: bool,
    /// How far its range is read with this page: the last id of it; `None` where it has nothing.
    pub last: Option<String>,
    /// Whether the range ends with this page.
    pub is_last: bool,
    /// Bytes that the page holds in memory.
    pub bytes: usize,
    /// How many records the page had.
    pub len: usize,
    /// Maps its records.
    pub mapper: Mapper,
}

/// The records of a page, before it is known how they are mapped.
pub struct Records {
    /// The records in id order.
    pub list: Vec<Record>,
    /// The last id.
    pub last: Option<String>,
    /// Whether the range ends here.
    pub is_last: bool,
}

/// A collection that is read page by page.
#[derive(Debug, Clone, Copy)]
pub struct Collection {
    /// For errors, such as `query customers`.
    pub operation: &'static str,
    /// The path, such as `customers`.
    pub path: &'static str,
    /// Further parameters.
    pub parameters: &'static [(&'static str, &'static str)],
}

impl Collection {
    /// How many records a run has to read.
    ///
    /// # Errors
    /// Where commercetools does not answer or refuses.
    pub async fn total(
        &self,
        client: &Client,
        order: &Order,
        deadline: Deadline,
    ) -> Result<u64, Error> {
        let query = Query {
            operation: self.operation,
            path: self.path,
            after: None,
            from: order.start_id.as_deref(),
            through: None,
            ids: None,
            since: order.since,
            limit: 0,
            parameters: self.parameters,
            max_bytes: MAX_TOTAL_BYTES,
        };
        let total = client.total(&query, deadline).await?;
        Ok(order.ids.as_ref().map_or(total, |ids| ids.len() as u64))
    }

    /// Reads the next page of a range, or of the ids that were asked for.
    ///
    /// # Errors
    /// Where commercetools does not answer or refuses, or answers with records that have no id.
    pub async fn read(
        &self,
        client: &Client,
        query: &PageQuery,
        deadline: Deadline,
    ) -> Result<Records, Error> {
        let wanted = query.range.wanted_ids();
        let is_wanted_again = wanted.is_some();
        let wanted = wanted.or_else(|| query.order.ids.clone());
        let asked: Option<Vec<String>> = wanted.as_ref().map(|ids| {
            let limit = query.limit.min(IDS_A_QUERY);
            ids.iter()
                .filter(|id| query.range.contains(id))
                .take(limit)
                .cloned()
                .collect()
        });
        if asked.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Records {
                list: Vec::new(),
                last: None,
                is_last: true,
            });
        }
        let limit = asked.as_ref().map_or(query.limit, Vec::len);
        let list = client
            .page(
                &Query {
                    operation: self.operation,
                    path: self.path,
                    after: query.range.after.as_deref().filter(|_| asked.is_none()),
                    from: query.range.from.as_deref().filter(|_| asked.is_none()),
                    through: query.range.through.as_deref().filter(|_| asked.is_none()),
                    ids: asked.as_deref(),
                    since: query.order.since.filter(|_| !is_wanted_again),
                    limit,
                    parameters: self.parameters,
                    max_bytes: query.max_bytes,
                },
                deadline,
            )
            .await?;
        let unreadable = || {
            Error::unreadable(
                Peer::Commercetools,
                self.operation,
                "records with their ids, which come after those of the page before",
            )
        };
        let Some(asked) = asked else {
            let last = list
                .last()
                .map(|record| {
                    mapping::id(record.part())
                        // without it the next page would be this one again
                        .filter(|last| query.range.after.as_ref().is_none_or(|after| last > after))
                        .ok_or_else(unreadable)
                })
                .transpose()?;
            let is_last = list.len() < limit;
            return Ok(Records {
                list: list.into_iter().map(Record::Present).collect(),
                last,
                is_last,
            });
        };
        let mut found: HashMap<String, Json> = list
            .into_iter()
            .map(|record| Some((mapping::id(record.part())?, record)))
            .collect::<Option<_>>()
            .ok_or_else(unreadable)?;
        let last = asked.last().cloned();
        let rest = last.as_deref().map(|last| query.range.advanced_to(last));
        let is_last = !wanted
            .iter()
            .flatten()
            .any(|id| rest.as_ref().is_some_and(|rest| rest.contains(id)));
        let list = asked.into_iter().map(|id| match found.remove(&id) {
            Some(record) => Record::Present(record),
            None => Record::Missing(id),
        });
        Ok(Records {
            list: list.collect(),
            last,
            is_last,
        })
    }
}

impl Record {
    /// Bytes that it holds.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Present(record) => record.get().len(),
            Self::Missing(id) => id.len(),
        }
    }
}

impl Records {
    /// The records that are there.
    pub fn present(&self) -> impl Iterator<Item = Part<'_>> {
        self.list.iter().filter_map(|record| match record {
            Record::Present(record) => Some(record.part()),
            Record::Missing(_) => None,
        })
    }

    /// The page, with how its records are mapped.
    #[must_use]
    pub fn into_page(self, mapper: Mapper) -> Page {
        Page {
            bytes: self.list.iter().map(Record::len).sum(),
            len: self.list.len(),
            records: self.list.into(),
            by_id: true,
            last: self.last,
            is_last: self.is_last,
            mapper,
        }
    }
}
