//! The imports of each resource: which query reads a page, which mapping applies, which Klaviyo endpoints are used.
//!
//! - [`customers`], [`orders`], [`categories`], [`products`]: the imports.
//! - [`deletion`]: deletes all items or all categories of Klaviyo's catalog.
//! - `changes`: finds the records whose parts have changed.
//! - `withdrawal`: takes entries out of Klaviyo that commercetools no longer has.
//! - [`collection`]: reads a commercetools collection page by page.
//! - [`shop_catalog`]: looks up categories, and the categories of products (`product_categories`), with a `cache`;
//!   `lookup`: looks up records by id within a memory limit;
//!   `paged_lookup`: by what they belong to. `refunds`: those of orders, from their payments.
//! - [`shared_emails`]: which customers share an email. [`missing_categories`]: creates those that items need.
//! - `catalog_jobs`: the results of catalog jobs.
//! - [`factory`]: makes the import that a run needs; [`context`]: what imports are made of.

mod cache;
mod catalog_jobs;
pub mod categories;
mod changes;
pub mod collection;
pub mod context;
pub mod customers;
pub mod deletion;
pub mod factory;
mod lookup;
pub mod missing_categories;
pub mod orders;
mod paged_lookup;
mod product_categories;
pub mod products;
mod refunds;
pub mod shared_emails;
pub mod shop_catalog;
mod withdrawal;
