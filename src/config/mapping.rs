//! The part of the configuration that the mappings read.

use super::sync::SyncConfig;

/// The variables that decide how records are mapped, `sync_config` among them.
#[derive(Debug, Clone, Default)]
pub struct MappingOptions {
    /// `ct_project_id`: the project's key, which catalog items carry, so that it is known whose they are. Empty: they carry
    /// none.
    pub project: String,
    /// `preferred_locale`: the locale whose texts are sent, if a record has them.
    pub preferred_locale: Option<String>,
    /// `preferred_currency`: ISO 4217 code of the prices that are sent, if a product has them.
    pub preferred_currency: Option<String>,
    /// `product_url_template`: a URL with `{{productSlug}}` in it.
    pub product_url_template: Option<String>,
    /// `phone_numbers`: whether profiles have them.
    pub phone_numbers: PhoneNumbers,
    /// `refunds`: whether orders with successful refunds have a Refunded Order.
    pub refunds: bool,
    /// `sync_config`.
    pub sync: SyncConfig,
}

/// Whether profiles are sent with their phone numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PhoneNumbers {
    /// With those that can be numbers of their country.
    #[default]
    Send,
    /// Without any.
    Omit,
}
