//! The categories of an order's products.

/// Looks up the categories of products, for the property `Categories`. They were fetched before.
pub trait CategoryPaths {
    /// The [`paths`] of each of the product's current categories, without repetitions; `None` if the product is gone.
    fn paths(&self, product_id: &str) -> Option<&[String]>;
}

/// Every prefix of a category's path, by the localized names of its ancestors (root first) and its own: `Women`,
/// `Women > Pants`, `Women > Pants > Jeans`.
pub fn paths(names: &[String]) -> impl Iterator<Item = String> {
    (1..=names.len()).map(|depth| names[..depth].join(" > "))
}
