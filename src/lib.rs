//! Bulk import of a commercetools project into Klaviyo, as a Spin component.
//!
//! `docs/ARCHITECTURE.md` explains how the parts work together. This page has the map and the words.
//!
//! # Map
//! Floors from the top down. A module uses only modules of lower floors; a test holds this order.
//!
//! 1. `guest` (wasm only): the entry points, one for each WASI version, and the ports on the platform.
//! 2. [`api`]: the HTTP API: routes, authorization, request bodies, responses.
//! 3. [`app`]: makes clients, resources and engine from the configuration.
//! 4. [`resources`]: customers, orders, categories, products: which query, which mapping, which Klaviyo endpoints.
//! 5. [`run`]: the import as a state machine: document, cursor, lease, window, chain, plan.
//! 6. [`commercetools`], [`klaviyo`]: the two clients.
//! 7. [`retry`]: retries of a request.
//! 8. [`mapping`]: from commercetools records to Klaviyo documents; [`mod@error`]: what went wrong, and the table that
//!    says what is done about it; [`time`]: timestamps and deadlines; [`memory`]: one budget of bytes for an instance.
//! 9. [`json`]: borrowed JSON; [`config`]: the variables, parsed once; [`ports`]: what the core needs of the platform.
//!
//! # Glossary
//! - **Run**: one import of one resource, from its start to its end. Its *run document*, a custom object in
//!   commercetools, is lock, cursor, progress and report at once ([`run::state::RunDocument`]).
//! - **Window**: the work of one invocation on a run, limited in time and memory ([`run::window`]).
//! - **Chain**: the windows of a run, one after the other, each started by the one before it or by a scheduler
//!   ([`run::chain`]).
//! - **Cursor**: what is left to do of a run: ranges to read and jobs to wait for. A run is *going on* exactly while it
//!   has a cursor ([`run::state::Cursor`]).
//! - **Lease**: which invocation may work on a run, and until when ([`run::state::Lease`]).
//! - **Plan**: runs of several resources in the right order ([`run::plan`]).
//! - **Phase**: a pass of a run over its records. Customers have one, products one more for what commercetools no longer
//!   has, a deletion one for each pass.
//! - **Range**: a part of the id space that is read on its own, page by page ([`run::state::IdRange`]).
//! - **Group**: the batches that are committed together: their ranges, counts and jobs go into the run document when
//!   all of them have been acknowledged ([`run::window::group`]).
//! - **Job**: Klaviyo's asynchronous processing of a bulk request, which is polled for its result ([`klaviyo::job`]).
//! - **Set aside**: not imported, and named in the report with the reason: *skipped* (it cannot be sent as it is) or
//!   *failed* (Klaviyo rejected it) ([`run::state::SetAside`]).
//! - **Note**: a count of what was done differently for records that were sent, such as a phone number that was left
//!   out ([`run::state::Note`]).

pub mod api;
pub mod app;
pub mod commercetools;
pub mod config;
pub mod error;
pub mod json;
pub mod klaviyo;
pub mod mapping;
pub mod memory;
pub mod ports;
pub mod resources;
pub mod retry;
pub mod run;
pub mod time;

#[cfg(all(target_family = "wasm", feature = "guest"))]
mod guest;
