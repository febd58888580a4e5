//! Shops that have lost many variants since the last import: nothing of these may be deleted before the operator has
//! confirmed their number.

use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use klaviyo_bulk_import::run::state::Resource;
use native::CONTAINER;
use serde_json::{Value, json};
use sim::comparison::compare_except;
use sim::klaviyo::Kind as EntryKind;
use sim::seed::Kind;

use crate::operator::Stuck;
use crate::records::{Unsettled, all_names, is_refused};
use crate::schedule::{Goal, Schedule};
use crate::world::World;

/// The code of a run that waits for a confirmation.
const UNCONFIRMED: &str = "removal_unconfirmed";

impl Schedule {
    /// Whether somebody deletes items in Klaviyo while they are imported. Drawn apart, so that what else a seed draws does
    /// not depend on it.
    fn items_go(&self) -> bool {
        let is_drawn = Rng::with_seed(self.seed ^ 0x17e6).u8(..3) == 0;
        let is_plain = self.trap.is_none() && self.refused.is_none();
        self.goal == Goal::Import(Resource::Products) && is_plain && is_drawn
    }
}

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

    /// Somebody deletes some of Klaviyo's items, and their variants with them, while all are imported.
    pub(crate) fn let_items_go(self: &Rc<Self>) {
        if !self.schedule.items_go() {
            return;
        }
        let world = Rc::clone(self);
        self.executor.spawn(None, async move {
            let pause = world.up_to(world.schedule.trouble);
            world.executor.sleep(pause).await;
            let mut klaviyo = world.klaviyo.borrow_mut();
            klaviyo.settle(world.now());
            let items = klaviyo.ledger().catalog().entries(EntryKind::Item).keys();
            let gone: Vec<String> = items.step_by(3).cloned().collect();
            for id in &gone {
                klaviyo.remove_entry(EntryKind::Item, id);
            }
            world.items_gone.set(!gone.is_empty());
            world.note(format!("somebody deletes {} items", gone.len()));
        });
    }

    /// Those that had been imported before they were deleted are imported another time.
    pub(crate) async fn bring_items_back(
        self: &Rc<Self>,
        unsettled: &Unsettled,
        deadline: Duration,
    ) -> Result<(), Stuck> {
        if !self.items_gone.get() {
            return Ok(());
        }
        if let Err(text) = self.items_have_their_variants(unsettled) {
            let text = format!("before the items are brought back: {text}");
            self.watch.violation(text);
        }
        let resource = Resource::Products;
        self.post(&format!("/sync/{resource}"), "").await;
        self.see_through(resource, deadline).await
    }

    /// Those that are in Klaviyo have all their variants: an item that was deleted is created anew with these, or not at
    /// all.
    ///
    /// # Errors
    /// What is missing.
    fn items_have_their_variants(&self, unsettled: &Unsettled) -> Result<(), String> {
        let now = self.now();
        self.klaviyo.borrow_mut().settle(now);
        let (klaviyo, project) = (self.klaviyo.borrow(), self.project.borrow());
        let items = klaviyo.ledger().catalog().entries(EntryKind::Item);
        let mut left_out = unsettled.names();
        left_out.extend(self.poisoned());
        project.for_each(Kind::Product, |record| {
            let record: Value = serde_json::from_str(record).expect("a record is JSON");
            let id = record["id"].as_str().expect("an id");
            if !items.contains_key(id) {
                all_names(&project, Kind::Product, &record, &mut left_out);
            }
        });
        let is_left_out = |name: &str| left_out.contains(name);
        let ledger = klaviyo.ledger();
        let kinds = [Kind::Product];
        compare_except(&project, ledger, &self.rules, now, &kinds, &is_left_out)
            .map(|_| ())
            .map_err(|differences| differences.to_string())
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
        let before = (self.variants(), self.items_gone.get());
        // the scheduler ticks meanwhile
        self.executor.sleep(Duration::from_secs(300)).await;
        // those of items that somebody has deleted meanwhile have gone with them
        let (variants, items_gone) = before;
        if self.items_gone.get() == items_gone && self.variants() != variants {
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
