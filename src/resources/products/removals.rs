//! The last phases: variants that Klaviyo lists under an item and commercetools no longer has are counted, and then
//! deleted.
//!
//! Both compare again: what has moved to its new item by then is not obsolete any more. Between them stands the
//! [guard](crate::run::state::Removal::may_begin).

use super::elsewhere::Elsewhere;
use super::phase::Phase;
use super::reading::ProductPage;
use super::surplus::Surplus;
use super::variants::push_deletion;
use super::wanted::Wanted;
use crate::error::Error;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::catalog::DELETE_VARIANTS;
use crate::klaviyo::catalog::listing::{CatalogCollection, Extent, variants_of_items};
use crate::mapping::product::{compound_id, external_id};
use crate::ports::LocalFuture;
use crate::resources::catalog_jobs::JOBS_A_GROUP;
use crate::resources::changes::Selection;
use crate::run::documents::{Documents, RecordOutcome};
use crate::run::import::{Import, JobEntries, Jobs, NextPhase};
use crate::run::page::{Page, PageQuery};
use crate::run::state::{IdRange, Note, PhaseName, RunDocument, RunOptions};
use crate::time::Deadline;

static ENDPOINTS: [&BulkEndpoint; 1] = [&DELETE_VARIANTS];

/// What is done about obsolete variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// They are counted.
    Counting,
    /// They are deleted.
    Deleting,
}

impl Step {
    /// The name of the phase.
    fn name(self) -> PhaseName {
        match self {
            Self::Counting => PhaseName::Removals,
            Self::Deleting => PhaseName::Deletions,
        }
    }
}

/// A phase that removes.
#[derive(Clone)]
pub(super) struct Removals {
    pub(super) phase: Phase,
    pub(super) step: Step,
}

impl Removals {
    pub(super) fn new(phase: Phase, step: Step) -> Self {
        Self { phase, step }
    }

    /// The phase, as the one that follows; none if there is nothing to remove.
    pub(super) fn begin(self, run: &RunDocument) -> NextPhase {
        match run.removal.as_ref().filter(|removal| removal.is_due()) {
            None => self.phase.after_variants(run),
            Some(removal) => NextPhase::Begin {
                import: std::rc::Rc::new(self),
                records: removal.records_to_read(),
            },
        }
    }

    /// Maps the variants of a product that are obsolete, by compound id.
    fn map(
        &self,
        product: &str,
        obsolete: Vec<&str>,
        elsewhere: &Elsewhere,
        wanted: &Wanted,
        documents: &mut Documents,
    ) {
        documents.record = RecordOutcome::Uncounted;
        for id in obsolete {
            let part = external_id(id);
            // another product's import moves it
            let has_moved = elsewhere.is_of_another(product, part);
            if has_moved || !wanted.variant(product, part) {
                continue;
            }
            match self.step {
                Step::Counting => documents.found.removals += 1,
                Step::Deleting => {
                    push_deletion(0, id, part.to_owned(), documents);
                    documents.note_part(Note::ObsoleteVariantDeleted);
                }
            }
        }
    }

    /// Reads products with what Klaviyo has of them.
    async fn compare(self, query: PageQuery, deadline: Deadline) -> Result<Page, Error> {
        if query.range.parts_after.is_some() {
            let page = self.phase.read_bare(&query, deadline).await?;
            return self.compare_one(page, &query, deadline).await;
        }
        let context = &self.phase.context;
        let page = self.phase.read(&query, deadline).await?;
        if page.extent() == Extent::Wanted {
            return self.compare_one(page, &query, deadline).await;
        }
        let page = page.without_missing(|_| false);
        let (skus, is_modular) = (page.skus(), page.is_modular());
        let known = variants_of_items(&context.klaviyo, &skus, Extent::All, deadline).await?;
        let elsewhere =
            Elsewhere::of_obsolete(context, is_modular, &skus, &known, deadline).await?;
        let wanted = Wanted::of(&query.range);
        Ok(page.into_page(move |product, documents| {
            let known = known.get(&compound_id(product.id())).into_iter().flatten();
            let obsolete = product.obsolete(known.map(String::as_str));
            self.map(product.id(), obsolete, &elsewhere, &wanted, documents);
            Ok(product.id().to_owned())
        }))
    }

    /// Reads a part of what Klaviyo has of a page's only product, which has very many variants.
    async fn compare_one(
        self,
        page: ProductPage,
        query: &PageQuery,
        deadline: Deadline,
    ) -> Result<Page, Error> {
        let page = page.without_missing(|_| false);
        let wanted = Wanted::of(&query.range);
        let range = &query.range;
        let id = page
            .products()
            .next()
            .map(|product| product.id().to_owned());
        let (surplus, rest) = match id {
            Some(id) => {
                let path = range.parts_after.as_deref();
                let surplus = Surplus::find(&self.phase.context, &id, path, deadline).await?;
                let next = surplus.next.clone();
                let rest = next.map(|next| range.rest_of(&id, wanted.is_named(&id), next));
                (Some(surplus), rest)
            }
            None => (None, None),
        };
        Ok(page.into_page(move |product, documents| {
            if let Some(surplus) = &surplus {
                let obsolete = surplus.obsolete.iter().map(String::as_str).collect();
                self.map(
                    product.id(),
                    obsolete,
                    &surplus.elsewhere,
                    &wanted,
                    documents,
                );
                documents.rest = rest.clone().map(Box::new);
            }
            Ok(product.id().to_owned())
        }))
    }
}

impl Import for Removals {
    fn bulk_endpoints(&self) -> &'static [&'static BulkEndpoint] {
        &ENDPOINTS
    }

    fn batches_a_group(&self) -> usize {
        JOBS_A_GROUP
    }

    fn phase(&self) -> Option<PhaseName> {
        Some(self.step.name())
    }

    /// Everything else is done by then.
    fn phase_position(&self) -> Option<(u64, u64)> {
        Some((0, 1))
    }

    fn ranges(&self, run: &RunDocument, configured: usize) -> Vec<IdRange> {
        Selection::ranges(run, configured)
    }

    fn next_phase(&self, run: &RunDocument) -> NextPhase {
        let removal = run.removal.clone().unwrap_or_default();
        let count = removal.count;
        let is_over = self.step == Step::Deleting || count == 0 || run.options.dry_run;
        if is_over {
            return self.phase.after_variants(run);
        }
        if !removal.may_begin() {
            let records = removal.records_to_read();
            return NextPhase::Unconfirmed { records };
        }
        let (phase, step) = (self.phase.clone(), Step::Deleting);
        Self { phase, step }.begin(run)
    }

    fn job_entries(&self, _kind: &str) -> JobEntries {
        JobEntries::Parts
    }

    fn total(
        &self,
        options: &RunOptions,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<u64, Error>> {
        self.phase.total(options, deadline)
    }

    fn fetch(
        &self,
        query: PageQuery,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Page, Error>> {
        Box::pin(self.clone().compare(query, deadline))
    }

    fn note_of(&self, _kind: &str) -> Option<Note> {
        Some(Note::ObsoleteVariantDeleted)
    }

    fn lists_jobs(&self) -> bool {
        true
    }

    fn jobs(&self, _kind: &str) -> Option<Box<dyn Jobs>> {
        Some(self.phase.jobs(&ENDPOINTS, CatalogCollection::Variants))
    }
}
