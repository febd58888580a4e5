//! Two commercetools projects that feed one Klaviyo account, each with an app of its own.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use bytes::Bytes;
use clock::Clock;
use http::{Request, Response};
use native::environment::{Answered, Destination};
use native::{Call, Interceptor, Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::commercetools::Commercetools;
use sim::comparison::compare_except;
use sim::contract::{Api, Contract};
use sim::klaviyo::Kind as EntryKind;
use sim::peer::Peer;
use sim::seed::expected::Rules;
use sim::seed::{Kind, Seed, Sizes};
use sim::world::{COMMERCETOOLS, KLAVIYO, variables};

use crate::support::described::run;
use crate::support::description;

/// The other project, with a server of its own.
struct Other {
    project: RefCell<Commercetools>,
    clock: Clock,
    contract: Option<std::sync::Arc<Contract>>,
}

impl Interceptor for Other {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        if to != Destination::Commercetools {
            return None;
        }
        let answer = self.project.borrow_mut().answer(self.clock.now(), request);
        if let Some(contract) = &self.contract {
            let mut violations = contract.check_request(Api::Commercetools, request);
            violations.extend(contract.check_response(Api::Commercetools, request, &answer));
            assert_eq!(violations, [""; 0]);
        }
        Some(Ok(answer))
    }

    fn answer(&self, call: &Call, answer: &Response<Bytes>) {
        description::hold(&call.method, &call.path, answer);
    }
}

/// The second project, and its app in the world of the first.
fn second(shop: &Shop) -> (Rc<Other>, Shop) {
    let seed = Seed {
        number: 77,
        sizes: Sizes {
            categories: 12,
            products: 60,
            ..Sizes::default()
        },
        ..Seed::default()
    };
    let project = Commercetools::new("other-shop", seed);
    let values = variables(
        &project,
        "pk_test",
        &Rules::default(),
        [COMMERCETOOLS, KLAVIYO].map(str::to_owned),
    );
    let own = ["ct_project_id", "ct_scope", "ct_api_client"];
    let own = own.map(|name| (name, values[name].as_str()));
    let other = Rc::new(Other {
        project: RefCell::new(project),
        clock: shop.world.clock().clone(),
        contract: Contract::shared(),
    });
    let app = shop.another_with(&own, other.clone());
    (other, app)
}

fn ids(shop: &Shop, kind: EntryKind) -> BTreeSet<String> {
    shop.world.klaviyo(|klaviyo| {
        let entries = klaviyo.ledger().catalog().entries(kind);
        entries.keys().cloned().collect()
    })
}

/// Klaviyo has everything that either project has published, and nothing else.
fn assert_both(shop: &Shop, other: &Other) {
    let second = other.project.borrow();
    let names = |project: &Commercetools| {
        let mut names = BTreeSet::new();
        project.for_each(Kind::Category, |record| names.extend(id(record)));
        project.for_each_published_product(|record| {
            let product: Value = serde_json::from_str(record).expect("a record is JSON");
            names.extend(id(record));
            let others = product["variants"].as_array().into_iter().flatten();
            let skus = others.chain([&product["masterVariant"]]);
            names.extend(skus.filter_map(|variant| variant["sku"].as_str().map(str::to_owned)));
        });
        names
    };
    let of_second = names(&second);
    let of_first = shop.world.commercetools(|first| names(first));
    let (rules, now) = (Rules::default(), shop.world.clock().now());
    let kinds = [Kind::Category, Kind::Product];
    let compare = |project: &Commercetools, others: &BTreeSet<String>| {
        let is_left_out = |name: &str| others.contains(name);
        shop.world.klaviyo(|klaviyo| {
            compare_except(project, klaviyo.ledger(), &rules, now, &kinds, &is_left_out)
        })
    };
    let found = shop.world.commercetools(|first| compare(first, &of_second));
    found.unwrap_or_else(|differences| panic!("the first project: {differences}"));
    let found = compare(&second, &of_first);
    found.unwrap_or_else(|differences| panic!("the second project: {differences}"));
}

