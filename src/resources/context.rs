//! What imports are made of: clients, options and what is known of the shop's catalog.

use std::rc::Rc;

use super::shop_catalog::ShopCatalog;
use crate::config::MappingOptions;
use crate::{commercetools, klaviyo};

/// What every import may need; lives as long as the instance.
#[derive(Clone)]
pub struct Context {
    /// The client of the commercetools project.
    pub commercetools: Rc<commercetools::Client>,
    /// The client of the Klaviyo account.
    pub klaviyo: Rc<klaviyo::Client>,
    /// What has been looked up in the shop's catalog.
    pub catalog: Rc<ShopCatalog>,
    /// What the mappings read of the configuration.
    pub options: Rc<MappingOptions>,
}
