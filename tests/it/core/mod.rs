//! The native core: for tests that run it hundreds of times, or look inside.

mod batches;
mod catalog;
mod decided_again;
mod deletion;
mod error_table;
mod events;
mod failed_records;
mod identifiers;
mod job_waits;
mod order_products;
mod outages;
mod ranges;
mod rate_limits;
mod recordings;
mod records;
mod run_documents;
mod shops;
mod store;
