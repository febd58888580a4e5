//! What the tests share. Whatever a test looks at, it is a shop that is operated: of the built component in the host
//! ([`component`]), or of the core in this process ([`described`], `native`).

pub(crate) mod calls;
pub(crate) mod component;
pub(crate) mod described;
pub(crate) mod description;
pub(crate) mod gates;
pub(crate) mod many_variants;
pub(crate) mod moves;
pub(crate) mod products;
pub(crate) mod records;
pub(crate) mod rewrite;
pub(crate) mod views;

use std::path::Path;

/// The token of schedulers that can send nothing but a path.
pub(crate) const CRON_TOKEN: &str = "a-token-for-schedulers";

/// The top of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
