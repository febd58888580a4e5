//! What one page of each resource means: which query, which mapping, which Klaviyo calls.

pub mod catalogue;
pub mod categories;
pub mod customers;
pub mod deletion;
mod entries;
pub mod orders;
pub mod page;
pub mod products;

use std::rc::Rc;

use crate::api::App;
use crate::error::Error;
use crate::klaviyo::batch::Lane;
use crate::klaviyo::catalog::Collection;
use crate::mapping::Skip;
use crate::mapping::json::Part;
use crate::ports::{Deadline, LocalFuture};
use crate::run::cursor::{IdRange, Job};
use crate::run::group::{Documents, Mended};
use crate::run::state::{Order, Resource, RunDocument};
use deletion::Deletion;
use page::Page;

/// Which page is wanted.
#[derive(Debug, Clone)]
pub struct PageQuery {
    /// What is left of the range.
    pub range: IdRange,
    /// What the run was started for.
    pub order: Rc<Order>,
    /// Records, at most.
    pub limit: usize,
    /// Bytes of the answer, at most.
    pub max_bytes: usize,
}

/// Records that Klaviyo did not take: id, or name in the cursor, where it is known, and reason.
pub type Refused = Vec<(Option<String>, String)>;

/// What a job's answer says.
#[derive(Debug)]
pub enum JobAnswer {
    /// It is still under way.
    NotYet,
    /// It is finished.
    Done {
        /// Entries that it did not take.
        refused: Refused,
        /// Entries that are to be read and sent another time, by their name in the cursor, and why it did not take them.
        again: Vec<(String, String)>,
        /// How many entries it did not take that a later phase comes upon again, so that they are not counted yet.
        left: u64,
    },
    /// It is finished, or a page of its errors has been read.
    Read {
        /// Records that it did not take.
        refused: Refused,
        /// Documents to send again in another form.
        mended: Vec<Mended>,
        /// Where to go on reading its errors.
        errors_at: Option<String>,
    },
    /// It ended before it was finished: its records are read and sent again.
    Cancelled,
    /// Klaviyo knows it no more.
    Unknown,
}

/// How one resource is imported. The window drives it and knows nothing of what it imports.
pub trait Import {
    /// Where documents go.
    fn lanes(&self) -> &'static [&'static Lane];

    /// Batches that are committed together. One where a job has to be traced back to its records.
    fn batches_a_group(&self) -> usize;

    /// What the cursor calls the phase; `None` where the import has one only.
    fn phase(&self) -> Option<String> {
        None
    }

    /// Which of its phases the run is in, counted from 0, and how many it has; `None` where that shows only on the way.
    fn place(&self) -> Option<(u64, u64)> {
        Some((0, 1))
    }

    /// What comes when this phase is over: everything read, and Klaviyo's jobs finished.
    fn next_phase(&self) -> Option<Rc<dyn Import>> {
        None
    }

    /// Whether this phase counts variants, which are counted apart.
    fn counts_variants(&self) -> bool {
        false
    }

    /// How many records the run has to read; checks in passing that they may be read at all.
    fn total(&self, order: &Order, deadline: Deadline) -> LocalFuture<'static, Result<u64, Error>>;

    /// What is to be said of records that the run does not read, by name: notes of its counts.
    fn left_alone(
        &self,
        _order: &Order,
        _deadline: Deadline,
    ) -> LocalFuture<'static, Result<Vec<(String, u64)>, Error>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Reads a page and everything that mapping its records needs.
    fn fetch(
        &self,
        query: PageQuery,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Page, Error>>;

    /// Asks for a job.
    fn ask(&self, job: Job, deadline: Deadline) -> LocalFuture<'static, Result<JobAnswer, Error>>;
}

/// Maps one record of a page: gives its id and its documents, or the reason why it is not sent.
pub type Mapper = Box<dyn Fn(Part<'_>, &mut Documents) -> Result<String, Skip>>;

/// What a run does, in the phase that it is in.
#[must_use]
pub fn import(app: &App, run: &RunDocument) -> Rc<dyn Import> {
    match run.resource {
        Resource::Categories if run.order.delete_all => {
            Rc::new(Deletion::new(app, Collection::Categories, run))
        }
        Resource::Products if run.order.delete_all => {
            Rc::new(Deletion::new(app, Collection::Items, run))
        }
        Resource::Customers => Rc::new(customers::Customers::new(app)),
        Resource::Orders => Rc::new(orders::Orders::new(app, &run.order)),
        Resource::Categories => Rc::new(categories::Categories::new(app)),
        Resource::Products => products::products(app, run),
    }
}
