//! The first phase: products as catalog items, with their variants as soon as their items are there.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use futures_util::future::join;

use super::elsewhere::Elsewhere;
use super::phase::Phase;
use super::reading::PRODUCTS;
use super::removals::{Removals, Step};
use super::variants::{self, InKlaviyo, Manner};
use super::wanted::Wanted;
use crate::error::Error;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::catalog::listing::{CatalogCollection, variants_of_items};
use crate::klaviyo::catalog::{
    CREATE_ITEMS, CREATE_ITEMS_ANEW, CREATE_VARIANTS, DELETE_VARIANTS, MOVE_VARIANTS, UPDATE_ITEMS,
    UPDATE_VARIANTS,
};
use crate::mapping::Skip;
use crate::mapping::product::{Listing, Product, Write, compound_id};
use crate::ports::LocalFuture;
use crate::resources::catalog_jobs::write_of;
use crate::resources::changes::Selection;
use crate::resources::collection::Collection;
use crate::resources::context::Context;
use crate::resources::shop_catalog::Nodes;
use crate::run::documents::{Documents, RecordOutcome};
use crate::run::import::{Import, JobEntries, Jobs, MAX_DECISIONS, NextPhase};
use crate::run::page::{Page, PageQuery};
use crate::run::state::{IdRange, Note, PhaseName, Resource, RunDocument, RunOptions};
use crate::time::Deadline;

static ENDPOINTS: [&BulkEndpoint; 7] = [
    &CREATE_ITEMS,
    &UPDATE_ITEMS,
    &CREATE_ITEMS_ANEW,
    &CREATE_VARIANTS,
    &UPDATE_VARIANTS,
    &MOVE_VARIANTS,
    // of documents of earlier versions, which deleted in passing
    &DELETE_VARIANTS,
];
/// The index of [`CREATE_ITEMS_ANEW`] in [`ENDPOINTS`].
const ANEW: usize = 2;
/// The index of the first endpoint of variants.
const VARIANTS: usize = 3;

/// The jobs of one group. At its end a request of each kind is not full: more of them waste less.
const JOBS_A_GROUP: usize = 24;

/// All products, published or not. They are counted without a predicate, because commercetools counts no more than 10,000
/// with one.
const ALL_PRODUCTS: Collection = Collection {
    operation: "count all products",
    path: "products",
    parameters: &[],
};

/// What a phase sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sends {
    /// Items and variants.
    Both,
    /// Only items, as the first phase of earlier versions did.
    Items,
    /// Only variants, as the second one did.
    Variants,
}

impl Sends {
    /// The name of the phase.
    fn name(self) -> PhaseName {
        match self {
            Self::Both => PhaseName::Records(Resource::Products),
            Self::Items => PhaseName::Items,
            Self::Variants => PhaseName::Variants,
        }
    }
}

/// The phase that sends items and variants.
pub(super) struct Entries {
    pub(super) phase: Phase,
    pub(super) sends: Sends,
}

/// What mapping the products of a page needs.
struct Mapping {
    phase: Phase,
    sends: Sends,
    wanted: Wanted,
    categories: Nodes,
    /// How many of these were created, as long as no record has noted it.
    created: Cell<usize>,
    /// The variants that Klaviyo has of the items that it has, by the items' compound ids.
    known: HashMap<String, HashSet<String>>,
    elsewhere: Elsewhere,
    /// Whether the products are read for the first time.
    is_first_reading: bool,
    /// Whether what Klaviyo has of them is counted: once for each variant.
    counts_known: bool,
    /// Where the rest of the variants is read, if there is only a portion of them.
    rest: Option<IdRange>,
    is_dry_run: bool,
    /// Whether items that are missing when their variants are read are created: not for ever.
    waits_for_items: bool,
}

