//! Shops that have lost many variants since the last import: nothing of these may be deleted before the operator has
//! confirmed their number.

use std::rc::Rc;
use std::time::Duration;

use klaviyo_bulk_import::run::state::Resource;
use native::CONTAINER;
use serde_json::{Value, json};
use sim::klaviyo::Kind as EntryKind;
use sim::seed::Kind;

use crate::records::{Unsettled, is_refused};
use crate::world::World;

/// The code of a run that waits for a confirmation.
const UNCONFIRMED: &str = "removal_unconfirmed";

impl World {
    /// Takes all variants but the first from most products that are published.
    pub(crate) fn let_variants_go(&self, unsettled: &Unsettled) {
        if !self.schedule.extremes.variants_go {
            return;
        }
        let mut project = self.project.borrow_mut();
        for id in project.ids(Kind::Product) {
            if id.as_u128() % 4 == 0 {
                continue;
            }
            project.change(Kind::Product, id, self.now(), |record| {
                let variants = &mut record["masterData"]["current"]["variants"];
                let gone = variants.take();
                *variants = json!([]);
                let skus = gone.as_array().into_iter().flatten();
                let skus = skus.filter_map(|variant| variant["sku"].as_str());
                // what Klaviyo does not delete stays
                let refused = skus.filter(|sku| {
                    let one_of = self.schedule.refused;
                    one_of.is_some_and(|one_of| is_refused(sku, one_of))
                });
                unsettled.add(refused.map(str::to_owned));
            });
        }
        drop(project);
        self.note("most variants are gone from the shop");
    }

    /// A variant of Klaviyo is about to be deleted: that is not done without the operator's word.
    pub(crate) fn watch_deletion(&self, instance: u64) {
        let project = self.project.borrow();
        let object = project.custom_object(CONTAINER, Resource::Products.name());
        let document = object.map(|object| &object.value).unwrap_or(&Value::Null);
        let of_kind = |name: &str| document["removal"][name].as_u64().unwrap_or_default();
        let (count, of) = (of_kind("count"), of_kind("of"));
        let is_much = count > 10 && count * 10 > of;
        let is_removal = document["cursor"]["phase"] == "deletions";
        if is_removal && is_much && self.confirmed.get().is_none_or(|most| count > most) {
            self.watch.violation(format!(
                "i{instance} deletes {count} of {of} variants, and {:?} are confirmed",
                self.confirmed.get()
            ));
        }
    }

    /// A run that waits for a confirmation: it stays failed whoever continues it, and whatever too small a number is
    /// confirmed. Then the operator confirms the right one. Returns the body of the resumption.
    pub(crate) async fn confirm(self: &Rc<Self>, status: &Value) -> Option<String> {
        if status["lastError"]["code"] != UNCONFIRMED {
            return None;
        }
        let count = status["removal"]["count"].as_u64().unwrap_or_default();
        let before = self.variants();
        // the scheduler ticks meanwhile
        self.executor.sleep(Duration::from_secs(300)).await;
        if self.variants() != before {
            self.watch
                .violation("variants were deleted without a confirmation".to_owned());
        }
        let asks_too_little =
            self.schedule.seed.is_multiple_of(3) && self.confirmed.get().is_none();
        let most = if asks_too_little { count - 1 } else { count };
        self.confirmed.set(Some(most));
        self.note(format!("the operator confirms {most} of {count} removals"));
        Some(format!(r#"{{"resume": true, "confirmRemoval": {most}}}"#))
    }

    fn variants(&self) -> usize {
        let klaviyo = self.klaviyo.borrow();
        klaviyo.ledger().catalog().entries(EntryKind::Variant).len()
    }
}
