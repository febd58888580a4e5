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
mod phases;
mod pruning;
mod ranges;
mod rate_limits;
mod recordings;
mod records;
mod refunds;
mod removals;
mod run_documents;
mod shared_customers;
mod shops;
mod store;
mod unpublished;
