//! The first phase of an import of changes: finds the records whose parts have changed, although they were not modified
//! themselves.
//!
//! ```text
//! products    standalone prices and stock that were modified; prices that have begun or ended; categories that were
//!             modified, and those below them: an item is in the ancestors of its categories, too
//! orders      payments that were modified, where refunds are sent
//! categories  those below categories that were modified: their names are paths
//! ```
//!
//! Each of these is read by keyset paging on a range of its own, and names records. A record that several name is sent
//! once, and one that was modified itself is left to the next phase, which reads these. A change of a price or of stock does
//! not touch the product's `lastModifiedAt`; nor does a date, so prices with dates between the last run and this one are
//! asked for by them.

mod owners;
mod selection;

use std::collections::BTreeSet;
use std::rc::Rc;

use jiff::Timestamp;
use serde_json::json;
use serde_json::value::to_raw_value;

pub(super) use self::selection::Selection;
use super::context::Context;
use crate::commercetools::query::{MAX_LIMIT, Query, between};
use crate::commercetools::scope::{VIEW_PAYMENTS, VIEW_PRODUCTS, VIEW_STANDALONE_PRICES};
use crate::error::{Error, Peer};
use crate::json::{Json, Part};
use crate::klaviyo::bulk::BulkEndpoint;
use crate::mapping::{self, Skip};
use crate::ports::LocalFuture;
use crate::run::documents::RecordOutcome;
use crate::run::import::{Import, NextPhase};
use crate::run::page::{Page, PageQuery, Record};
use crate::run::state::{
    Cursor, IdRange, Note, PhaseName, Resource, RunDocument, RunOptions, Source,
};
use crate::time::Deadline;

/// Prices and stock are small: so many of them take the room of one product.
const SMALL_RECORDS: usize = 10;

/// The sources of a resource.
fn sources(resource: Resource) -> &'static [Source] {
    match resource {
        Resource::Products => &[
            Source::Prices,
            Source::PriceDates,
            Source::OwnPriceDates,
            Source::Stock,
            Source::Categories,
        ],
        Resource::Categories => &[Source::Categories],
        Resource::Orders => &[Source::Payments],
        Resource::Customers => &[],
    }
}

/// The phase.
#[derive(Clone)]
pub(super) struct FindChanges {
    context: Context,
    resource: Resource,
    /// Changes from this time on.
    since: Timestamp,
    /// The start of the run, which decides which prices apply.
    now: Timestamp,
    /// What follows: the import, which sends what was found.
    import: fn(&Context, &RunDocument) -> Rc<dyn Import>,
}

/// What a page of a source has found.
struct Found {
    ids: BTreeSet<String>,
    /// How far its range is read.
    last: Option<String>,
    is_last: bool,
    /// What is to be told of it.
    note: Option<Note>,
}

impl FindChanges {
    /// The phase, if the run is in it: one of changes begins with it.
    pub(super) fn of_run(
        context: &Context,
        run: &RunDocument,
        import: fn(&Context, &RunDocument) -> Rc<dyn Import>,
    ) -> Option<Self> {
        let since = run.options.since.filter(|_| run.options.imports())?;
        let cursor = run.cursor.as_ref()?;
        let has_begun = !cursor.ranges.is_empty() || !cursor.jobs.is_empty();
        let is_here = match cursor.phase {
            None => !has_begun,
            Some(phase) => phase == PhaseName::Changes,
        };
        is_here.then(|| Self {
            context: context.clone(),
            resource: run.resource,
            since,
            now: run.started_at,
            import,
        })
    }

    /// What follows, as it is for a run that has found nothing: what a start asks for.
    fn main(&self, options: &RunOptions) -> Rc<dyn Import> {
        let cursor = Cursor {
            phase: Some(PhaseName::Records(self.resource)),
            ..Cursor::default()
        };
        let (id, options) = (String::new(), options.clone());
        let run = RunDocument::start(self.resource, id, options, cursor, self.now);
        (self.import)(&self.context, &run)
    }

