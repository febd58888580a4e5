//! The deletion of everything of a kind that Klaviyo's catalogue has, whoever made it.
//!
//! A pass lists all entries and hands them to delete jobs; when these are finished, the next pass lists again. It ends
//! with a pass that finds nothing. What others add meanwhile is not chased for ever: after [`MAX_PASSES`] a last look
//! counts what is left.

use std::cell::Cell;
use std::rc::Rc;

use super::page::{Page, Record};
use super::{Import, JobAnswer, PageQuery, entries};
use crate::api::App;
use crate::error::Error;
use crate::klaviyo;
use crate::klaviyo::batch::Lane;
use crate::klaviyo::catalog::{self, Collection, DELETE_CATEGORIES, DELETE_ITEMS};
use crate::mapping::Skip;
use crate::mapping::product::{compound_id, external_id};
use crate::ports::{Deadline, LocalFuture};
use crate::run::cursor::Job;
use crate::run::state::{Order, RunDocument};

/// Passes that delete.
const MAX_PASSES: u32 = 5;
/// The note for what is there after the last of them.
const LEFT: &str = "left-in-klaviyo";

static CATEGORY_LANES: [&Lane; 1] = [&DELETE_CATEGORIES];
/// Klaviyo deletes an item's variants with it.
static ITEM_LANES: [&Lane; 1] = [&DELETE_ITEMS];

/// One pass.
pub struct Deletion {
    klaviyo: Rc<klaviyo::Client>,
    collection: Collection,
    pass: u32,
    /// Whether this pass has found anything.
    has_found: Rc<Cell<bool>>,
}

impl Deletion {
    /// The pass that the run is in.
    #[must_use]
    pub fn new(app: &App, collection: Collection, run: &RunDocument) -> Self {
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
            klaviyo: app.klaviyo.clone(),
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
            Collection::Categories => "catalog-category",
            Collection::Items => "catalog-item",
        }
    }
}

impl Import for Deletion {
    fn lanes(&self) -> &'static [&'static Lane] {
        match self.collection {
            Collection::Categories => &CATEGORY_LANES,
            Collection::Items => &ITEM_LANES,
        }
    }

    fn batches_a_group(&self) -> usize {
        1
    }

    fn phase(&self) -> Option<String> {
        Some(format!("pass-{}", self.pass))
    }

    fn place(&self) -> Option<(u64, u64)> {
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
        _order: &Order,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<u64, Error>> {
        let (client, collection) = (self.klaviyo.clone(), self.collection);
        Box::pin(async move {
            catalog::list(&client, collection, collection.path(), deadline).await?;
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
                let listing = catalog::list(&client, collection, path, deadline).await?;
                (listing.ids, listing.next)
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
                .map(|id| Record::Present(catalog::identifier(kind, id).into()))
                .collect();
            Ok(Page {
                bytes: records.iter().map(Record::len).sum(),
                len: records.len(),
                records: records.into(),
                by_id: false,
                is_last: next.is_none(),
                last: next,
                mapper: Box::new(move |record, documents| {
                    let id = crate::mapping::id(record).ok_or(Skip::Malformed { missing: "id" })?;
                    if only_looks {
                        documents.parts_skipped = Some(Vec::new());
                        documents.notes.push(LEFT);
                    } else {
                        documents.bytes.extend_from_slice(record.get().as_bytes());
                        documents.push(0, 0, None);
                    }
                    Ok(external_id(&id).to_owned())
                }),
            })
        })
    }

    fn ask(&self, job: Job, deadline: Deadline) -> LocalFuture<'static, Result<JobAnswer, Error>> {
        let (client, lanes) = (self.klaviyo.clone(), self.lanes());
        let is_listed_again = self.pass < MAX_PASSES;
        Box::pin(async move {
            Ok(match entries::ask(&client, lanes, job, deadline).await? {
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
            })
        })
    }
}
