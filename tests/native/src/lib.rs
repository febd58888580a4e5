//! The core in this process: for tests that run it hundreds of times, in virtual time, or look inside.
//!
//! - [`executor`]: tasks and time on one thread, where a seed decides whose turn it is
//! - [`environment`]: what an instance of the app lives in, and its ports
//! - [`setup`]: what a test's shop and app are like
//! - [`shop`]: both simulated APIs with an app, and whoever intercepts what goes in and out
//! - [`call`], [`operator`]: calls of the app's API, and somebody who makes them and waits for what comes of it
//!
//! Tests of the built component use [`setup`], [`call`] and [`operator`] too: one test reads as the other does.

pub mod call;
pub mod environment;
pub mod executor;
pub mod operator;
pub mod setup;
pub mod shop;

pub use call::{Answer, Call};
pub use operator::Operator;
pub use setup::Setup;
pub use shop::{Interceptor, Shop, run};

/// The token that the app asks of its callers.
pub const TOKEN: &str = "operators-api-token-0123456789";

/// The container of the app's custom objects. Written here once more: what one version of the app has stored, another one
/// has to find.
pub const CONTAINER: &str = "klaviyo-bulk-import";
