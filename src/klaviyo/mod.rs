//! The Klaviyo client: headers, rate limits, batches packed by count and bytes, jobs.

pub mod batch;
pub mod catalog;
pub mod client;
pub mod events;
pub mod profiles;
pub mod rate;

pub use client::Client;

/// The revision of the API that every request names.
pub const REVISION: &str = "2026-07-15";
/// "Maximum payload size: 5MB" of the bulk endpoints, decimal, whole requests.
pub const MAX_REQUEST_BYTES: usize = 5_000_000;
