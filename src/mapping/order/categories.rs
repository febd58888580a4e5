//! The categories of an order's products.

/// The categories of products, as `Categories` lists them. What the catalog knows was fetched before.
pub trait CategoryPaths {
    /// The [`paths`] of each of the product's current categories, one after the other, each once; `None` where the product is gone.
    fn paths(&self, product_id: &str) -> Option<&[String]>;
}

/// Every path prefix of a category, from the root down, by the localized names of its ancestors (root first) and its
/// own: `Women`, `Women > Pants`, `Women > Pants > Jeans`.
pub fn paths(names: &[String]) -> impl Iterator<Item = String> {
    (1..=names.len()).map(|depth| names[..depth].join(" > "))
}
