//! A category -> a catalog category, named by its whole path.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Serialize;

use super::Skip;
use super::locale::localized;
use super::product::entry::{self, Entry, Write};
use crate::config::MappingOptions;
use crate::json::Part;

/// Klaviyo identifies a catalog category by the category's id.
const NO_ID: Skip = Skip::Malformed { missing: "id" };
/// The separator between the names of a path, as the Node plugin writes it.
const PATH_SEPARATOR: &str = " > ";

/// Looks up the names of categories by id. Implemented by `resources::shop_catalog`, which fetches and caches them.
pub trait CategoryNames {
    /// The category's name as [`Category::name`] returns it; `None` if the category is gone or has none.
    fn name(&self, category_id: &str) -> Option<&str>;
}

/// A category, with the members that the mapping reads.
#[derive(Debug)]
pub struct Category<'a> {
    id: String,
    name: Option<Part<'a>>,
    ancestors: Vec<String>,
}

/// The attributes of the entry, without those that identify the category on a create.
#[derive(Serialize)]
struct Attributes<'a> {
    name: &'a str,
}

impl<'a> Category<'a> {
    /// Reads a category of a commercetools response.
    ///
    /// # Errors
    /// [`Skip::Malformed`] if this is not an object with an id.
    pub fn read(category: impl Into<Part<'a>>) -> Result<Self, Skip> {
        let picked = category.into().pick(["id", "name", "ancestors"]);
        let [id, name, ancestors] = picked.ok_or(NO_ID)?;
        let id = id.and_then(Part::id).ok_or(NO_ID)?.into_owned();
        let mut ancestors = referenced_ids(ancestors);
        let mut met = HashSet::new();
        ancestors.retain(|ancestor| *ancestor != id && met.insert(ancestor.clone()));
        Ok(Self {
            id,
            name,
            ancestors,
        })
    }

    /// The category's id, which is the catalog category's external id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The ids of its ancestors, root first, each once. A category that is named among its own ancestors, as it may be
    /// while a tree is being moved, is not one of them.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        self.ancestors.iter().map(String::as_str)
    }

    /// Its own localized name; `None` if it has none in any locale.
    #[must_use]
    pub fn name(&self, options: &MappingOptions) -> Option<Cow<'a, str>> {
        let name = localized(self.name?, options.preferred_locale.as_deref())?;
        Some(name.decoded())
    }

    /// Appends the category's entry to `out`, as JSON text for a catalog category bulk job. Its name is the path of
    /// names from the root, `Women > Pants > Jeans`, without ancestors that are gone.
    ///
    /// # Errors
    /// [`Skip::NoName`], with nothing appended.
    pub fn entry(
        &self,
        names: &dyn CategoryNames,
        op: Write,
        options: &MappingOptions,
        out: &mut Vec<u8>,
    ) -> Result<Entry, Skip> {
        let own = self.name(options).ok_or(Skip::NoName)?;
        Ok(entry_of(&self.id, &own, self.ancestors(), names, op, out))
    }
}

/// Appends the entry of a category with this name and these ancestors, root first: see [`Category::entry`].
pub fn entry_of<'a>(
    id: &str,
    name: &'a str,
    ancestors: impl Iterator<Item = &'a str>,
    names: &'a dyn CategoryNames,
    op: Write,
    out: &mut Vec<u8>,
) -> Entry {
    let above = ancestors.filter_map(|id| names.name(id));
    let path: Vec<&str> = above.chain([name]).collect();
    let attributes = Attributes {
        name: &path.join(PATH_SEPARATOR),
    };
    entry::write("catalog-category", op, id, attributes, None::<()>, out)
}

/// The ids of an array of references to categories (`[{"typeId": "category", "id": ...}]`), in their order.
pub(super) fn referenced_ids(references: Option<Part<'_>>) -> Vec<String> {
    let references = references.map(Part::array).unwrap_or_default();
    let ids = references.into_iter().filter_map(|reference| {
        let [id] = reference.pick(["id"])?;
        id?.id()
    });
    ids.map(Cow::into_owned).collect()
}
