//! Shops that live on after their import: products are unpublished, deleted, repriced and restocked, categories renamed and
//! deleted, between the nights and during them. When the trouble is over and a last nightly with a prune has run, Klaviyo's
//! catalog is what the shop is.

use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use klaviyo_bulk_import::run::state::Resource;
use serde_json::{Value, json};
use sim::commercetools::Commercetools;
use sim::seed::{Beside, Kind};
use uuid::Uuid;

use crate::operator::{LOOK, Stuck};
use crate::schedule::{Goal, Schedule};
use crate::world::World;

/// What is started at night.
const NIGHTLY: &str = r#"{"since": "lastRun", "prune": true, "pruneUnmarked": true}"#;
/// What is started, in this order.
const RESOURCES: [Resource; 2] = [Resource::Categories, Resource::Products];
/// Changes of a day.
const CHANGES: usize = 6;

impl Schedule {
    /// Whether the shop lives on after the import. Drawn apart, so that what else a seed draws does not depend on it.
    #[must_use]
    pub fn lives_on(&self) -> bool {
        let extremes = &self.extremes;
        // what is not known of an earlier run, or refused, is not made good by a night
        let is_known = !extremes.deletes_document && !extremes.has_other_deployment;
        let is_taken = self.refused.is_none();
        let is_drawn = Rng::with_seed(self.seed ^ 0x1116).u8(..3) > 0;
        self.goal == Goal::Import(Resource::Products)
            && is_known
            && is_taken
            && is_drawn
            && self.has_time_for_pages()
    }
}

impl Schedule {
    /// What becomes of the products of categories that are deleted. Drawn apart, so that what else a seed draws does not depend
    /// on it.
    fn orphans(&self) -> Orphans {
        let rng = &mut Rng::with_seed(self.seed ^ 0xde1e);
        Orphans::ALL[rng.usize(..Orphans::ALL.len())]
    }
}

/// Changes a record without modifying it: what it is made of is kept elsewhere.
fn change_silently(
    project: &mut Commercetools,
    kind: Kind,
    id: Uuid,
    change: impl FnOnce(&mut Value),
) {
    let mut record = project.record(kind, id).expect("it is there");
    change(&mut record);
    project.put(kind, &record);
}

/// The stock of a product's first variant is another one, as a shop that keeps it in its products has it.
fn restock(project: &mut Commercetools, id: Uuid, now: Timestamp, rng: &mut Rng) {
    let record = project.record(Kind::Product, id).expect("it is there");
    let sku = &record["masterData"]["current"]["masterVariant"]["sku"];
    let Some(sku) = sku.as_str().filter(|sku| !sku.is_empty()) else {
        return;
    };
    let quantity = rng.u32(1..1_000);
    change_silently(project, Kind::Product, id, |product| {
        let master = &mut product["masterData"]["current"]["masterVariant"];
        master["availability"] = json!({"isOnStock": true, "availableQuantity": quantity});
    });
    let entry = uuid::Builder::from_random_bytes(rng.u128(..).to_be_bytes()).into_uuid();
    let entry = json!({
        "id": entry.to_string(), "version": 1, "createdAt": now.to_string(), "lastModifiedAt": now.to_string(), "sku": sku,
        "quantityOnStock": quantity, "availableQuantity": quantity,
    });
    project.put_beside(Beside::InventoryEntry, &entry);
}

/// What becomes of the products of a category that is deleted: that is not documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Orphans {
    /// They are taken out of it, which modifies them.
    Modified,
    /// They are taken out of it, and count as unmodified.
    TakenOut,
    /// They go on naming it.
    Left,
}

impl Orphans {
    const ALL: [Self; 3] = [Self::Modified, Self::TakenOut, Self::Left];
}

/// Deletes a category.
fn delete(project: &mut Commercetools, id: Uuid, now: Timestamp, orphans: Orphans) {
    project.delete(Kind::Category, id);
    if orphans == Orphans::Left {
        return;
    }
    for product in project.ids(Kind::Product) {
        let record = project.record(Kind::Product, product).expect("it is there");
        if !record.to_string().contains(&id.to_string()) {
            continue;
        }
        let take_out = |product: &mut Value| {
            for side in ["current", "staged"] {
                let categories = product["masterData"][side]["categories"].as_array_mut();
                let id = Value::from(id.to_string());
                if let Some(categories) = categories {
                    categories.retain(|category| category["id"] != id);
                }
            }
        };
        match orphans {
            Orphans::Modified => {
                project.change(Kind::Product, product, now, take_out);
            }
            _ => change_silently(project, Kind::Product, product, take_out),
        }
    }
}

/// A category that has none below it.
fn leaf(project: &Commercetools, ids: &[Uuid]) -> Option<Uuid> {
    let mut above = Vec::new();
    project.for_each(Kind::Category, |category| {
        let category: Value = serde_json::from_str(category).expect("a record is JSON");
        let ancestors = category["ancestors"].as_array().into_iter().flatten();
        above.extend(ancestors.filter_map(|one| one["id"].as_str().map(str::to_owned)));
    });
    let is_leaf = |id: &&Uuid| !above.contains(&id.to_string());
    ids.iter().find(is_leaf).copied()
}