fn id(record: &str) -> Option<String> {
    let record: Value = serde_json::from_str(record).expect("a record is JSON");
    record["id"].as_str().map(str::to_owned)
}

/// Deletes so many published products.
fn delete_products(project: &mut Commercetools, count: usize) {
    let mut published = Vec::new();
    project.for_each_published_product(|record| published.extend(id(record)));
    for id in published.into_iter().take(count) {
        assert!(project.delete(Kind::Product, id.parse().expect("an id")));
    }
}

#[test]
fn the_prunes_of_two_projects_in_one_account_remove_only_their_own() {
    run(Setup::catalog(12, 60).scheduled(), async |first| {
        let (other, second) = second(&first);
        for app in [&first, &second] {
            app.complete("categories", "").await;
            app.complete("products", "").await;
        }
        assert_both(&first, &other);

        // a clean catalog of either: whatever the other has stays
        let before = ids(&first, EntryKind::Item);
        for app in [&first, &second] {
            let status = app.complete("products", json!({"prune": true})).await;
            assert_eq!(status["removals"], json!([]), "{status}");
        }
        assert_eq!(ids(&first, EntryKind::Item), before);

        // both lose products: each prune takes its own
        first
            .world
            .commercetools(|project| delete_products(project, 3));
        delete_products(&mut other.project.borrow_mut(), 2);
        for (app, count) in [(&first, 3), (&second, 2)] {
            let status = app.complete("products", json!({"prune": true})).await;
            let removal = &status["removals"][0];
            let found = (&removal["count"], &removal["unmarked"], &removal["kind"]);
            assert_eq!(
                found,
                (&json!(count), &json!(0), &json!("items")),
                "{status}"
            );
        }
        assert_eq!(ids(&first, EntryKind::Item).len(), before.len() - 5);
        assert_both(&first, &other);
    });
}

#[test]
fn categories_say_not_whose_they_are_so_a_prune_leaves_those_of_both_projects() {
    run(Setup::catalog(12, 20).scheduled(), async |first| {
        let (other, second) = second(&first);
        for app in [&first, &second] {
            app.complete("categories", "").await;
        }
        let before = ids(&first, EntryKind::Category);
        assert_eq!(before.len(), 24);
        for app in [&first, &second] {
            let status = app.complete("categories", json!({"prune": true})).await;
            let removal = &status["removals"][0];
            let found = (&removal["count"], &removal["unmarked"]);
            assert_eq!(found, (&json!(0), &json!(12)), "{status}");
        }
        assert_eq!(ids(&first, EntryKind::Category), before);
        assert_eq!(other.project.borrow().ids(Kind::Category).len(), 12);
    });
}

#[test]
fn a_night_of_one_project_leaves_the_other_ones_items() {
    run(Setup::catalog(12, 60).scheduled(), async |first| {
        let (other, second) = second(&first);
        for app in [&first, &second] {
            app.complete("categories", "").await;
            app.complete("products", "").await;
        }
        first.pass(std::time::Duration::from_secs(3_600)).await;
        // one is unpublished, of each
        let unpublish = |project: &mut Commercetools, now| {
            let mut published = Vec::new();
            project.for_each_published_product(|record| published.extend(id(record)));
            let id = published[0].parse().expect("an id");
            project.change(Kind::Product, id, now, |product| {
                product["masterData"]["published"] = false.into();
            });
            published.swap_remove(0)
        };
        let now = first.world.clock().now();
        let of_first = first.world.commercetools(|project| unpublish(project, now));
        let of_second = unpublish(&mut other.project.borrow_mut(), now);
        let body = json!({"since": "lastRun"});
        first.complete("products", &body).await;
        let items = ids(&first, EntryKind::Item);
        assert!(!items.contains(&of_first) && items.contains(&of_second));
        second.complete("products", &body).await;
        assert_both(&first, &other);
    });
}
