//! Bulk import of a commercetools project into Klaviyo, as a Spin component.
//!
//! # The map
//! - `guest` (wasm only): the entry point and the ports over the platform, for WASI 0.2 or 0.3.
//! - [`ports`]: what the core needs of the world, as traits.
//! - [`config`]: the variables, parsed once, every problem reported together.
//! - [`error`]: what went wrong, and the one table that says what is done about it.
//! - [`api`]: the HTTP surface: routes, bearer check, request bodies, status documents.
//! - [`run`]: the import as a state machine: document, cursor, store, lease, window, chain.
//! - [`commercetools`], [`klaviyo`]: the two clients.
//! - [`mapping`]: pure: what becomes what.
//! - [`resources`]: what one page of each resource means.

pub mod api;
pub mod app;
pub mod commercetools;
pub mod config;
pub mod error;
pub mod json;
pub mod klaviyo;
pub mod mapping;
pub mod ports;
pub mod resources;
pub mod retry;
pub mod run;
pub mod time;

#[cfg(all(target_family = "wasm", feature = "guest"))]
mod guest;
