//! The native core: for tests that run it hundreds of times, or look inside.

mod batches;
mod catalogue;
mod deletion;
mod error_table;
mod events;
mod ranges;
mod run_documents;
mod store;
