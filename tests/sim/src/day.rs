//! A day of a shop: what changes in its catalog between two nights.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::commercetools::Commercetools;
use crate::seed::{Beside, Kind};
use crate::world::World;

/// One of so many products changes: one per cent.
const ONE_OF: usize = 100;

/// How the products change, in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Renamed,
    Repriced,
    Restocked,
    Unpublished,
    Deleted,
}

/// Of ten that change, so many of each kind.
const CHANGES: [Change; 10] = [
    Change::Renamed,
    Change::Repriced,
    Change::Restocked,
    Change::Renamed,
    Change::Repriced,
    Change::Restocked,
    Change::Repriced,
    Change::Restocked,
    Change::Unpublished,
    Change::Deleted,
];

impl Change {
    fn apply(self, project: &mut Commercetools, id: &str, number: usize, now: Timestamp) {
        let id = id.parse().expect("an id");
        let master = |product: &mut Value, member: &str, value: Value| {
            product["masterData"]["current"]["masterVariant"][member] = value;
        };
        match self {
            Self::Renamed => _ = project.change(Kind::Product, id, now, |product| {
                let name = json!({"en-US": format!("Renamed {number}")});
                product["masterData"]["current"]["name"] = name;
            }),
            Self::Repriced => _ = project.change(Kind::Product, id, now, |product| {
                let value = json!({
                    "type": "centPrecision", "currencyCode": "EUR", "centAmount": 1_000 + number, "fractionDigits": 2,
                });
                master(product, "prices", json!([{"id": "today", "value": value}]));
            }),
            Self::Unpublished => _ = project.change(Kind::Product, id, now, |product| {
                product["masterData"]["published"] = false.into();
            }),
            Self::Deleted => _ = project.delete(Kind::Product, id),
            Self::Restocked => {
                let mut product = project.record(Kind::Product, id).expect("it is there");
                let sku = product["masterData"]["current"]["masterVariant"]["sku"].clone();
                let stock = json!({"isOnStock": true, "availableQuantity": number});
                master(&mut product, "availability", stock);
                // stock does not touch the product
                project.put(Kind::Product, &product);
                let entry = json!({
                    "id": format!("5ca1ab1e-0000-4000-8000-{number:012}"), "version": 1, "sku": sku,
                    "createdAt": now.to_string(), "lastModifiedAt": now.to_string(),
                    "quantityOnStock": number, "availableQuantity": number,
                });
                project.put_beside(Beside::InventoryEntry, &entry);
            }
        }
    }
}

/// One per cent of the products that are published change; returns how many that are.
pub fn pass(world: &World) -> usize {
    let now = world.clock().now();
    world.commercetools(|project| {
        let mut published = Vec::new();
        project.for_each_published_product(|product| {
            let product: Value = serde_json::from_str(product).expect("a product is JSON");
            let has_sku = product["masterVariant"]["sku"]
                .as_str()
                .is_some_and(|sku| !sku.is_empty());
            published.extend(
                product["id"]
                    .as_str()
                    .map(str::to_owned)
                    .filter(|_| has_sku),
            );
        });
        let changing: Vec<String> = published.into_iter().step_by(ONE_OF).collect();
        for (number, id) in changing.iter().enumerate() {
            CHANGES[number % CHANGES.len()].apply(project, id, number, now);
        }
        changing.len()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Seed, Sizes};
    use crate::world::WorldOptions;

    #[test]
    fn one_per_cent_of_what_is_published_changes() {
        let seed = Seed {
            sizes: Sizes {
                products: 3_000,
                ..Sizes::default()
            },
            ..Seed::default()
        };
        let world = World::in_process(WorldOptions {
            seed,
            check_contract: false,
            ..WorldOptions::default()
        });
        let published = |world: &World| {
            let mut count = 0;
            world.commercetools(|project| project.for_each_published_product(|_| count += 1));
            count
        };
        let before = published(&world);
        let changed = pass(&world);
        assert!((20..=30).contains(&changed), "{changed}");
        let gone = changed / CHANGES.len() * 2;
        assert!((gone..=gone + 2).contains(&(before - published(&world))));
    }
}
