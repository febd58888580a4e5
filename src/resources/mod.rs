//! What one page of each resource means: which query, which mapping, which Klaviyo calls.
//!
//! - [`customers`], [`orders`], [`categories`], [`products`]: the imports.
//! - [`deletion`]: everything of a kind is deleted from Klaviyo's catalog.
//! - [`collection`]: pages of a commercetools collection.
//! - [`shop_catalog`]: categories and products that are looked up by id, and kept for a while (`cache`).
//! - `catalog_jobs`: what became of catalog entries.
//! - [`factory`]: which import a run needs; [`context`]: what imports are made of.

mod cache;
mod catalog_jobs;
pub mod categories;
pub mod collection;
pub mod context;
pub mod customers;
pub mod deletion;
pub mod factory;
pub mod orders;
pub mod products;
pub mod shop_catalog;
