//! Imports products as catalog items, and their variants as catalog variants.
//!
//! ```text
//! changes    in an import of changes: finds products whose prices, stock or categories have changed
//! products   items are created and updated; the variants of an item that Klaviyo has are sent beside it, those of a new
//!            one when Klaviyo has finished its job
//! removals   if variants seem to be gone: they are compared again and counted
//! deletions  if they may be: they are compared again and deleted
//! ...        products that are not published any more, or do not exist: see `withdrawal`
//! ```
//!
//! Earlier versions had a phase `items` and then a phase `variants`, which their documents can be in: these go on as they
//! were begun.
//!
//! Only published products are read, in their published projection.

mod completion;
mod drift;
mod elsewhere;
mod entries;
mod phase;
mod reading;
mod removals;
mod surplus;
mod variants;
mod wanted;

use std::rc::Rc;

use self::drift::Comparison;
use self::entries::{Entries, Sends};
use self::phase::Phase;
use self::removals::{Removals, Step};
use super::changes::{FindChanges, Selection};
use super::context::Context;
use super::withdrawal::Withdrawal;
use crate::run::import::Import;
use crate::run::state::{PhaseName, RunDocument};

/// The import of products, in the phase that the run is in.
#[must_use]
pub fn products(context: &Context, run: &RunDocument) -> Rc<dyn Import> {
    if let Some(phase) = Withdrawal::of_run(context, run) {
        return Rc::new(phase);
    }
    if let Some(phase) = FindChanges::of_run(context, run, products) {
        return Rc::new(phase);
    }
    let phase = Phase {
        context: context.clone(),
        now: run.started_at,
        selection: Selection::of(run),
    };
    if run.options.drift {
        return Rc::new(Comparison(phase));
    }
    let sends = match run.phase() {
        Some(PhaseName::Removals) => return Rc::new(Removals::new(phase, Step::Counting)),
        Some(PhaseName::Deletions) => return Rc::new(Removals::new(phase, Step::Deleting)),
        Some(PhaseName::Items) => Sends::Items,
        Some(PhaseName::Variants) => Sends::Variants,
        _ => Sends::Both,
    };
    Rc::new(Entries { phase, sends })
}
