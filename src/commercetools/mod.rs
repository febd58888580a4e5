//! The commercetools client.
//!
//! - [`client`]: one request: its token, limits and retries; commercetools' time.
//! - `token`: the access token.
//! - `answer`: error responses.
//! - [`scope`]: what a token allows.
//! - `project`: the project itself.
//! - [`query`]: keyset pages; `attributes`: what is left out of products.
//! - [`graphql`]: queries of a few members.
//! - [`custom_objects`]: documents with compare-and-set.

mod answer;
mod attributes;
pub mod client;
pub mod custom_objects;
pub mod graphql;
mod project;
pub mod query;
pub mod scope;
mod token;

pub use client::Client;