impl Mapping {
    fn map(&self, product: &Product<'_>, documents: &mut Documents) {
        let known = self.known.get(&compound_id(product.id()));
        let created = std::iter::repeat_n(Note::CategoryCreated, self.created.take());
        documents.notes_of_page.extend(created);
        let is_new = self.map_item(product, known.is_some(), documents);
        // a dry run creates no items: their variants are mapped as if it had
        let none = HashSet::new();
        let known = known.or(self.is_dry_run.then_some(&none));
        let follow = is_new && known.is_none();
        if self.sends == Sends::Items || follow {
            return;
        }
        if known.is_none() && self.let_item_be_created(product, documents) {
            return;
        }
        let in_klaviyo = InKlaviyo {
            of_item: known,
            elsewhere: &self.elsewhere,
        };
        documents.found = in_klaviyo.found(product);
        if !self.counts_known {
            documents.found.parts = 0;
        }
        // Klaviyo's variants of an item with very many are compared by themselves
        documents.found.has_obsolete |=
            product.is_portion() && self.is_first_reading && known.is_some();
        if self.wanted.variants_follow() && known.is_some() {
            documents.parts_follow = true;
            return;
        }
        self.map_variants(product, &in_klaviyo, documents);
        documents.rest = self.rest.clone().map(Box::new);
    }

    fn map_variants(
        &self,
        product: &Product<'_>,
        in_klaviyo: &InKlaviyo<'_>,
        documents: &mut Documents,
    ) {
        let is_wanted = |part: &str| self.wanted.variant(product.id(), part);
        let manner = Manner {
            endpoints: VARIANTS,
            are_counted: self.wanted.are_variants_counted(),
            now: self.phase.now,
            options: &self.phase.context.options,
        };
        variants::map(product, in_klaviyo, is_wanted, &manner, documents);
    }

    /// Maps the item, if it is wanted; returns whether it is, and new to Klaviyo.
    fn map_item(&self, product: &Product<'_>, is_there: bool, documents: &mut Documents) -> bool {
        if self.sends == Sends::Variants || !self.wanted.item(product.id()) {
            documents.record = RecordOutcome::Uncounted;
            return false;
        }
        let (endpoint, write) = write_of(is_there);
        if let Err(skip) = self.write_item(product, write, documents) {
            documents.bytes.clear();
            documents.record = RecordOutcome::Skipped(skip);
            return false;
        }
        if product.has_unread_prices() {
            documents.notes.push(Note::StandalonePricesUnread);
        }
        if product.has_unread_stock() {
            documents.notes.push(Note::StockUnread);
        }
        match (write, self.wanted.are_items_again()) {
            (Write::Create, true) if self.waits_for_items => {
                // it has gone with its variants, and is created when these are read
                documents.bytes.clear();
                documents.ahead.documents = 1;
                documents.parts_follow_anew = self.wanted.are_items_alone();
            }
            (Write::Create, true) => documents.push(ANEW, 0, None),
            _ => documents.push(endpoint, 0, None),
        }
        !is_there
    }

    fn write_item(
        &self,
        product: &Product<'_>,
        write: Write,
        documents: &mut Documents,
    ) -> Result<(), Skip> {
        let listing = Listing::of(product, self.phase.now, &self.phase.context.options)?;
        listing.item(&self.categories, write, &mut documents.bytes)?;
        Ok(())
    }

    /// Lets the item of variants be created that are wanted without it, and that Klaviyo does not have: somebody has deleted
    /// it, or it is not to be seen yet, and is updated then. Returns whether that is how it is.
    ///
    /// All its variants follow, as those that were sent before have gone with it, and the wanted ones count as sent. First that
    /// is saved, and only then the item created: if nobody heard of its creation, it would be found later, and its variants
    /// would not be missed.
    fn let_item_be_created(&self, product: &Product<'_>, documents: &mut Documents) -> bool {
        let is_wanted = is_wanted_by_variants(product, &self.wanted);
        if !self.waits_for_items || !is_wanted || self.wanted.item(product.id()) {
            return false;
        }
        if !self.wanted.are_variants_counted() {
            documents.ahead.parts = self.count_variants(product, documents);
            documents.parts_follow_anew = documents.ahead.parts > 0;
            documents.rest = self.rest.clone().map(Box::new);
            return true;
        }
        if self.write_item(product, Write::Create, documents).is_err() {
            documents.bytes.clear();
            return false;
        }
        documents.push(ANEW, 0, None);
        documents.record = RecordOutcome::Sent;
        documents.counted.records = 1;
        true
    }

