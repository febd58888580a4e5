//! The import as a state machine: the run document and what moves it.
//!
//! What is stored:
//! - [`state`]: the document: lock, cursor, progress and report at once.
//! - [`store`]: reads and writes it with compare-and-set.
//! - [`plan`]: imports of several resources, in the right order.
//!
//! What a resource provides:
//! - [`import`]: the trait that each resource implements.
//! - [`page`], [`documents`]: what is read, and what it becomes.
//!
//! What happens:
//! - [`start`]: how a run begins.
//! - [`chain`]: from one window to the next; [`self_call`] is how.
//! - [`window`]: the bounded loop.
//! - [`stop`]: how runs and plans are stopped.
//!
//! - [`destination`]: whose Klaviyo account a document names.
//!
//! And [`engine`], what all of it needs; [`identity`], names; [`log`], log lines.

pub mod chain;
pub mod destination;
pub mod documents;
pub mod engine;
pub mod identity;
pub mod import;
pub mod log;
pub mod page;
pub mod plan;
pub mod self_call;
pub mod start;
pub mod state;
pub mod stop;
pub mod store;
pub mod window;
