//! What one page of each resource means: which query, which mapping, which Klaviyo calls.

pub mod catalogue;
pub mod customers;
pub mod orders;
pub mod page;

use std::rc::Rc;

use serde_json::value::RawValue;

use crate::error::Error;
use crate::klaviyo::batch::Lane;
use crate::mapping::Skip;
use crate::ports::{Deadline, LocalFuture};
use crate::run::cursor::{IdRange, Job};
use crate::run::group::{Documents, Mended};
use crate::run::state::{Order, Resource};
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

/// What a job's answer says.
#[derive(Debug)]
pub enum JobAnswer {
    /// It is still under way.
    NotYet,
    /// It is finished, or a page of its errors has been read.
    Read {
        /// Records that it did not take: id, where it is known, and reason.
        refused: Vec<(Option<String>, String)>,
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

    /// How many records the run has to read; checks in passing that they may be read at all.
    fn total(&self, order: &Order, deadline: Deadline) -> LocalFuture<'static, Result<u64, Error>>;

    /// Reads a page and everything that mapping its records needs.
    fn fetch(&self, query: PageQuery, deadline: Deadline) -> LocalFuture<'static, Result<Page, Error>>;

    /// Asks for a job.
    fn ask(&self, job: Job, deadline: Deadline) -> LocalFuture<'static, Result<JobAnswer, Error>>;
}

/// Maps one record of a page: gives its id and its documents, or the reason why it is not sent.
pub type Mapper = Box<dyn Fn(&RawValue, &mut Documents) -> Result<String, Skip>>;

/// The import of a resource.
#[must_use]
pub fn import(resource: Resource, app: &crate::api::App, order: &Rc<Order>) -> Option<Rc<dyn Import>> {
    match resource {
        Resource::Customers => Some(Rc::new(customers::Customers::new(app))),
        Resource::Orders => Some(Rc::new(orders::Orders::new(app, order))),
        Resource::Categories | Resource::Products => None,
    }
}
