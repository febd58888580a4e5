//! Makes the import that a run needs.

use std::rc::Rc;

use super::context::Context;
use super::{categories, customers, deletion, orders, products};
use crate::klaviyo::catalog::listing::CatalogCollection;
use crate::run::import::{Import, ImportFactory};
use crate::run::state::{Resource, RunDocument};

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
            Resource::Orders => Rc::new(orders::Orders::new(self, &run.options)),
            Resource::Categories => categories::categories(self, run),
            Resource::Products => products::products(self, run),
        }
    }
}
