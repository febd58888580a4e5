//! What is wanted of a page's products: all of it, or entries that are sent again.

use std::collections::HashSet;

use crate::run::state::{Digests, EntryName, IdRange, Only};

/// What is wanted of the products of a range.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Names of entries: an id is that of a whole product. Empty if everything is wanted.
    names: HashSet<String>,
    /// Digests of such ids, or of variants' names.
    digests: Digests,
    only: Option<Only>,
}

impl Wanted {
    /// What is wanted of this range.
    pub(super) fn of(range: &IdRange) -> Self {
        Self {
            names: range.entries.iter().cloned().collect(),
            digests: range.digests.clone(),
            only: range.only,
        }
    }

    /// Whether a product is wanted with its variants.
    pub(super) fn is_named(&self, product: &str) -> bool {
        let is_everything = self.names.is_empty() && self.digests.is_empty();
        is_everything || self.names.contains(product) || self.digests.contains(product)
    }

    /// Whether nothing of a product is wanted, whatever variants it has.
    pub(super) fn nothing_of(&self, product: &str) -> bool {
        self.are_variants() && !self.is_named(product)
    }

    /// Whether the product's item is.
    pub(super) fn item(&self, product: &str) -> bool {
        !self.are_variants() && self.is_named(product)
    }

    /// Whether only variants are wanted of products that are.
    fn are_variants(&self) -> bool {
        matches!(self.only, Some(Only::Parts | Only::PartsAnew))
    }

    /// Whether items were there when they were read first: variants of one that is not went with it.
    pub(super) fn are_items_again(&self) -> bool {
        self.only.is_some_and(Only::are_records_alone)
    }

    /// Whether nobody else sends the variants of such an item if it has gone with them.
    pub(super) fn are_items_alone(&self) -> bool {
        self.only == Some(Only::Records)
    }

    /// Whether variants that are sent count already.
    pub(super) fn are_variants_counted(&self) -> bool {
        self.only == Some(Only::PartsAnew)
    }

    /// Whether the variants of items that Klaviyo has are read later, although they are wanted.
    pub(super) fn variants_follow(&self) -> bool {
        self.only == Some(Only::RecordsFirst)
    }

    /// Whether a variant of the product is; `part` is its name in the cursor.
    pub(super) fn variant(&self, product: &str, part: &str) -> bool {
        let name = EntryName {
            id: product,
            part: Some(part),
        };
        let is_of_all = !self.are_items_again() && self.is_named(product);
        is_of_all || self.names.contains(&name.to_string()) || self.digests.contains(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the item of `p` is wanted, its variant `1`, and its variant `2`.
    fn wanted(names: &[&str], only: Option<Only>) -> [bool; 3] {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        let wanted = Wanted::of(&IdRange::of_entries(names, 1).with_only(only));
        [
            wanted.item("p"),
            wanted.variant("p", "1"),
            wanted.variant("p", "2"),
        ]
    }

    #[test]
    fn entries_are_wanted_by_name_and_products_whole_or_by_halves() {
        assert_eq!(wanted(&[], None), [true, true, true]);
        assert_eq!(wanted(&["p"], None), [true, true, true]);
        assert_eq!(wanted(&["p"], Some(Only::Records)), [true, false, false]);
        assert_eq!(wanted(&["p"], Some(Only::Parts)), [false, true, true]);
        assert_eq!(wanted(&["p/2"], None), [false, false, true]);
        assert_eq!(wanted(&["q", "q/1"], None), [false, false, false]);
    }

    #[test]
    fn entries_are_wanted_by_digest() {
        let wanted = |name: &str, only| {
            let range = IdRange {
                digests: Digests::of([name]),
                only,
                ..IdRange::default()
            };
            let wanted = Wanted::of(&range);
            [
                wanted.nothing_of("p"),
                wanted.item("p"),
                wanted.variant("p", "1"),
            ]
        };
        assert_eq!(wanted("p", None), [false, true, true]);
        assert_eq!(wanted("p", Some(Only::Parts)), [false, false, true]);
        assert_eq!(wanted("1", None), [false, false, true]);
        assert_eq!(wanted("q", None), [false, false, false]);
        assert_eq!(wanted("q", Some(Only::Parts)), [true, false, false]);
    }
}
