//! What imports are made of: clients, mapping options and the shop's catalog.

use std::rc::Rc;

use super::missing_categories::MissingCategories;
use super::shared_emails::SharedEmails;
use super::shop_catalog::ShopCatalog;
use crate::config::MappingOptions;
use crate::{commercetools, klaviyo};

/// What imports need; it lives as long as the instance.
#[derive(Clone)]
pub struct Context {
    /// The client of the commercetools project.
    pub commercetools: Rc<commercetools::Client>,
    /// The client of the Klaviyo account.
    pub klaviyo: Rc<klaviyo::Client>,
    /// Looks up categories and products of the shop.
    pub catalog: Rc<ShopCatalog>,
    /// Finds out which customers share an email.
    pub shared_emails: Rc<SharedEmails>,
    /// Creates the categories that items need.
    pub missing_categories: Rc<MissingCategories>,
    /// The part of the configuration that the mappings read.
    pub options: Rc<MappingOptions>,
}
