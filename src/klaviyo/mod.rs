//! The Klaviyo client: headers, rate limits, batches packed by count and bytes, jobs.
//!
//! - [`client`]: one call: its headers, its place in the rate limit, its retries.
//! - [`rate`]: what is known of an endpoint's limits.
//! - `answer`: errors that the API answers with.
//! - [`bulk`], [`batch`], [`sending`]: what a bulk endpoint takes; packing; sending, and taking apart what is refused.
//! - [`job`]: how a bulk job stands.
//! - [`profiles`], [`events`], [`catalog`]: the endpoints of each kind.
//! - [`accounts`]: which account a key is of.

pub mod accounts;
mod answer;
pub mod batch;
pub mod bulk;
pub mod catalog;
pub mod client;
pub mod events;
pub mod job;
pub mod profiles;
pub mod rate;
pub mod sending;

pub use client::{Client, REVISION};
