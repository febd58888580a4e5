//! Simulated commercetools and Klaviyo: strict, stateful, with faults, latency and rate limits, and a ledger
//! of what arrived.
//!
//! - [`peer`]: what a simulated API is: one request in, one answer out, at a given moment
//! - [`commercetools`], [`klaviyo`]: the two APIs; they share no types with the component
//! - [`seed`]: what the simulated project holds, generated record by record, and what of it Klaviyo must get
//! - [`ledger`]: what Klaviyo got
//! - [`contract`]: every request and answer checked against the APIs' OpenAPI descriptions
//! - [`recordings`]: recorded answers of the real Klaviyo
//! - [`server`]: a peer over HTTP on 127.0.0.1, with latency and [`faults`], on a [`clock::Clock`] that can run fast
//! - [`world`]: both APIs together
//! - [`comparison`]: whether Klaviyo got what the project holds
//! - [`day`]: what changes in a shop between two nights; [`stores`]: customers of stores, who can share an email

pub mod commercetools;
pub mod comparison;
pub mod contract;
pub mod day;
pub mod faults;
mod json;
pub mod klaviyo;
pub mod ledger;
pub mod peer;
pub mod recordings;
pub mod seed;
pub mod server;
mod shared;
pub mod stores;
pub mod world;