    /// How many of the wanted variants would be sent if the item were there without any; those that are not are noted.
    fn count_variants(&self, product: &Product<'_>, documents: &mut Documents) -> u64 {
        let end = documents.bytes.len();
        let in_klaviyo = InKlaviyo {
            of_item: Some(&HashSet::new()),
            elsewhere: &self.elsewhere,
        };
        self.map_variants(product, &in_klaviyo, documents);
        let of_parts = documents.list.iter().filter(|one| one.part.is_some());
        let parts = of_parts.count() as u64;
        documents.take_parts_back(end);
        parts
    }
}

/// Whether the item is needed for variants that are wanted, or for itself where its variants follow it, also if it has none.
fn is_wanted_by_variants(product: &Product<'_>, wanted: &Wanted) -> bool {
    let follow = wanted.are_variants_counted() && wanted.is_named(product.id());
    follow || variants::is_any(product, wanted)
}

/// Looks up categories, and creates those that Klaviyo lacks, unless it `is_dry`. `anew` says whether such may be among them
/// that were there when they were looked up. Returns how many were created.
async fn categories(
    context: &Context,
    ids: HashSet<String>,
    (is_dry, anew): (bool, bool),
    deadline: Deadline,
) -> Result<(Nodes, usize), Error> {
    let categories = context
        .catalog
        .categories(ids.into_iter().collect(), deadline)
        .await?;
    let (client, missing) = (&context.klaviyo, &context.missing_categories);
    let created = match is_dry {
        true => 0,
        false => missing.create(client, &categories, anew, deadline).await?,
    };
    Ok((categories, created))
}

