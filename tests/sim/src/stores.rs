//! Customers of stores: they can share an email, as commercetools allows it, and Klaviyo has one profile for it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::seed::Kind;
use crate::world::World;

/// One of so many customers has the email of the one before.
const ONE_OF: usize = 50;

/// Some customers belong to a store and have the email of another, written otherwise. They have placed no orders, so that no
/// event brings their profile. Returns how many they are.
pub fn open(world: &World) -> usize {
    let now = world.clock().now();
    world.commercetools(|project| {
        let mut buyers = BTreeSet::new();
        project.for_each(Kind::Order, |order| {
            let order: Value = serde_json::from_str(order).expect("an order is JSON");
            buyers.extend(order["customerId"].as_str().map(str::to_owned));
        });
        let ids = project.ids(Kind::Customer);
        let others: Vec<_> = ids
            .windows(2)
            .step_by(ONE_OF)
            .filter(|pair| !buyers.contains(&pair[1].to_string()))
            .collect();
        for pair in &others {
            let first = project
                .record(Kind::Customer, pair[0])
                .expect("it is there");
            let email = first["email"].as_str().unwrap_or_default().to_uppercase();
            project.change(Kind::Customer, pair[1], now, |customer| {
                customer["email"] = email.into();
                customer["stores"] = json!([{"typeId": "store", "key": "berlin"}]);
            });
        }
        others.len()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Seed, Sizes};
    use crate::world::WorldOptions;

    #[test]
    fn some_customers_share_an_email_and_none_of_them_has_orders() {
        let seed = Seed {
            sizes: Sizes {
                customers: 500,
                orders: 100,
                ..Sizes::default()
            },
            ..Seed::default()
        };
        let world = World::in_process(WorldOptions {
            seed,
            check_contract: false,
            ..WorldOptions::default()
        });
        let sharing = open(&world);
        assert!((5..=10).contains(&sharing), "{sharing}");
        let (mut emails, mut of_stores) = (BTreeSet::new(), 0);
        world.commercetools(|project| {
            project.for_each(Kind::Customer, |customer| {
                let customer: Value = serde_json::from_str(customer).expect("a customer is JSON");
                emails.insert(
                    customer["email"]
                        .as_str()
                        .unwrap_or_default()
                        .to_lowercase(),
                );
                of_stores += usize::from(customer["stores"] != json!([]));
            });
        });
        assert_eq!((emails.len(), of_stores), (500 - sharing, sharing));
    }
}
