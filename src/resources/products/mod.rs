//! Imports products as catalog items and then, when Klaviyo has finished these, their variants as catalog variants.
//!
//! Only published products are read, in their published projection. Items in Klaviyo whose products are no longer
//! published are not touched.

mod completion;
mod elsewhere;
mod items;
mod phase;
mod reading;
mod variants;

use std::rc::Rc;

use self::items::Items;
use self::phase::Phase;
use self::variants::{VARIANTS, Variants};
use super::context::Context;
use crate::run::import::Import;
use crate::run::state::RunDocument;

/// The import of products, in the phase that the run is in.
#[must_use]
pub fn products(context: &Context, run: &RunDocument) -> Rc<dyn Import> {
    let phase = Phase {
        context: context.clone(),
        now: run.started_at,
    };
    match run
        .cursor
        .as_ref()
        .and_then(|cursor| cursor.phase.as_deref())
    {
        Some(VARIANTS) => Rc::new(Variants(phase)),
        _ => Rc::new(Items(phase)),
    }
}
