//! One identifier that Klaviyo refuses costs no record that has another, and failures that nobody names are counted.

use native::{Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::klaviyo::{Choice, ImportErrors, Pointers};
use sim::seed::Kind;

use crate::support::described::run;

/// Gives two records a malformed email; their ids.
fn spoil(shop: &Shop, kind: Kind, member: &'static str) -> [String; 2] {
    let now = shop.world.clock().now();
    shop.world.commercetools(|project| {
        let ids = project.ids(kind);
        let with_id = ids.into_iter().filter(|&id| {
            let record = project.record(kind, id).expect("a record");
            kind == Kind::Customer || record["customerId"].is_string()
        });
        let spoilt: Vec<_> = with_id.skip(4).step_by(3).take(2).collect();
        for (id, email) in spoilt.iter().zip(["not an email", "user.14@localhost"]) {
            project.change(kind, *id, now, |record| record[member] = email.into());
        }
        [spoilt[0].to_string(), spoilt[1].to_string()]
    })
}

#[test]
fn a_malformed_email_costs_neither_its_profile_nor_any_other() {
    let at_once = Pointers::ALL.map(|pointers| (true, pointers));
    for (at_once, pointers) in at_once.into_iter().chain([(false, Pointers::Record)]) {
        let mut setup = Setup::customers(20).scheduled();
        setup.klaviyo.checks_emails_at_once = at_once;
        setup.klaviyo.pointers = pointers;
        run(setup, async |shop| {
            let spoilt = spoil(&shop, Kind::Customer, "email");
            let status = shop.complete("customers", "").await;
            let counts = &status["counts"];
            let profiles = shop
                .world
                .klaviyo(|klaviyo| klaviyo.ledger().profiles().len());
            // the field is in both, if not the profile
            if matches!(pointers, Pointers::Record | Pointers::List) {
                assert_eq!(
                    (&counts["sent"], &counts["failed"]),
                    (&json!(20), &json!(0))
                );
                assert_eq!(counts["notes"]["sent-again-without-email"], 2, "{status}");
                assert_eq!(profiles, 20);
                for id in &spoilt {
                    shop.world.klaviyo(|klaviyo| {
                        let profile = klaviyo.ledger().profiles().by_external_id(id);
                        let profile = profile.expect("it is there");
                        assert_eq!(profile.attributes.get("email"), None);
                    });
                }
            } else {
                // nobody says that it is for their email: they are named
                assert_eq!(
                    (&counts["sent"], &counts["failed"]),
                    (&json!(18), &json!(2))
                );
                let list = status["setAside"].as_array().expect("a list");
                for id in &spoilt {
                    assert!(list.iter().any(|record| record["id"] == *id), "{status}");
                }
                assert_eq!(profiles, 18);
            }
        });
    }
}

#[test]
fn a_malformed_email_costs_no_order_of_a_customer() {
    run(Setup::orders(30).scheduled(), async |shop| {
        let spoilt = spoil(&shop, Kind::Order, "customerEmail");
        let status = shop.complete("orders", "").await;
        let counts = &status["counts"];
        assert_eq!(counts["failed"], 0, "{status}");
        assert_eq!(counts["sent"], 30, "{status}");
        assert_eq!(counts["notes"]["sent-again-without-email"], 2, "{status}");
        assert_eq!(status["setAside"], json!([]), "{spoilt:?}");
    });
}

#[test]
fn failures_that_nobody_names_are_counted() {
    for (import_errors, named) in [
        (ImportErrors::Documented, 3),
        (ImportErrors::None, 0),
        (ImportErrors::Gone, 0),
    ] {
        let mut setup = Setup::customers(40).scheduled();
        setup.klaviyo.import_errors = import_errors;
        run(setup, async |shop| {
            let ids = shop
                .world
                .commercetools(|project| project.ids(Kind::Customer));
            let refused: Vec<String> = ids[5..8].iter().map(ToString::to_string).collect();
            shop.world
                .klaviyo(|klaviyo| klaviyo.options_mut().refuse_profiles = Choice::ids(refused));
            let status = shop.complete("customers", "").await;
            let counts = &status["counts"];
            assert_eq!(
                (&counts["sent"], &counts["failed"]),
                (&json!(37), &json!(3))
            );
            let list = status["setAside"].as_array().expect("a list");
            let with_id = list.iter().filter(|record| record["id"] != Value::Null);
            assert_eq!(with_id.count(), named, "{import_errors:?}: {status}");
            assert!(!list.is_empty(), "{status}");
        });
    }
}

#[test]
fn a_job_with_failures_in_several_pages_and_some_that_cannot_be_read_counts_all() {
    let mut setup = Setup::customers(600).scheduled();
    setup.klaviyo.refuse_profiles = Choice::By(Box::new(|id| id.as_bytes()[1] < b'8'));
    run(setup, async |shop| {
        let refused = shop.world.commercetools(|project| {
            let ids = project.ids(Kind::Customer);
            ids.iter()
                .filter(|id| id.to_string().as_bytes()[1] < b'8')
                .count()
        });
        assert!(refused > 200, "{refused}");
        let status = shop.complete("customers", "").await;
        let counts = &status["counts"];
        assert_eq!(counts["failed"], refused, "{status}");
        assert_eq!(counts["read"], 600);
    });
}