    async fn find(&self, query: &PageQuery, deadline: Deadline) -> Result<Found, Error> {
        let client = &self.context.commercetools;
        let nothing = || Found {
            ids: BTreeSet::new(),
            last: None,
            is_last: true,
            note: None,
        };
        let may = |scope| client.may(scope, deadline);
        match query.range.source {
            Some(Source::Prices) if may(VIEW_STANDALONE_PRICES).await? => {
                let prices = Of::small("query changed standalone prices", "standalone-prices");
                self.of_skus(query, prices.since(self.since), deadline)
                    .await
            }
            Some(Source::PriceDates) if may(VIEW_STANDALONE_PRICES).await? => {
                let prices = Of::small("query standalone prices by date", "standalone-prices");
                self.of_skus(query, prices.that(self.dates()), deadline)
                    .await
            }
            Some(Source::Stock) if may(VIEW_PRODUCTS).await? => {
                let stock = Of::small("query changed stock", "inventory");
                self.of_skus(query, stock.since(self.since), deadline).await
            }
            Some(Source::OwnPriceDates) => self.own_price_dates(query, deadline).await,
            Some(Source::Categories) => self.categories(query, deadline).await,
            Some(Source::Payments) if may(VIEW_PAYMENTS).await? => {
                self.payments(query, deadline).await
            }
            _ => Ok(nothing()),
        }
    }

    /// The predicate of a price that has begun or ended since the last run.
    fn dates(&self) -> String {
        let between = |field| between(field, self.since, self.now);
        format!("{} or {}", between("validFrom"), between("validUntil"))
    }

    async fn of_skus(&self, query: &PageQuery, of: Of, deadline: Deadline) -> Result<Found, Error> {
        let page = of.page(&self.context, query, deadline).await?;
        let sku = |record: &Json| {
            let [sku] = record.part().pick(["sku"])?;
            Some(sku?.id()?.into_owned())
        };
        let skus = page.records.iter().filter_map(sku).collect();
        let ids = owners::of_skus(&self.context, &skus, deadline).await?;
        Ok(page.found(ids))
    }

    async fn own_price_dates(&self, query: &PageQuery, deadline: Deadline) -> Result<Found, Error> {
        let prices = format!("prices({})", self.dates());
        let of = Of {
            parameters: &[("staged", "false")],
            records: 1,
            ..Of::small(
                "query products by the dates of prices",
                "product-projections",
            )
        };
        let of = of.that(format!("masterVariant({prices}) or variants({prices})"));
        match of.page(&self.context, query, deadline).await {
            Ok(page) => {
                let ids = page.records.iter().map(Json::part);
                let ids = ids.filter_map(mapping::id).collect();
                Ok(page.found(ids))
            }
            // that fields of embedded objects can be asked for is documented
            // (<https://docs.commercetools.com/api/predicates/query>), how long it takes is not: what is left is for an
            // import of everything
            Err(error) if error.is_rejection() || (error.took_too_long() && query.limit == 1) => {
                Ok(Found {
                    ids: BTreeSet::new(),
                    last: None,
                    is_last: true,
                    note: Some(Note::PriceDatesUnread),
                })
            }
            Err(error) => Err(error),
        }
    }

    async fn payments(&self, query: &PageQuery, deadline: Deadline) -> Result<Found, Error> {
        let of = Of::small("query changed payments", "payments").since(self.since);
        let page = of.page(&self.context, query, deadline).await?;
        let ids = page.records.iter().map(Json::part);
        let payments = ids.filter_map(mapping::id).collect();
        let orders = owners::of_payments(&self.context, &payments, deadline).await?;
        Ok(page.found(orders))
    }

    async fn categories(&self, query: &PageQuery, deadline: Deadline) -> Result<Found, Error> {
        let of = Of::small("query changed categories", "categories").since(self.since);
        let page = of.page(&self.context, query, deadline).await?;
        let changed: BTreeSet<String> = page
            .records
            .iter()
            .inspect(|category| owners::note(&self.context, category))
            .filter_map(|category| mapping::id(category.part()))
            .collect();
        let mut affected = owners::below(&self.context, &changed, deadline).await?;
        if self.resource == Resource::Products {
            affected.extend(changed);
            affected = owners::of_categories(&self.context, &affected, deadline).await?;
        }
        Ok(page.found(affected))
    }
}

/// What a source reads.
struct Of {
    operation: &'static str,
    path: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    since: Option<Timestamp>,
    predicate: Option<String>,
    /// How many of them take the room of a record of the import.
    records: usize,
}

/// A page of a source.
struct SourcePage {
    records: Vec<Json>,
    last: Option<String>,
    is_last: bool,
}

impl SourcePage {
    fn found(self, ids: BTreeSet<String>) -> Found {
        Found {
            ids,
            last: self.last,
            is_last: self.is_last,
            note: None,
        }
    }
}

