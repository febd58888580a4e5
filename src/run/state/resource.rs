//! What can be imported.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// Customers, as profiles.
    Customers,
    /// Orders, as events.
    Orders,
    /// Categories, as catalog categories.
    Categories,
    /// Products, as catalog items and variants.
    Products,
}

impl Resource {
    /// All of them, in the order in which they are imported.
    pub const ALL: [Self; 4] = [
        Self::Customers,
        Self::Orders,
        Self::Categories,
        Self::Products,
    ];

    /// Its name in paths, keys and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Orders => "orders",
            Self::Categories => "categories",
            Self::Products => "products",
        }
    }

    /// Whether it is imported into Klaviyo's catalog, where entries can be deleted.
    #[must_use]
    pub fn is_of_catalog(self) -> bool {
        matches!(self, Self::Categories | Self::Products)
    }

    /// The resource of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|resource| resource.name() == name)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
