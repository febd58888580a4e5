//! A published product projection -> one catalog item and a catalog variant for each of its variants.
//!
//! ```text
//! Completion         adds what commercetools keeps in resources of their own: variants, prices, stock
//! Product::read      reads ids and skus only: enough to look up what Klaviyo has
//! Listing::of        the texts that item and variants share, or why none of them can be sent
//! Listing::item      writes the item's entry for a create or an update job
//! Listing::variant   writes a variant's entry
//! ```

mod completion;
pub(super) mod entry;
mod item;
mod listing;
mod record;
mod variant;

pub use self::completion::Completion;
pub use self::entry::{Entry, Write, compound_id, external_id};
pub use self::item::CategoryAncestors;
pub use self::listing::Listing;
pub use self::record::{PriceMode, Product, Variant};
