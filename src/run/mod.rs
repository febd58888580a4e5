//! The import as a state machine: the run document and what moves it.
//!
//! - [`state`]: the document: lock, cursor, progress and report at once.
//! - [`cursor`]: how far a run is: id ranges and jobs.
//! - [`names`]: what the cursor calls catalogue entries.
//! - [`store`]: reads and writes it with compare-and-set.
//! - [`lease`]: which invocation works, and until when.
//! - [`group`]: what is sent together, and what is known once it has been acknowledged.
//! - [`reader`]: which page of which range comes next.
//! - [`window`]: the bounded loop.
//! - [`report`]: what stays of a run, and how fast it is.
//! - [`sample`]: what a dry run shows.
//! - [`launch`]: how a run begins.
//! - [`plan`]: imports of several resources, in the right order.
//! - [`chain`]: from one window to the next.

pub mod chain;
pub mod cursor;
pub mod group;
pub mod launch;
pub mod lease;
pub mod names;
pub mod plan;
pub mod reader;
pub mod report;
pub mod sample;
pub mod state;
pub mod store;
pub mod window;
