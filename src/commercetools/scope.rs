//! What the scopes of a token allow (<https://docs.commercetools.com/api/scopes>).

/// The scope for all products, published or not.
pub const VIEW_PRODUCTS: &str = "view_products";
/// The scope for published products.
pub const VIEW_PUBLISHED_PRODUCTS: &str = "view_published_products";

/// The scope for standalone prices.
pub const VIEW_STANDALONE_PRICES: &str = "view_standalone_prices";
/// The scope for the project's settings, which tell its catalog model.
pub const VIEW_PROJECT_SETTINGS: &str = "view_project_settings";
/// The scope for payments, which refunds are read from.
pub const VIEW_PAYMENTS: &str = "view_payments";

/// Whether the token was granted a scope: the scope itself, `manage_...` in place of `view_...`, or `manage_project`.
#[must_use]
pub fn is_granted(granted: &str, scope: &str, project: &str) -> bool {
    let manage = scope
        .strip_prefix("view_")
        .map(|what| format!("manage_{}", what.trim_start_matches("published_")));
    granted.split_whitespace().any(|one| {
        let (name, of) = one.split_once(':').unwrap_or((one, project));
        of == project
            && (name == scope || name == "manage_project" || manage.as_deref() == Some(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_implied_by_those_that_allow_more() {
        for (granted, scope, expected) in [
            ("view_orders:shop", "view_orders", true),
            (
                "view_customers:shop manage_orders:shop",
                "view_orders",
                true,
            ),
            ("manage_project:shop", "manage_key_value_documents", true),
            ("manage_products:shop", "view_published_products", true),
            ("view_orders:other", "view_orders", false),
            ("view_orders:shop", "manage_orders", false),
            ("", "view_orders", false),
        ] {
            assert_eq!(
                is_granted(granted, scope, "shop"),
                expected,
                "{granted} {scope}"
            );
        }
    }
}
