//! Imports categories as catalog categories, created or updated by id and named by their whole path.

use std::collections::HashSet;
use std::rc::Rc;

use super::catalog_jobs::{CatalogJobs, JOBS_A_GROUP, write_of};
use super::changes::{FindChanges, Selection};
use super::collection::Collection;
use super::context::Context;
use crate::error::Error;
use crate::json::Part;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::catalog::listing::{CatalogCollection, existing};
use crate::klaviyo::catalog::{CREATE_CATEGORIES, UPDATE_CATEGORIES};
use crate::mapping::category::Category;
use crate::mapping::product::compound_id;
use crate::ports::LocalFuture;
use crate::resources::withdrawal::Withdrawal;
use crate::run::import::{Import, Jobs, NextPhase};
use crate::run::page::{Page, PageQuery};
use crate::run::state::{IdRange, PhaseName, Resource, RunDocument, RunOptions};
use crate::time::Deadline;

static ENDPOINTS: [&BulkEndpoint; 2] = [&CREATE_CATEGORIES, &UPDATE_CATEGORIES];

const CATEGORIES: Collection = Collection {
    operation: "query categories",
    path: "categories",
    parameters: &[],
};

/// The phase that creates and updates.
struct Categories {
    context: Context,
    /// Which categories are read.
    selection: Selection,
    /// Whether the run has more phases than this one before its removals.
    is_of_changes: bool,
}

/// The import of categories, in the phase that the run is in.
#[must_use]
pub fn categories(context: &Context, run: &RunDocument) -> Rc<dyn Import> {
    if let Some(phase) = Withdrawal::of_run(context, run) {
        return Rc::new(phase);
    }
    match FindChanges::of_run(context, run, categories) {
        Some(phase) => Rc::new(phase),
        None => Rc::new(Categories {
            context: context.clone(),
            selection: Selection::of(run),
            is_of_changes: run.options.since.is_some(),
        }),
    }
}

impl Import for Categories {
    fn bulk_endpoints(&self) -> &'static [&'static BulkEndpoint] {
        &ENDPOINTS
    }

    fn batches_a_group(&self) -> usize {
        JOBS_A_GROUP
    }

    fn phase(&self) -> Option<PhaseName> {
        let name = PhaseName::Records(Resource::Categories);
        self.is_of_changes.then_some(name)
    }

    fn ranges(&self, run: &RunDocument, configured: usize) -> Vec<IdRange> {
        Selection::ranges(run, configured)
    }

    fn next_phase(&self, run: &RunDocument) -> NextPhase {
        Withdrawal::after_import(&self.context, run)
    }

    fn total(
        &self,
        options: &RunOptions,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<u64, Error>> {
        CATEGORIES.total(&self.context.commercetools, options, deadline)
    }

    fn fetch(
        &self,
        query: PageQuery,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Page, Error>> {
        let Context {
            commercetools,
            klaviyo,
            catalog,
            options,
            ..
        } = self.context.clone();
        let selection = self.selection.clone();
        catalog.lookups().note_page_cap(query.page_cap);
        Box::pin(async move {
            let mut records = selection
                .read(&commercetools, &CATEGORIES, &query, deadline)
                .await?;
            records.retain(&query.range.digests);
            let (ids, ancestors) = {
                let categories: Vec<Category<'_>> = records
                    .present()
                    .filter_map(|record| Category::read(record).ok())
                    .collect();
                catalog.note(&categories);
                let ids: Vec<String> = categories
                    .iter()
                    .map(|category| category.id().to_owned())
                    .collect();
                let ancestors: HashSet<&str> =
                    categories.iter().flat_map(Category::ancestors).collect();
                (ids, ancestors.into_iter().map(str::to_owned).collect())
            };
            let names = catalog.categories(ancestors, deadline);
            let known = existing(&klaviyo, CatalogCollection::Categories, &ids, deadline);
            let (names, known) = futures_util::future::try_join(names, known).await?;
            Ok(
                records.into_page(Box::new(move |record: Part<'_>, documents| {
                    let category = Category::read(record)?;
                    let (endpoint, write) = write_of(known.contains(&compound_id(category.id())));
                    let entry = category.entry(&names, write, &options, &mut documents.bytes)?;
                    documents.push(endpoint, 0, None);
                    Ok(entry.id)
                })),
            )
        })
    }

    fn lists_jobs(&self) -> bool {
        true
    }

    fn jobs(&self, _kind: &str) -> Option<Box<dyn Jobs>> {
        Some(Box::new(CatalogJobs {
            client: self.context.klaviyo.clone(),
            endpoints: &ENDPOINTS,
            collection: CatalogCollection::Categories,
        }))
    }
}
