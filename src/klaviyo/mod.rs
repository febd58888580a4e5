//! The Klaviyo client: headers, rate limits, batches packed by count and bytes, jobs.
//!
//! - [`client`]: one request: its headers, rate limits and retries.
//! - [`rate`]: the known state of an endpoint's rate limits.
//! - `answer`: error responses; `links`: the next page of a list.
//! - [`bulk`], [`batch`], [`sending`]: what a bulk endpoint accepts; packing; sending, and splitting what is rejected.
//! - [`job`]: the state of a bulk job.
//! - [`profiles`], [`events`], [`catalog`]: the endpoints of each kind.
//! - [`job_limit`]: whether a kind has as many jobs as an account may have.
//! - [`recent_calls`]: the requests of the last minute, which instances tell each other.
//! - [`known_profiles`]: which profiles the account has of some emails; `query`: filters; `side_by_side`: many look-ups.
//! - [`accounts`]: which account a key is of.

pub mod accounts;
mod answer;
pub mod batch;
pub mod bulk;
pub mod catalog;
pub mod client;
pub mod events;
pub mod job;
pub mod job_limit;
pub mod known_profiles;
mod links;
pub mod profiles;
mod query;
pub mod rate;
pub mod recent_calls;
pub mod sending;
mod side_by_side;

pub use client::{Client, REVISION};
