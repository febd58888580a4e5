//! Customers who share an email or a phone number: nobody's data ends up in another's profile.

use native::{Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::klaviyo::SharedPhones;
use sim::seed::Kind;

use crate::support::described::run;

/// Gives these customers other members.
fn change(shop: &Shop, ids: &[String], members: Value) {
    let now = shop.world.clock().now();
    shop.world.commercetools(|project| {
        for id in ids {
            let id = id.parse().expect("an id");
            let members = members.as_object().expect("an object").clone();
            let changed = project.change(Kind::Customer, id, now, |customer| {
                customer.as_object_mut().expect("an object").extend(members);
            });
            assert!(changed);
        }
    });
}

fn of_a_store() -> Value {
    json!([{"typeId": "store", "key": "berlin"}])
}

fn last_name(shop: &Shop, id: &str) -> Option<String> {
    shop.world.klaviyo(|klaviyo| {
        let profile = klaviyo.ledger().profiles().by_external_id(id)?;
        profile.text("last_name").map(str::to_owned)
    })
}

fn phone(shop: &Shop, id: &str) -> Option<String> {
    shop.world.klaviyo(|klaviyo| {
        let profile = klaviyo.ledger().profiles().by_external_id(id)?;
        profile.text("phone_number").map(str::to_owned)
    })
}

fn calls_of(shop: &Shop, call: &str) -> u64 {
    shop.world.commercetools_server().calls_of(call)
}

#[test]
fn the_first_of_those_with_one_email_keeps_it_in_every_kind_of_run() {
    for knows_lowercase in [true, false] {
        let mut setup = Setup::customers(700).scheduled();
        setup.variables.insert("id_ranges", "5".to_owned());
        run(setup, async |shop| {
            shop.world
                .commercetools(|project| project.set_knows_lowercase_email(knows_lowercase));
            let ids = shop.ids(Kind::Customer);
            // far from each other, so that they are on different pages; only the later one says that there are stores
            let (first, second) = (ids[3].clone(), ids[690].clone());
            change(
                &shop,
                std::slice::from_ref(&first),
                json!({"email": "jane@shop.example", "lastName": "First"}),
            );
            change(
                &shop,
                std::slice::from_ref(&second),
                json!({"email": " jane@shop.example", "lastName": "Second", "stores": of_a_store()}),
            );
            let status = shop.complete("customers", "").await;
            assert_eq!(
                status["counts"]["skipped"],
                json!({"shared-email": 1}),
                "{status}"
            );
            let reason = &status["setAside"][0];
            assert_eq!(reason["id"], second.as_str());
            assert!(
                reason["reason"]
                    .as_str()
                    .is_some_and(|text| text.contains(&first)),
                "{reason}"
            );
            shop.assert_ledger(&[Kind::Customer]);
            for body in [
                json!({"ids": [second]}),
                json!({"ids": [first, second]}),
                json!({"since": "2020-01-01T00:00:00Z"}),
            ] {
                let status = shop.complete("customers", &body.to_string()).await;
                assert_eq!(
                    status["counts"]["skipped"]["shared-email"], 1,
                    "{body}: {status}"
                );
                assert_eq!(last_name(&shop, &first).as_deref(), Some("First"), "{body}");
                assert_eq!(last_name(&shop, &second), None, "{body}");
            }
        });
    }
}

#[test]
fn a_shop_without_stores_looks_up_no_emails() {
    run(Setup::customers(700).scheduled(), async |shop| {
        shop.complete("customers", "").await;
        let pages = 700_u64.div_ceil(500).max(8);
        let calls = calls_of(&shop, "GET /sim-shop/customers");
        // a page or two of each range, their number, and whether somebody belongs to a store
        assert!(calls <= 2 * pages + 2, "{calls}");
    });
}

#[test]
fn a_number_that_several_have_stays_with_the_first_whatever_klaviyo_makes_of_it() {
    for shared_phones in SharedPhones::ALL {
        let mut setup = Setup::customers(60).scheduled();
        setup.klaviyo.shared_phones = shared_phones;
        run(setup, async |shop| {
            let ids = shop.ids(Kind::Customer);
            let sharing: Vec<String> = ids.iter().skip(10).step_by(7).cloned().collect();
            for (at, id) in sharing.iter().enumerate() {
                let address = json!({"id": "a", "country": "DE", "phone": "+49 30 901820", "city": format!("City {at}")});
                let members = json!({
                    "addresses": [address], "billingAddressIds": [], "defaultBillingAddressId": "a",
                    "lastName": format!("Name {at}"),
                });
                change(&shop, std::slice::from_ref(id), members);
            }
            for _ in 0..2 {
                let status = shop.complete("customers", "").await;
                assert_eq!(status["counts"]["failed"], 0, "{shared_phones:?}: {status}");
                let shared = &status["counts"]["notes"]["shared-phone-number"];
                assert_eq!(*shared, sharing.len() - 1, "{shared_phones:?}: {status}");
                for (at, id) in sharing.iter().enumerate() {
                    let number = (at == 0).then_some("+4930901820");
                    assert_eq!(
                        phone(&shop, id).as_deref(),
                        number,
                        "{shared_phones:?} {at}"
                    );
                    let name = format!("Name {at}");
                    assert_eq!(last_name(&shop, id), Some(name), "{shared_phones:?} {at}");
                }
            }
        });
    }
}

#[test]
fn a_profile_that_is_refused_as_a_duplicate_goes_again_without_its_number() {
    let mut setup = Setup::customers(30).scheduled();
    setup.klaviyo.shared_phones = SharedPhones::Refuses;
    run(setup, async |shop| {
        let ids = shop.ids(Kind::Customer);
        let address = json!({"id": "a", "country": "DE", "phone": "+49 30 901820"});
        let members = json!({"addresses": [address], "billingAddressIds": [], "defaultBillingAddressId": "a"});
        change(&shop, &ids[..2], members);
        // one after the other: no request sees both
        for id in &ids[..2] {
            let status = shop
                .complete("customers", &json!({"ids": [id]}).to_string())
                .await;
            assert_eq!(status["counts"]["failed"], 0, "{status}");
        }
        assert_eq!(phone(&shop, &ids[0]).as_deref(), Some("+4930901820"));
        assert_eq!(phone(&shop, &ids[1]), None);
        assert!(last_name(&shop, &ids[1]).is_some() || phone(&shop, &ids[1]).is_none());
        let status = shop.read("/sync/customers").await;
        let again = &status["counts"]["notes"]["sent-again-without-phone-number"];
        assert_eq!(*again, 1, "{status}");
    });
}

#[test]
fn phone_numbers_can_be_left_out() {
    let setup = Setup::customers(50).scheduled();
    run(setup.variable("phone_numbers", "omit"), async |shop| {
        let status = shop.complete("customers", "").await;
        assert_eq!(status["counts"]["sent"], 50, "{status}");
        assert_eq!(status["counts"]["notes"], Value::Null, "{status}");
        for id in shop.ids(Kind::Customer) {
            assert_eq!(phone(&shop, &id), None, "{id}");
        }
    });
}

#[test]
fn customers_are_imported_into_the_profiles_that_klaviyo_has_of_their_emails() {
    let config = json!({"customer": {"deduplication": {"enabled": true}}}).to_string();
    let setup = Setup::customers(150).scheduled();
    run(setup.variable("sync_config", config), async |shop| {
        // a newsletter has brought some of them before, written in another case
        let emails: Vec<(String, String)> = shop.world.commercetools(|project| {
            let mut emails = Vec::new();
            project.for_each(Kind::Customer, |customer| {
                let customer: Value = serde_json::from_str(customer).expect("JSON");
                let text = |name: &str| customer[name].as_str().expect("a text").to_owned();
                emails.push((text("id"), text("email")));
            });
            emails
        });
        let subscribed: Vec<&(String, String)> = emails.iter().step_by(3).collect();
        let before: Vec<String> = shop.world.klaviyo(|klaviyo| {
            let emails = subscribed.iter().map(|(_, email)| email.to_uppercase());
            emails
                .map(|email| klaviyo.put_profile(&json!({"email": email})))
                .collect()
        });
        let status = shop.complete("customers", "").await;
        assert_eq!(status["counts"]["sent"], 150, "{status}");
        shop.world.klaviyo(|klaviyo| {
            let profiles = klaviyo.ledger().profiles();
            assert_eq!(profiles.len(), 150, "no profile is doubled");
            for ((id, _), profile) in subscribed.iter().zip(&before) {
                let found = profiles.by_external_id(id).expect("a profile");
                assert_eq!(found.id, *profile);
            }
        });
        let lookups = shop.world.klaviyo_server().calls_of("GET /api/profiles");
        assert!(lookups <= 8 * 2 + 2, "100 emails a request: {lookups}");
    });
}
