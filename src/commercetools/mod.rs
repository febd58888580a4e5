//! The commercetools client.
//!
//! - [`client`]: one call: its token, its bounds, its retries; commercetools' time.
//! - `answer`: errors that the API answers with.
//! - [`query`]: keyset pages.
//! - [`custom_objects`]: documents with compare-and-set.

mod answer;
pub mod client;
pub mod custom_objects;
pub mod query;
mod token;

pub use client::Client;
