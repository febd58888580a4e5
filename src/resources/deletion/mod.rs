//! Deletes all items or all categories of Klaviyo's catalog, no matter who created them.
//!
//! A first pass finds entries by the ids that the shop has (`known`), which is quick. Each other pass lists all entries
//! and submits delete jobs for them; when these are finished, the next pass lists again. The deletion ends with such a pass
//! that finds nothing, or where the list was empty already when the last jobs turned out to be finished. Because others may
//! keep adding entries, there are at most `MAX_PASSES` passes; a last one only counts what is left.

mod jobs;
mod known;

use std::cell::Cell;
use std::rc::Rc;

use self::jobs::{Listed, PassJobs};
use super::catalog_jobs::{CatalogJobs, JOBS_A_GROUP};
use super::context::Context;
use crate::commercetools;
use crate::error::Error;
use crate::klaviyo;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::catalog::listing::{self, CatalogCollection};
use crate::klaviyo::catalog::{DELETE_CATEGORIES, DELETE_ITEMS, DELETE_VARIANTS, identifier};
use crate::mapping::Skip;
use crate::mapping::product::{compound_id, external_id};
use crate::ports::LocalFuture;
use crate::run::documents::RecordOutcome;
use crate::run::import::{Import, Jobs, NextPhase};
use crate::run::page::{Mapper, Page, PageQuery, Record};
use crate::run::state::{Cursor, IdRange, Note, PhaseName, RunDocument, RunOptions};
use crate::time::Deadline;

/// The pass that finds entries by the shop's ids.
const BY_SHOP: u32 = 0;
/// The most passes that list all entries and delete them.
const MAX_PASSES: u32 = 5;

static CATEGORY_ENDPOINTS: [&BulkEndpoint; 1] = [&DELETE_CATEGORIES];
/// Klaviyo deletes an item's variants with it.
static ITEM_ENDPOINTS: [&BulkEndpoint; 1] = [&DELETE_ITEMS];
static VARIANT_ENDPOINTS: [&BulkEndpoint; 1] = [&DELETE_VARIANTS];

/// One pass.
pub struct Deletion {
    commercetools: Rc<commercetools::Client>,
    klaviyo: Rc<klaviyo::Client>,
    collection: CatalogCollection,
    pass: u32,
    /// Whether this pass has found anything.
    has_found: Rc<Cell<bool>>,
    /// What Klaviyo's list said when it was last asked for jobs.
    list: Rc<Cell<Listed>>,
}

impl Deletion {
    /// The pass that the run is in, by its cursor.
    #[must_use]
    pub fn new(context: &Context, collection: CatalogCollection, run: &RunDocument) -> Self {
        let pass = match run.phase() {
            Some(PhaseName::Pass(pass)) if pass <= MAX_PASSES + 1 => pass,
            _ => BY_SHOP,
        };
        // a listing that has got further than its first page has found entries
        let is_at_the_beginning = run.cursor.as_ref().is_none_or(|cursor| {
            cursor.jobs.is_empty()
                && cursor.ranges.len() == 1
                && cursor.ranges.iter().all(|range| range.after.is_none())
        });
        Self {
            commercetools: context.commercetools.clone(),
            klaviyo: context.klaviyo.clone(),
            collection,
            pass,
            has_found: Rc::new(Cell::new(!is_at_the_beginning)),
            list: Rc::default(),
        }
    }

    fn only_looks(&self) -> bool {
        self.pass > MAX_PASSES
    }

    fn kind(&self) -> &'static str {
        match self.collection {
            CatalogCollection::Categories => "catalog-category",
            CatalogCollection::Items => "catalog-item",
            CatalogCollection::Variants => "catalog-variant",
        }
    }
}

impl Import for Deletion {
    fn bulk_endpoints(&self) -> &'static [&'static BulkEndpoint] {
        match self.collection {
            CatalogCollection::Categories => &CATEGORY_ENDPOINTS,
            CatalogCollection::Items => &ITEM_ENDPOINTS,
            CatalogCollection::Variants => &VARIANT_ENDPOINTS,
        }
    }

    /// A page of Klaviyo's list has a position only as a whole, the shop's ids have one each.
    fn batches_a_group(&self) -> usize {
        match self.pass {
            BY_SHOP => JOBS_A_GROUP,
            _ => 1,
        }
    }

    fn phase(&self) -> Option<PhaseName> {
        Some(PhaseName::Pass(self.pass))
    }

    fn phase_position(&self) -> Option<(u64, u64)> {
        None
    }

    /// Klaviyo's catalog can be read in one part only, the shop's ids in many.
    fn ranges(&self, run: &RunDocument, _configured: usize) -> Vec<IdRange> {
        match self.pass {
            BY_SHOP => Cursor::all_ranges(&run.options, known::RANGES),
            _ => Cursor::all_ranges(&run.options, 1),
        }
    }

    fn record_bytes(&self) -> Option<usize> {
        (self.pass == BY_SHOP).then_some(known::ID_BYTES)
    }

    /// One query of up to 500 ids, and their look-ups, 100 each.
    fn may_read_early(&self) -> bool {
        self.pass == BY_SHOP
    }

    fn next_phase(&self, _run: &RunDocument) -> NextPhase {
        let next = Self {
            commercetools: self.commercetools.clone(),
            klaviyo: self.klaviyo.clone(),
            collection: self.collection,
            pass: self.pass + 1,
            has_found: Rc::default(),
            list: Rc::default(),
        };
        let has_found = self.pass == BY_SHOP || self.has_found.get();
        let is_to_be_listed = has_found && self.list.get() != Listed::Nothing;
        match is_to_be_listed && !self.only_looks() {
            true => NextPhase::reading_all(next),
            false => NextPhase::None,
        }
    }

    /// 0, because Klaviyo does not say how many entries there are.
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
        if self.pass == BY_SHOP && query.range.entries.is_empty() {
            let commercetools = self.commercetools.clone();
            return Box::pin(async move {
                let mapper = mapper(false);
                known::page(
                    &commercetools,
                    &client,
                    collection,
                    kind,
                    &query,
                    mapper,
                    deadline,
                )
                .await
            });
        }
        Box::pin(async move {
            let path = query.range.after.as_deref().unwrap_or(collection.path());
            let (ids, next) = if query.range.entries.is_empty() {
                let page = match listing::list(&client, collection, path, deadline).await {
                    // Klaviyo no longer knows the page; the entries that were deleted are not listed again
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
                mapper: mapper(only_looks),
            })
        })
    }

    fn lists_again(&self) -> bool {
        self.pass < MAX_PASSES
    }

    fn lists_jobs(&self) -> bool {
        true
    }

    fn jobs(&self, _kind: &str) -> Option<Box<dyn Jobs>> {
        Some(Box::new(PassJobs {
            jobs: CatalogJobs {
                client: self.klaviyo.clone(),
                endpoints: self.bulk_endpoints(),
                collection: self.collection,
            },
            list: self.list.clone(),
            is_listed_again: self.lists_again(),
        }))
    }
}

/// The mapper of records that are the identifiers of entries: each is deleted, or only counted.
fn mapper(only_looks: bool) -> Mapper {
    Box::new(move |record, documents| {
        let id = crate::mapping::id(record).ok_or(Skip::Malformed { missing: "id" })?;
        if only_looks {
            documents.record = RecordOutcome::Uncounted;
            documents.notes.push(Note::LeftInKlaviyo);
        } else {
            documents.bytes.extend_from_slice(record.get().as_bytes());
            documents.push(0, 0, None);
        }
        Ok(external_id(&id).to_owned())
    })
}
