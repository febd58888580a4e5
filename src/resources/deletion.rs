//! The deletion of everything of a kind that Klaviyo's catalog has, whoever made it.
//!
//! A pass lists all entries and hands them to delete jobs; when these are finished, the next pass lists again. It ends
//! with a pass that finds nothing. What others add meanwhile is not chased for ever: after [`MAX_PASSES`] a last look
//! counts what is left.

use std::cell::Cell;
use std::rc::Rc;

use super::catalog_jobs;
use super::context::Context;
use crate::error::Error;
use crate::klaviyo;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::catalog::listing::{self, CatalogCollection};
use crate::klaviyo::catalog::{DELETE_CATEGORIES, DELETE_ITEMS, identifier};
use crate::mapping::Skip;
use crate::mapping::product::{compound_id, external_id};
use crate::ports::LocalFuture;
use crate::run::import::{Import, JobAnswer};
use crate::run::page::{Page, PageQuery, Record};
use crate::run::state::{Job, Note, RunDocument, RunOptions};
use crate::time::Deadline;

/// Passes that delete.
const MAX_PASSES: u32 = 5;

static CATEGORY_ENDPOINTS: [&BulkEndpoint; 1] = [&DELETE_CATEGORIES];
/// Klaviyo deletes an item's variants with it.
static ITEM_ENDPOINTS: [&BulkEndpoint; 1] = [&DELETE_ITEMS];

/// One pass.
pub struct Deletion {
    klaviyo: Rc<klaviyo::Client>,
    collection: CatalogCollection,
    pass: u32,
    /// Whether this pass has found anything.
    has_found: Rc<Cell<bool>>,
}

impl Deletion {
    /// The pass that the run is in.
    #[must_use]
    pub fn new(context: &Context, collection: CatalogCollection, run: &RunDocument) -> Self {
        let cursor = run.cursor.as_ref();
        let phase = cursor.and_then(|cursor| cursor.phase.as_deref());
        let pass = phase
            .and_then(|phase| phase.strip_prefix("pass-")?.parse().ok())
            .filter(|&pass| pass <= MAX_PASSES + 1)
            .unwrap_or(1);
        // a listing that is neither at its beginning nor to begin has found something to go on from
        let is_at_the_beginning = cursor.is_none_or(|cursor| {
            cursor.jobs.is_empty()
                && cursor.ranges.len() == 1
                && cursor.ranges.iter().all(|range| range.after.is_none())
        });
        Self {
            klaviyo: context.klaviyo.clone(),
            collection,
            pass,
            has_found: Rc::new(Cell::new(!is_at_the_beginning)),
        }
    }

    fn only_looks(&self) -> bool {
        self.pass > MAX_PASSES
    }

    fn kind(&self) -> &'static str {
        match self.collection {
            CatalogCollection::Categories => "catalog-category",
            CatalogCollection::Items => "catalog-item",
        }
    }
}

impl Import for Deletion {
    fn bulk_endpoints(&self) -> &'static [&'static BulkEndpoint] {
        match self.collection {
            CatalogCollection::Categories => &CATEGORY_ENDPOINTS,
            CatalogCollection::Items => &ITEM_ENDPOINTS,
        }
    }

    fn batches_a_group(&self) -> usize {
        1
    }

    fn phase(&self) -> Option<String> {
        Some(format!("pass-{}", self.pass))
    }

    fn phase_position(&self) -> Option<(u64, u64)> {
        None
    }

    fn next_phase(&self) -> Option<Rc<dyn Import>> {
        let next = Self {
            klaviyo: self.klaviyo.clone(),
            collection: self.collection,
            pass: self.pass + 1,
            has_found: Rc::default(),
        };
        let goes_on = self.has_found.get() && !self.only_looks();
        goes_on.then(|| -> Rc<dyn Import> { Rc::new(next) })
    }

    /// Klaviyo does not say how many entries there are: 0.
    fn total(
        &self,
        _options: &RunOptions,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<u64, Error>> {
        let (client, collection) = (self.klaviyo.clone(), self.collection);
        Box::pin(async move {
            listing::list(&client, collection, collection.path(), deadline).await?;
            Ok(0)
        })
    }

    fn fetch(
        &self,
        query: PageQuery,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Page, Error>> {
        let (client, collection, kind) = (self.klaviyo.clone(), self.collection, self.kind());
        let (has_found, only_looks) = (self.has_found.clone(), self.only_looks());
        Box::pin(async move {
            let path = query.range.after.as_deref().unwrap_or(collection.path());
            let (ids, next) = if query.range.entries.is_empty() {
                let page = match listing::list(&client, collection, path, deadline).await {
                    // a page that Klaviyo knows no more: what has been deleted is not listed again
                    Err(error) if error.is_rejection() && query.range.after.is_some() => {
                        listing::list(&client, collection, collection.path(), deadline).await?
                    }
                    page => page?,
                };
                (page.ids, page.next)
            } else {
                (
                    query
                        .range
                        .entries
                        .iter()
                        .map(|id| compound_id(id))
                        .collect(),
                    None,
                )
            };
            if !ids.is_empty() {
                has_found.set(true);
            }
            let records: Vec<Record> = ids
                .iter()
                .map(|id| Record::Present(identifier(kind, id).into()))
                .collect();
            Ok(Page {
                bytes: records.iter().map(Record::bytes).sum(),
                len: records.len(),
                records: records.into(),
                by_id: false,
                is_last: next.is_none(),
                last: next,
                mapper: Box::new(move |record, documents| {
                    let id = crate::mapping::id(record).ok_or(Skip::Malformed { missing: "id" })?;
                    if only_looks {
                        documents.parts_skipped = Some(Vec::new());
                        documents.notes.push(Note::LeftInKlaviyo);
                    } else {
                        documents.bytes.extend_from_slice(record.get().as_bytes());
                        documents.push(0, 0, None);
                    }
                    Ok(external_id(&id).to_owned())
                }),
            })
        })
    }

    fn poll_job(
        &self,
        job: Job,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<JobAnswer, Error>> {
        let (client, endpoints) = (self.klaviyo.clone(), self.bulk_endpoints());
        let is_listed_again = self.pass < MAX_PASSES;
        Box::pin(async move {
            Ok(
                match catalog_jobs::poll(&client, endpoints, job, deadline).await? {
                    JobAnswer::Done {
                        refused,
                        again,
                        left,
                    } if is_listed_again => JobAnswer::Done {
                        left: left + refused.len() as u64,
                        refused: Vec::new(),
                        again,
                    },
                    answer => answer,
                },
            )
        })
    }
}