impl Of {
    fn small(operation: &'static str, path: &'static str) -> Self {
        Self {
            operation,
            path,
            parameters: &[],
            since: None,
            predicate: None,
            records: SMALL_RECORDS,
        }
    }

    fn since(self, since: Timestamp) -> Self {
        Self {
            since: Some(since),
            ..self
        }
    }

    fn that(self, predicate: String) -> Self {
        Self {
            predicate: Some(predicate),
            ..self
        }
    }

    /// The next records of the range.
    async fn page(
        &self,
        context: &Context,
        query: &PageQuery,
        deadline: Deadline,
    ) -> Result<SourcePage, Error> {
        let mut parameters = self.parameters.to_vec();
        let predicate = self.predicate.as_deref();
        parameters.extend(predicate.map(|predicate| ("where", predicate)));
        let after = query.range.after.as_deref();
        // records that are small are no reason for a page that has been too slow
        let most = query.page_cap.unwrap_or(MAX_LIMIT);
        let limit = (query.limit * self.records).min(most);
        let asked = Query {
            after,
            since: self.since,
            limit,
            parameters: &parameters,
            ..Query::all(self.operation, self.path, query.max_bytes)
        };
        let records = context.commercetools.page(&asked, deadline).await?;
        let last = records.last().map(|record| {
            let last = mapping::id(record.part());
            // else the next page would be this one again
            let last = last.filter(|last| after.is_none_or(|after| last.as_str() > after));
            let expected = "records with their ids, which come after those of the page before";
            last.ok_or_else(|| Error::unreadable(Peer::Commercetools, self.operation, expected))
        });
        Ok(SourcePage {
            last: last.transpose()?,
            is_last: records.len() < limit,
            records,
        })
    }
}

impl Import for FindChanges {
    /// It sends nothing.
    fn bulk_endpoints(&self) -> &'static [&'static BulkEndpoint] {
        &[]
    }

    fn batches_a_group(&self) -> usize {
        1
    }

    fn phase(&self) -> Option<PhaseName> {
        Some(PhaseName::Changes)
    }

    /// How much has changed is what it finds out.
    fn phase_position(&self) -> Option<(u64, u64)> {
        None
    }

    fn ranges(&self, _run: &RunDocument, _configured: usize) -> Vec<IdRange> {
        let sources = sources(self.resource).iter();
        sources.copied().map(IdRange::of_source).collect()
    }

    fn needs_no_more(&self, run: &RunDocument) -> bool {
        run.changes
            .as_ref()
            .is_some_and(|changes| changes.is_everywhere)
    }

    fn next_phase(&self, run: &RunDocument) -> NextPhase {
        let mut run = run.clone();
        if let Some(cursor) = &mut run.cursor {
            cursor.phase = Some(PhaseName::Records(self.resource));
        }
        NextPhase::Begin {
            import: (self.import)(&self.context, &run),
            records: Vec::new(),
        }
    }

    fn total(
        &self,
        options: &RunOptions,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<u64, Error>> {
        self.main(options).total(options, deadline)
    }

    fn unread_notes(
        &self,
        options: &RunOptions,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Vec<(Note, u64)>, Error>> {
        self.main(options).unread_notes(options, deadline)
    }

    fn fetch(
        &self,
        query: PageQuery,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Page, Error>> {
        let phase = self.clone();
        Box::pin(async move {
            let Found {
                ids,
                last,
                is_last,
                note,
            } = phase.find(&query, deadline).await?;
            let ids = ids
                .into_iter()
                .chain(note.map(|note| note.key().to_owned()));
            let records: Vec<Record> = ids
                .filter_map(|id| to_raw_value(&json!({ "id": id })).ok())
                .map(|record| Record::Present(record.into()))
                .collect();
            Ok(Page {
                bytes: records.iter().map(Record::bytes).sum(),
                // these say nothing of how large the records of the import are
                len: 0,
                records: records.into(),
                by_id: false,
                last: last.filter(|_| !is_last),
                is_last,
                mapper: Box::new(move |record: Part<'_>, documents| {
                    let id = mapping::id(record).ok_or(Skip::Malformed { missing: "id" })?;
                    documents.record = RecordOutcome::Uncounted;
                    match note.filter(|note| note.key() == id) {
                        Some(note) => documents.notes.push(note),
                        None => documents.changed = true,
                    }
                    Ok(id)
                }),
            })
        })
    }
}