impl World {
    /// One change of the shop's catalog.
    fn change_the_shop(&self) {
        let now = self.now();
        let mut rng = self.rng.borrow_mut();
        let mut project = self.project.borrow_mut();
        let (products, categories) = (project.ids(Kind::Product), project.ids(Kind::Category));
        let beside = |project: &Commercetools, beside| project.beside_ids(beside);
        let what = rng.u8(..8);
        let mut pick = |ids: &[Uuid]| (!ids.is_empty()).then(|| ids[rng.usize(..ids.len())]);
        let product = pick(&products);
        let changed = match what {
            0 | 1 => product.inspect(|&id| {
                let publishes = what == 1;
                project.change(Kind::Product, id, now, |product| {
                    product["masterData"]["published"] = publishes.into();
                });
            }),
            2 => product.inspect(|&id| {
                project.delete(Kind::Product, id);
            }),
            3 => pick(&categories).inspect(|&id| {
                project.change(Kind::Category, id, now, |category| {
                    category["name"] = json!({"en-US": format!("Renamed at {now}")});
                });
            }),
            4 => leaf(&project, &categories).inspect(|&id| {
                let orphans = self.schedule.orphans();
                delete(&mut project, id, now, orphans);
            }),
            5 => pick(&beside(&project, Beside::StandalonePrice)).inspect(|&id| {
                project.change_beside(Beside::StandalonePrice, id, now, |price| {
                    price["value"]["centAmount"] = 1_234.into();
                });
            }),
            6 => pick(&beside(&project, Beside::InventoryEntry)).inspect(|&id| {
                project.change_beside(Beside::InventoryEntry, id, now, |entry| {
                    entry["availableQuantity"] = 17.into();
                });
            }),
            _ => product.inspect(|&id| restock(&mut project, id, now, &mut rng)),
        };
        drop(project);
        drop(rng);
        self.note(format!("the shop changes ({what}): {changed:?}"));
    }

    /// Days and nights after the import: the last night is without trouble, and with nobody who changes anything.
    ///
    /// # Errors
    /// Where a night is never over.
    pub(crate) async fn live_on(self: &Rc<Self>, longest: Duration) -> Result<(), Stuck> {
        if !self.schedule.lives_on() {
            return Ok(());
        }
        for _ in 0..CHANGES {
            self.executor
                .sleep(self.up_to(Duration::from_secs(600)))
                .await;
            self.change_the_shop();
        }
        self.executor.sleep(Duration::from_secs(300)).await;
        self.is_troubled.set(true);
        self.note("a night with trouble");
        let end = self.executor.elapsed() + self.schedule.trouble;
        self.post("/sync/categories", NIGHTLY).await;
        self.post("/sync/products", NIGHTLY).await;
        while self.executor.elapsed() < end {
            self.executor.sleep(self.up_to(LOOK)).await;
            self.change_the_shop();
            self.post("/sync/products", NIGHTLY).await;
        }
        self.calm_down();
        for night in ["the night goes on", "the last night"] {
            self.note(night);
            for resource in RESOURCES {
                let deadline = self.executor.elapsed() + longest;
                self.night(resource, deadline).await?;
            }
            self.executor.sleep(Duration::from_secs(300)).await;
        }
        if self.schedule.orphans() != Orphans::Modified {
            // what the handbook asks for then: no night finds items that were below a category that is gone
            self.note("everything is imported");
            self.post("/sync/products", "").await;
            let deadline = self.executor.elapsed() + longest;
            self.wait_for(Resource::Products, deadline).await?;
        }
        Ok(())
    }

    /// Brings a run that is going on to its end, and then a nightly of the resource.
    async fn night(self: &Rc<Self>, resource: Resource, deadline: Duration) -> Result<(), Stuck> {
        let path = format!("/sync/{resource}");
        let mut begun = None;
        while self.executor.elapsed() < deadline {
            let status = self.wait_for(resource, deadline).await?;
            let run = status["runId"].as_str().map(str::to_owned);
            match status["status"].as_str() {
                Some("failed") => {
                    self.mend(&status);
                    let confirmation = self.confirm(&status).await;
                    let resume = confirmation.as_deref().unwrap_or(r#"{"resume": true}"#);
                    self.post(&path, resume).await;
                }
                Some("completed") if begun.is_some() && begun == run => return Ok(()),
                _ => {
                    let answer = self.post(&path, NIGHTLY).await;
                    let started = answer.filter(|(status, _)| *status == 202);
                    begun = started.and_then(|(_, run)| run["runId"].as_str().map(str::to_owned));
                }
            }
            self.executor.sleep(LOOK).await;
        }
        Err(format!("a night of {resource} does not come to its end"))
    }
}
