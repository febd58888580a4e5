//! Takes entries out of Klaviyo that commercetools no longer has: counts them first, and then deletes them.
//!
//! ```text
//! unpublished            products that were unpublished since a time, as commercetools names them, and Klaviyo has
//! unpublished-deletions  these are deleted, after the guard
//! prune                  all that Klaviyo lists and commercetools does not have (any more)
//! prune-deletions        these are deleted, after the guard
//! ```
//!
//! Each phase looks again at what it is about to do: what is published by then stays. Between two of them stands the
//! [guard](crate::run::state::Removal::may_begin). Klaviyo deletes an item's variants with it.
//!
//! A prune lists entries of whoever made them. Only items that [carry](crate::mapping::metadata::PROJECT) this project's
//! key are removed. Those that carry none, and categories, which can carry none, are removed only if an operator asks for
//! that (`pruneUnmarked`), and only if their ids have the form of commercetools' ids.

mod found;
mod presence;
mod stage;

use std::cell::Cell;
use std::rc::Rc;

use jiff::Timestamp;

use self::found::{Found, Verdict};
pub(super) use self::stage::Withdrawal;
use self::stage::{Source, Step};
use super::catalog_jobs::CatalogJobs;
use super::context::Context;
use crate::error::Error;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::catalog::listing::{self, CatalogCollection};
use crate::klaviyo::catalog::{DELETE_CATEGORIES, DELETE_ITEMS, identifier};
use crate::mapping::Skip;
use crate::mapping::product::{compound_id, external_id};
use crate::ports::LocalFuture;
use crate::run::documents::{Documents, RecordOutcome};
use crate::run::import::{Import, Jobs, NextPhase};
use crate::run::page::{Page, PageQuery, Record};
use crate::run::start::overlapped;
use crate::run::state::{
    Cursor, IdRange, Note, PhaseName, RemovalKind, Resource, RunDocument, RunOptions,
};
use crate::time::Deadline;

static CATEGORY_ENDPOINTS: [&BulkEndpoint; 1] = [&DELETE_CATEGORIES];
static ITEM_ENDPOINTS: [&BulkEndpoint; 1] = [&DELETE_ITEMS];

/// The time from which on an import of changes looks for unpublished products: imports of everything do not.
fn unpublished_since(run: &RunDocument) -> Option<Timestamp> {
    let since = run.options.since?;
    let known = run.without_unpublished_since.map(overlapped);
    Some(known.map_or(since, |known| known.min(since)))
}

impl Withdrawal {
    fn new(context: &Context, run: &RunDocument, source: Source, step: Step) -> Self {
        Self {
            context: context.clone(),
            collection: match run.resource {
                Resource::Categories => CatalogCollection::Categories,
                _ => CatalogCollection::Items,
            },
            source,
            step,
            takes_unmarked: run.options.prune_unmarked,
            way: Rc::default(),
        }
    }

    /// The phase that the run is in, if it is one of these; a run that only prunes has no others.
    pub(super) fn of_run(context: &Context, run: &RunDocument) -> Option<Self> {
        let name = run.phase();
        let since = unpublished_since(run).map(Source::Unpublished);
        let sources = [Some(Source::Listing), since];
        let phases = sources.into_iter().flatten().flat_map(|source| {
            [Step::Counting, Step::Deleting].map(|step| Self::new(context, run, source, step))
        });
        let named = phases.into_iter().find(|phase| Some(phase.name()) == name);
        let only_prunes = run.options.prune && !run.options.imports();
        named.or_else(|| {
            only_prunes.then(|| Self::new(context, run, Source::Listing, Step::Counting))
        })
    }

    /// What follows when an import has sent everything.
    pub(super) fn after_import(context: &Context, run: &RunDocument) -> NextPhase {
        let source = match unpublished_since(run) {
            // a prune finds what was unpublished, too
            _ if run.options.prune || run.options.drift => Source::Listing,
            Some(since) if run.resource == Resource::Products => Source::Unpublished(since),
            _ => return NextPhase::None,
        };
        NextPhase::reading_all(Self::new(context, run, source, Step::Counting))
    }

    fn name(&self) -> PhaseName {
        match (self.source, self.step) {
            (Source::Unpublished(_), Step::Counting) => PhaseName::Unpublished,
            (Source::Unpublished(_), Step::Deleting) => PhaseName::UnpublishedDeletions,
            (Source::Listing, Step::Counting) => PhaseName::Prune,
            (Source::Listing, Step::Deleting) => PhaseName::PruneDeletions,
        }
    }

