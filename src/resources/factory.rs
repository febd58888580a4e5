//! Makes the import that a run needs.

use std::rc::Rc;

use futures_util::future::try_join_all;

use super::context::Context;
use super::{categories, customers, deletion, orders, products};
use crate::error::Error;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::catalog::listing::CatalogCollection;
use crate::klaviyo::catalog::{
    CREATE_CATEGORIES, CREATE_ITEMS, CREATE_VARIANTS, DELETE_CATEGORIES, DELETE_ITEMS,
    DELETE_VARIANTS, UPDATE_CATEGORIES, UPDATE_ITEMS, UPDATE_VARIANTS,
};
use crate::klaviyo::job::are_in_progress;
use crate::ports::LocalFuture;
use crate::run::import::{Import, ImportFactory};
use crate::run::state::{Resource, RunDocument};
use crate::time::Deadline;

/// The kinds of jobs that runs of a resource submit and that change what others see: those of the catalog.
fn job_kinds(resource: Resource) -> Vec<&'static BulkEndpoint> {
    match resource {
        Resource::Customers | Resource::Orders => vec![],
        Resource::Categories => vec![&CREATE_CATEGORIES, &UPDATE_CATEGORIES, &DELETE_CATEGORIES],
        Resource::Products => vec![
            &CREATE_ITEMS,
            &UPDATE_ITEMS,
            &DELETE_ITEMS,
            &CREATE_VARIANTS,
            &UPDATE_VARIANTS,
            &DELETE_VARIANTS,
        ],
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
        Box::pin(async move {
            let kinds = job_kinds(resource).into_iter();
            let found = kinds.map(|kind| are_in_progress(&client, kind, 1, deadline));
            let found = try_join_all(found).await?;
            Ok(found.contains(&true))
        })
    }
}
