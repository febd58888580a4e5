//! What the mappings read of the configuration.

use super::sync::SyncConfig;

/// The variables that decide what a record becomes, and `sync_config`.
#[derive(Debug, Clone, Default)]
pub struct MappingOptions {
    /// `preferred_locale`: the locale whose texts are sent, where a record has them.
    pub preferred_locale: Option<String>,
    /// `preferred_currency`: ISO 4217 code of the prices that are sent, where a product has them.
    pub preferred_currency: Option<String>,
    /// `product_url_template`: a URL with `{{productSlug}}` in it.
    pub product_url_template: Option<String>,
    /// `sync_config`.
    pub sync: SyncConfig,
}
