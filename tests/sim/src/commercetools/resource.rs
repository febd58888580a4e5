//! The endpoints that list records: what they hold, who may ask, by which fields, with what expanded.

use crate::seed::{Beside, Kind};

/// An endpoint that lists records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Customers,
    Orders,
    Categories,
    Products,
    ProductProjections,
    CustomObjects,
    VariantProjections,
    StandalonePrices,
    Inventory,
    Payments,
}

impl Resource {
    pub(super) fn of_path(segment: &str) -> Option<Self> {
        Some(match segment {
            "customers" => Self::Customers,
            "orders" => Self::Orders,
            "categories" => Self::Categories,
            "products" => Self::Products,
            "product-projections" => Self::ProductProjections,
            "custom-objects" => Self::CustomObjects,
            "variant-projections" => Self::VariantProjections,
            "standalone-prices" => Self::StandalonePrices,
            "inventory" => Self::Inventory,
            "payments" => Self::Payments,
            _ => return None,
        })
    }

    /// The kind of its records, where they are the seed's.
    pub(super) fn kind(self) -> Option<Kind> {
        match self {
            Self::Customers => Some(Kind::Customer),
            Self::Orders => Some(Kind::Order),
            Self::Categories => Some(Kind::Category),
            Self::Products | Self::ProductProjections => Some(Kind::Product),
            _ => None,
        }
    }

    /// The kind of its records, where they are beside products and orders.
    pub(super) fn beside(self) -> Option<Beside> {
        Some(match self {
            Self::VariantProjections => Beside::VariantProjection,
            Self::StandalonePrices => Beside::StandalonePrice,
            Self::Inventory => Beside::InventoryEntry,
            Self::Payments => Beside::Payment,
            _ => return None,
        })
    }

    /// One of these scopes is needed to read it. `staged` is for product projections.
    pub(super) fn read_scopes(self, staged: bool) -> &'static [&'static str] {
        match self {
            Self::Customers => &["view_customers", "manage_customers"],
            Self::Orders => &["view_orders", "manage_orders"],
            Self::Categories => &[
                "view_categories",
                "view_products",
                "view_published_products",
                "manage_products",
            ],
            Self::ProductProjections | Self::VariantProjections if !staged => &[
                "view_published_products",
                "view_products",
                "manage_products",
            ],
            Self::Products
            | Self::ProductProjections
            | Self::VariantProjections
            | Self::Inventory => &["view_products", "manage_products"],
            Self::StandalonePrices => &["view_standalone_prices", "manage_standalone_prices"],
            Self::Payments => &["view_payments", "manage_payments"],
            Self::CustomObjects => &["view_key_value_documents", "manage_key_value_documents"],
        }
    }

    /// The fields a predicate may begin with.
    pub(super) fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Customers => &[
                "id",
                "version",
                "createdAt",
                "lastModifiedAt",
                "key",
                "email",
                "customerNumber",
                "externalId",
                "firstName",
                "lastName",
                "companyName",
                "isEmailVerified",
                "lowercaseEmail",
                "stores",
                "custom",
            ],
            Self::Orders => &[
                "id",
                "version",
                "createdAt",
                "lastModifiedAt",
                "orderNumber",
                "orderState",
                "customerId",
                "customerEmail",
                "anonymousId",
                "shipmentState",
                "paymentState",
                "paymentInfo",
                "totalPrice",
                "lineItems",
                "country",
                "custom",
            ],
            Self::Categories => &[
                "id",
                "version",
                "createdAt",
                "lastModifiedAt",
                "key",
                "externalId",
                "name",
                "slug",
                "parent",
                "ancestors",
                "orderHint",
                "custom",
            ],
            Self::Products => &[
                "id",
                "version",
                "createdAt",
                "lastModifiedAt",
                "key",
                "productType",
                "masterData",
                "taxCategory",
                "state",
                "priceMode",
            ],
            Self::ProductProjections => &[
                "id",
                "version",
                "createdAt",
                "lastModifiedAt",
                "key",
                "productType",
                "name",
                "slug",
                "categories",
                "published",
                "hasStagedChanges",
                "masterVariant",
                "variants",
                "taxCategory",
                "state",
            ],
            Self::VariantProjections => &[
                "id",
                "version",
                "createdAt",
                "product",
                "sku",
                "key",
                "default",
            ],
            Self::StandalonePrices => &[
                "id",
                "version",
                "createdAt",
                "lastModifiedAt",
                "key",
                "sku",
                "active",
                "country",
                "validFrom",
                "validUntil",
            ],
            Self::Inventory => &[
                "id",
                "version",
                "createdAt",
                "lastModifiedAt",
                "key",
                "sku",
                "supplyChannel",
            ],
            Self::Payments => &[
                "id",
                "version",
                "createdAt",
                "lastModifiedAt",
                "key",
                "transactions",
            ],
            Self::CustomObjects => &[
                "id",
                "version",
                "createdAt",
                "lastModifiedAt",
                "container",
                "key",
                "value",
            ],
        }
    }

    /// The expansion paths it knows.
    pub(super) fn expansions(self) -> &'static [&'static str] {
        match self {
            Self::Orders => &["paymentInfo.payments[*]"],
            Self::Categories => &["ancestors[*]", "parent"],
            Self::Products => &[
                "masterData.current.categories[*]",
                "masterData.current.categories[*].ancestors[*]",
                "masterData.staged.categories[*]",
                "masterData.staged.categories[*].ancestors[*]",
            ],
            Self::ProductProjections => &["categories[*]", "categories[*].ancestors[*]"],
            _ => &[],
        }
    }
}
