//! Makes the import that a run needs.

use std::rc::Rc;

use super::context::Context;
use super::{categories, customers, deletion, orders, products};
use crate::error::Error;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::catalog::listing::CatalogCollection;
use crate::klaviyo::catalog::{CATEGORY_JOBS, PRODUCT_JOBS};
use crate::klaviyo::job::are_in_progress;
use crate::ports::LocalFuture;
use crate::run::import::{Import, ImportFactory};
use crate::run::state::{Resource, RunDocument};
use crate::time::Deadline;

/// The kinds of jobs that runs of a resource submit and that change what others see: those of the catalog.
fn job_kinds(resource: Resource) -> &'static [&'static BulkEndpoint] {
    match resource {
        Resource::Customers | Resource::Orders => &[],
        Resource::Categories => &CATEGORY_JOBS,
        Resource::Products => &PRODUCT_JOBS,
    }
}

impl ImportFactory for Context {
    fn import(&self, run: &RunDocument) -> Rc<dyn Import> {
        match run.resource {
            Resource::Categories if run.options.delete_all => Rc::new(deletion::Deletion::new(
                self,
                CatalogCollection::Categories,
                run,
            )),
            Resource::Products if run.options.delete_all => {
                Rc::new(deletion::Deletion::new(self, CatalogCollection::Items, run))
            }
            Resource::Customers => Rc::new(customers::Customers::new(self)),
            Resource::Orders => orders::orders(self, run),
            Resource::Categories => categories::categories(self, run),
            Resource::Products => products::products(self, run),
        }
    }

    fn has_jobs(
        &self,
        resource: Resource,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<bool, Error>> {
        let client = self.klaviyo.clone();
        Box::pin(async move { are_in_progress(&client, job_kinds(resource), 1, deadline).await })
    }
}
