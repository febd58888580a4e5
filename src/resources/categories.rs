//! Categories as catalog categories: created or updated by id, named by their whole path.

use std::collections::HashSet;
use std::rc::Rc;

use super::catalogue::Catalogue;
use super::page::{Collection, Page};
use super::{Import, JobAnswer, PageQuery, entries};
use crate::api::App;
use crate::commercetools;
use crate::error::Error;
use crate::klaviyo;
use crate::klaviyo::batch::Lane;
use crate::klaviyo::catalog::{self, CREATE_CATEGORIES, UPDATE_CATEGORIES};
use crate::mapping;
use crate::mapping::category::Category;
use crate::mapping::json::Part;
use crate::mapping::product::{Write, compound_id};
use crate::ports::{Deadline, LocalFuture};
use crate::run::cursor::Job;
use crate::run::state::Order;

static LANES: [&Lane; 2] = [&CREATE_CATEGORIES, &UPDATE_CATEGORIES];

/// Jobs that are written down together: large enough that a group that closes leaves little room unused in its last
/// jobs, small enough that little is sent again after a crash.
pub(super) const JOBS_A_GROUP: usize = 8;

const CATEGORIES: Collection = Collection {
    operation: "query categories",
    path: "categories",
    parameters: &[],
};

/// The lane of a write, where creating comes first and updating second.
pub(super) fn write_of(is_there: bool) -> (usize, Write) {
    if is_there {
        (1, Write::Update)
    } else {
        (0, Write::Create)
    }
}

/// The import of categories.
pub struct Categories {
    commercetools: Rc<commercetools::Client>,
    klaviyo: Rc<klaviyo::Client>,
    catalogue: Rc<Catalogue>,
    options: Rc<mapping::Options>,
}

impl Categories {
    /// With the clients and options of the app.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self {
            commercetools: app.commercetools.clone(),
            klaviyo: app.klaviyo.clone(),
            catalogue: app.catalogue.clone(),
            options: app.options.clone(),
        }
    }
}

impl Import for Categories {
    fn lanes(&self) -> &'static [&'static Lane] {
        &LANES
    }

    fn batches_a_group(&self) -> usize {
        JOBS_A_GROUP
    }

    fn total(&self, order: &Order, deadline: Deadline) -> LocalFuture<'static, Result<u64, Error>> {
        let (client, order) = (self.commercetools.clone(), order.clone());
        Box::pin(async move { CATEGORIES.total(&client, &order, deadline).await })
    }

    fn fetch(
        &self,
        query: PageQuery,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Page, Error>> {
        let (client, klaviyo) = (self.commercetools.clone(), self.klaviyo.clone());
        let (catalogue, options) = (self.catalogue.clone(), self.options.clone());
        Box::pin(async move {
            let records = CATEGORIES.read(&client, &query, deadline).await?;
            let (ids, ancestors) = {
                let categories: Vec<Category<'_>> = records
                    .present()
                    .filter_map(|record| Category::read(record).ok())
                    .collect();
                catalogue.note(&categories);
                let ids: Vec<String> = categories
                    .iter()
                    .map(|category| category.id().to_owned())
                    .collect();
                let ancestors: HashSet<&str> =
                    categories.iter().flat_map(Category::ancestors).collect();
                (ids, ancestors.into_iter().map(str::to_owned).collect())
            };
            let names = catalogue.categories(ancestors, deadline);
            let existing =
                catalog::existing(&klaviyo, catalog::Collection::Categories, &ids, deadline);
            let (names, existing) = futures_util::future::try_join(names, existing).await?;
            Ok(
                records.into_page(Box::new(move |record: Part<'_>, documents| {
                    let category = Category::read(record)?;
                    let (lane, write) = write_of(existing.contains(&compound_id(category.id())));
                    let entry = category.entry(&names, write, &options, &mut documents.bytes)?;
                    documents.push(lane, 0, None);
                    Ok(entry.id)
                })),
            )
        })
    }

    fn ask(&self, job: Job, deadline: Deadline) -> LocalFuture<'static, Result<JobAnswer, Error>> {
        let client = self.klaviyo.clone();
        Box::pin(async move { entries::ask(&client, &LANES, job, deadline).await })
    }
}
