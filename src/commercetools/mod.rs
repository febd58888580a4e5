//! The commercetools client: token, keyset pages, custom objects.

pub mod client;
pub mod custom_objects;
pub mod query;
mod token;

pub use client::Client;