    fn kind(&self) -> &'static str {
        match self.collection {
            CatalogCollection::Categories => "catalog-category",
            CatalogCollection::Items | CatalogCollection::Variants => "catalog-item",
        }
    }

    fn note(&self) -> Note {
        match self.source {
            Source::Unpublished(_) => Note::UnpublishedDeleted,
            Source::Listing => Note::Pruned,
        }
    }

    /// What is done about an entry.
    fn map(&self, id: &str, verdict: Verdict, documents: &mut Documents) {
        documents.record = RecordOutcome::Uncounted;
        match (self.step, verdict) {
            (Step::Counting, Verdict::Present) => documents.found.parts = 1,
            (Step::Counting, Verdict::Unmarked) => documents.found.is_unmarked = true,
            (Step::Counting, Verdict::Gone) => {
                documents.found.parts = 1;
                documents.found.removals = 1;
                documents.found.has_obsolete = true;
            }
            (Step::Deleting, Verdict::Gone) => {
                documents.record = RecordOutcome::Sent;
                let entry = identifier(self.kind(), &compound_id(id));
                documents.bytes.extend_from_slice(entry.get().as_bytes());
                documents.push(0, 0, None);
                documents.notes.push(self.note());
            }
            (Step::Deleting, Verdict::Present | Verdict::Unmarked) => {}
        }
    }

    fn into_page(self, found: Found) -> Page {
        let Found {
            verdicts,
            of_others,
            next,
        } = found;
        let kind = self.kind();
        let records: Vec<Record> = verdicts
            .keys()
            .map(|id| Record::Present(identifier(kind, &compound_id(id)).into()))
            .collect();
        // the first record stands for what Klaviyo has beside those of the page
        let of_others = Cell::new(of_others);
        Page {
            bytes: records.iter().map(Record::bytes).sum(),
            len: records.len(),
            records: records.into(),
            by_id: false,
            is_last: next.is_none(),
            last: next,
            mapper: Box::new(move |record, documents| {
                let id = crate::mapping::id(record).ok_or(Skip::Malformed { missing: "id" })?;
                let id = external_id(&id).to_owned();
                let verdict = verdicts.get(&id).copied().unwrap_or(Verdict::Present);
                self.map(&id, verdict, documents);
                if self.step == Step::Counting {
                    documents.found.parts += of_others.take();
                }
                Ok(id)
            }),
        }
    }
}

impl Import for Withdrawal {
    fn bulk_endpoints(&self) -> &'static [&'static BulkEndpoint] {
        match self.collection {
            CatalogCollection::Categories => &CATEGORY_ENDPOINTS,
            CatalogCollection::Items | CatalogCollection::Variants => &ITEM_ENDPOINTS,
        }
    }

    fn batches_a_group(&self) -> usize {
        1
    }

    fn phase(&self) -> Option<PhaseName> {
        Some(self.name())
    }

    /// Everything else is done by then; how much there is to look at is not known.
    fn phase_position(&self) -> Option<(u64, u64)> {
        None
    }

    /// Klaviyo's catalog can be read in one part only, and few products are unpublished.
    fn ranges(&self, run: &RunDocument, _configured: usize) -> Vec<IdRange> {
        Cursor::all_ranges(&run.options, 1)
    }

    fn removal_kind(&self) -> RemovalKind {
        match self.collection {
            CatalogCollection::Categories => RemovalKind::Categories,
            CatalogCollection::Items | CatalogCollection::Variants => RemovalKind::Items,
        }
    }

    fn next_phase(&self, run: &RunDocument) -> NextPhase {
        let kind = self.removal_kind();
        let removal = run.removal.as_ref();
        let removal = removal.filter(|removal| removal.kind == kind && removal.count > 0);
        let Some(removal) = removal.filter(|_| self.step == Step::Counting && !run.options.dry_run)
        else {
            return NextPhase::None;
        };
        if !removal.may_begin() {
            // they are counted once more, from the beginning
            let records = Vec::new();
            return NextPhase::Unconfirmed { records };
        }
        NextPhase::Begin {
            import: Rc::new(Self {
                step: Step::Deleting,
                ..self.clone()
            }),
            records: removal.records_to_read(),
        }
    }

    /// 0, because Klaviyo does not say how many entries there are.
    fn total(
        &self,
        _options: &RunOptions,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<u64, Error>> {
        let (client, collection) = (self.context.klaviyo.clone(), self.collection);
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
        let phase = self.clone();
        Box::pin(async move {
            let found = phase.find(&query, deadline).await?;
            Ok(phase.into_page(found))
        })
    }

    fn note_of(&self, _kind: &str) -> Option<Note> {
        Some(self.note())
    }

    fn lists_jobs(&self) -> bool {
        true
    }

    fn jobs(&self, _kind: &str) -> Option<Box<dyn Jobs>> {
        Some(Box::new(CatalogJobs {
            client: self.context.klaviyo.clone(),
            endpoints: self.bulk_endpoints(),
            collection: self.collection,
        }))
    }
}