impl Import for Entries {
    fn bulk_endpoints(&self) -> &'static [&'static BulkEndpoint] {
        &ENDPOINTS
    }

    fn batches_a_group(&self) -> usize {
        JOBS_A_GROUP
    }

    fn phase(&self) -> Option<PhaseName> {
        Some(self.sends.name())
    }

    fn phase_position(&self) -> Option<(u64, u64)> {
        Some(match self.sends {
            Sends::Both => (0, 1),
            Sends::Items => (0, 2),
            Sends::Variants => (1, 2),
        })
    }

    fn ranges(&self, run: &RunDocument, configured: usize) -> Vec<IdRange> {
        Selection::ranges(run, configured)
    }

    fn next_phase(&self, run: &RunDocument) -> NextPhase {
        let phase = self.phase.clone();
        if self.sends == Sends::Items {
            let sends = Sends::Variants;
            return NextPhase::reading_all(Self { phase, sends });
        }
        let step = Step::Counting;
        Removals::new(phase, step).begin(run)
    }

    fn job_entries(&self, kind: &str) -> JobEntries {
        match ENDPOINTS.iter().position(|endpoint| endpoint.key == kind) {
            Some(0) if self.sends == Sends::Both => JobEntries::RecordsBeforeParts,
            Some(1) => JobEntries::RecordsBesideParts,
            Some(ANEW) => JobEntries::RecordsAnew,
            Some(VARIANTS..) => JobEntries::Parts,
            _ => JobEntries::Records,
        }
    }

    fn total(
        &self,
        options: &RunOptions,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<u64, Error>> {
        self.phase.total(options, deadline)
    }

    fn unread_notes(
        &self,
        options: &RunOptions,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Vec<(Note, u64)>, Error>> {
        let (client, options) = (self.phase.context.commercetools.clone(), options.clone());
        Box::pin(async move {
            if options.ids.is_some() || options.since.is_some() {
                return Ok(Vec::new());
            }
            let published = PRODUCTS.total(&client, &options, deadline);
            let all = ALL_PRODUCTS.total(&client, &options, deadline);
            let (published, all) = join(published, all).await;
            let published = published?;
            match all {
                Ok(all) if all <= published => Ok(Vec::new()),
                Ok(all) => Ok(vec![(Note::UnpublishedLeftAlone, all - published)]),
                // the token may have the scope for published products only
                Err(error) if error.status() == Some(403) => Ok(Vec::new()),
                Err(error) => Err(error),
            }
        })
    }

    fn fetch(
        &self,
        query: PageQuery,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Page, Error>> {
        let (phase, sends) = (self.phase.clone(), self.sends);
        Box::pin(async move {
            let wanted = Wanted::of(&query.range);
            let page = phase.read(&query, deadline).await?;
            // ids that do not exist are counted where their item is
            let counts_item = |id: &str| sends != Sends::Variants && wanted.item(id);
            let page = page.without_missing(counts_item);
            let categories_of = |is_meant: &dyn Fn(&Product<'_>) -> bool| {
                let products = page.products().filter(is_meant);
                let ids = products.flat_map(|product| product.category_ids());
                ids.collect::<HashSet<String>>()
            };
            let mapped = categories_of(&|product| counts_item(product.id()));
            let (skus, is_modular, extent) = (page.skus(), page.is_modular(), page.extent());
            let rest = page.rest();
            let context = &phase.context;
            let is_first_reading = query.range.is_first_reading();
            let may_wait = sends == Sends::Both && !query.options.dry_run;
            let waits_for_items = may_wait && query.range.attempt <= MAX_DECISIONS;
            // an item may have been rejected for a category that was there when it was looked up
            let manner = (query.options.dry_run, !is_first_reading);
            let known = async {
                let klaviyo = &context.klaviyo;
                let mut known = variants_of_items(klaviyo, &skus, extent, deadline).await?;
                let elsewhere =
                    Elsewhere::find(context, is_modular, &skus, &mut known, deadline).await?;
                Ok((known, elsewhere))
            };
            let found = categories(context, mapped, manner, deadline);
            let ((mut nodes, mut created), (known, elsewhere)) =
                futures_util::future::try_join(found, known).await?;
            // of items that are created although only their variants are wanted
            let missing = categories_of(&|product| {
                let is_there = known.contains_key(&compound_id(product.id()));
                let is_wanted = is_wanted_by_variants(product, &wanted);
                !is_there && !counts_item(product.id()) && is_wanted
            });
            if !missing.is_empty() && waits_for_items && wanted.are_variants_counted() {
                let (more, too) = categories(context, missing, manner, deadline).await?;
                nodes.add(more);
                created += too;
            }
            let mapping = Mapping {
                phase,
                sends,
                wanted,
                categories: nodes,
                created: Cell::new(created),
                known,
                elsewhere,
                is_first_reading,
                counts_known: is_first_reading || query.range.is_rest(),
                rest,
                is_dry_run: query.options.dry_run,
                waits_for_items,
            };
            Ok(page.into_page(move |product, documents| {
                mapping.map(product, documents);
                Ok(product.id().to_owned())
            }))
        })
    }

    fn may_send_records_first(&self) -> bool {
        self.sends == Sends::Both
    }

    fn lists_jobs(&self) -> bool {
        true
    }

    fn jobs(&self, kind: &str) -> Option<Box<dyn Jobs>> {
        let collection = match self.job_entries(kind) {
            JobEntries::Parts => CatalogCollection::Variants,
            _ => CatalogCollection::Items,
        };
        Some(self.phase.jobs(&ENDPOINTS, collection))
    }

    /// Categories that Klaviyo lacks are created while a page is fetched.
    fn fetching_only_reads(&self) -> bool {
        false
    }
}
