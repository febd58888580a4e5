//! The last phases: variants that Klaviyo lists under an item and commercetools no longer has are counted, and then
//! deleted.
//!
//! Both compare again: what has moved to its new item by then is not obsolete any more. Between them stands the
//! [guard](crate::run::state::Removal::may_begin).

use std::collections::HashSet;

use super::elsewhere::Elsewhere;
use super::phase::Phase;
use super::reading::ProductPage;
use super::variants::push_deletion;
use super::wanted::Wanted;
use crate::error::Error;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::catalog::DELETE_VARIANTS;
use crate::klaviyo::catalog::listing::{CatalogCollection, variants_of_items};
use crate::klaviyo::job::Look;
use crate::mapping::product::{Product, compound_id, external_id};
use crate::ports::LocalFuture;
use crate::resources::catalog_jobs::JOBS_A_GROUP;
use crate::run::documents::{Documents, RecordOutcome};
use crate::run::import::{Finished, Import, JobAnswer, JobEntries, NextPhase};
use crate::run::page::{Page, PageQuery};
use crate::run::state::{Job, Note, RunDocument, RunOptions};
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
    pub(super) const ALL: [Self; 2] = [Self::Counting, Self::Deleting];

    /// The name of the phase in the cursor.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Counting => "removals",
            Self::Deleting => "deletions",
        }
    }
}

/// A phase that removes.
pub(super) struct Removals {
    pub(super) phase: Phase,
    pub(super) step: Step,
}

impl Removals {
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

    fn map(
        step: Step,
        product: &Product<'_>,
        known: Option<&HashSet<String>>,
        elsewhere: &Elsewhere,
        wanted: &Wanted,
        documents: &mut Documents,
    ) {
        documents.record = RecordOutcome::Uncounted;
        for id in product.obsolete(known.into_iter().flatten().map(String::as_str)) {
            let part = external_id(id);
            // another product's import moves it
            let has_moved = elsewhere.is_of_another(product.id(), part);
            if has_moved || !wanted.variant(product.id(), part) {
                continue;
            }
            match step {
                Step::Counting => documents.found.removals += 1,
                Step::Deleting => {
                    push_deletion(0, id, part.to_owned(), documents);
                    documents.part_notes.push(Note::ObsoleteVariantDeleted);
                }
            }
        }
    }
}

impl Import for Removals {
    fn bulk_endpoints(&self) -> &'static [&'static BulkEndpoint] {
        &ENDPOINTS
    }

    fn batches_a_group(&self) -> usize {
        JOBS_A_GROUP
    }

    fn phase(&self) -> Option<String> {
        Some(self.step.name().to_owned())
    }

    /// Everything else is done by then.
    fn phase_position(&self) -> Option<(u64, u64)> {
        Some((0, 1))
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
        let (phase, step) = (self.phase.clone(), self.step);
        Box::pin(async move {
            let context = &phase.context;
            let wanted = Wanted::of(&query.range);
            let page = ProductPage::read(context, &query, phase.now, deadline).await?;
            let page = page.without_missing(|_| false);
            let (skus, is_modular) = (page.skus(), page.is_modular);
            let known = variants_of_items(&context.klaviyo, &skus, deadline).await?;
            let elsewhere =
                Elsewhere::of_obsolete(context, is_modular, &skus, &known, deadline).await?;
            Ok(page.into_page(move |product, documents| {
                let known = known.get(&compound_id(product.id()));
                Self::map(step, product, known, &elsewhere, &wanted, documents);
                Ok(product.id().to_owned())
            }))
        })
    }

    fn lists_jobs(&self) -> bool {
        true
    }

    fn look_for_jobs(
        &self,
        jobs: Vec<Job>,
        look: Look,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Finished, Error>> {
        let collection = CatalogCollection::Variants;
        self.phase
            .look(&ENDPOINTS, collection, jobs, look, deadline)
    }

    fn poll_job(
        &self,
        job: Job,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<JobAnswer, Error>> {
        let collection = CatalogCollection::Variants;
        self.phase.poll(&ENDPOINTS, collection, job, deadline)
    }
}
