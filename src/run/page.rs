//! Pages: which one is requested, and what it contains.

use std::collections::VecDeque;
use std::rc::Rc;

use super::documents::Documents;
use super::state::{IdRange, RunOptions};
use crate::json::{Json, Part};
use crate::mapping::Skip;

/// The page that is requested.
#[derive(Debug, Clone)]
pub struct PageQuery {
    /// What is left of the range.
    pub range: IdRange,
    /// What the run was started with.
    pub options: Rc<RunOptions>,
    /// The most records.
    pub limit: usize,
    /// The most records of any page because larger ones took too long; absent if none did.
    pub page_cap: Option<usize>,
    /// The largest response, in bytes.
    pub max_bytes: usize,
}

/// A record of a page.
#[derive(Debug, Clone)]
pub enum Record {
    /// As commercetools has it.
    Present(Json),
    /// Requested by its id, and does not exist.
    Missing(String),
}

impl Record {
    /// Bytes that it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Present(record) => record.get().len(),
            Self::Missing(id) => id.len(),
        }
    }
}

/// Maps one record of a page: returns its id and adds its documents, or returns the reason why it is not sent.
pub type Mapper = Box<dyn Fn(Part<'_>, &mut Documents) -> Result<String, Skip>>;

/// One page of one range.
pub struct Page {
    /// The records that are not mapped yet, in id order.
    pub records: VecDeque<Record>,
    /// Whether each record's id says how far its range is read when it is done. Else only the page as a whole does.
    pub by_id: bool,
    /// How far its range is read with this page: the last id of it; `None` where it has nothing.
    pub last: Option<String>,
    /// Whether the range ends with this page.
    pub is_last: bool,
    /// Bytes that the page holds in memory.
    pub bytes: usize,
    /// How many records the page had.
    pub len: usize,
    /// Maps its records.
    pub mapper: Mapper,
}
