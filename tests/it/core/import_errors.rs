//! Errors of profile import jobs, in forms that were not recorded: no entry of their list was.

use std::rc::Rc;

use native::shop::run_with;
use native::{Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::klaviyo::Choice;
use sim::seed::Kind;

use crate::support::rewrite::Rewrite;

/// Changes the lists of errors of import jobs.
fn of_errors(change: impl Fn(&mut Vec<Value>) + 'static) -> Rewrite {
    Rewrite {
        call: "GET /api/profile-bulk-import-jobs/",
        change: Box::new(move |body| {
            let errors = body["data"].as_array_mut();
            let errors = errors.filter(|errors| {
                let first = errors.first();
                first.is_some_and(|first| first["type"] == "import-error")
            });
            if let Some(errors) = errors {
                change(errors);
            }
        }),
    }
}

/// Gives every customer an email that Klaviyo rejects.
fn spoil_emails(shop: &Shop) {
    let now = shop.world.clock().now();
    shop.world.commercetools(|project| {
        for id in project.ids(Kind::Customer) {
            project.change(Kind::Customer, id, now, |customer| {
                customer["email"] = "not an email".into();
            });
        }
    });
}

/// Asserts that all 30 customers are there, and that their emails were left out; returns how many phone numbers were, too.
fn all_went_without_email(status: &Value) -> Option<u64> {
    let counts = &status["counts"];
    let outcome = (&counts["sent"], &counts["failed"]);
    assert_eq!(outcome, (&json!(30), &json!(0)), "{status}");
    assert_eq!(counts["notes"]["sent-again-without-email"], 30, "{status}");
    counts["notes"]["sent-again-without-phone-number"].as_u64()
}

#[test]
fn a_profile_whose_email_and_phone_number_are_rejected_goes_again_without_both() {
    // of what it rejects, the simulated account names the first; the other error is added
    let rewrite = of_errors(|errors| {
        let with_phone = errors.iter().filter(|error| {
            error["attributes"]["original_payload"]["attributes"]["phone_number"].is_string()
        });
        let mut more: Vec<Value> = with_phone.cloned().collect();
        for error in &mut more {
            error["id"] = "another".into();
            let pointer = "/data/attributes/profiles/data/0/attributes/phone_number";
            error["attributes"]["source"]["pointer"] = pointer.into();
        }
        errors.extend(more);
    });
    let mut setup = Setup::customers(30).scheduled();
    setup.klaviyo.refuse_phone_numbers = Choice::By(Box::new(|_| true));
    run_with(setup, Rc::new(rewrite), async |shop| {
        spoil_emails(&shop);
        let status = shop.complete("customers", "").await;
        let without_phone = all_went_without_email(&status);
        assert!(without_phone > Some(0), "nobody has a phone number");
        shop.world.klaviyo(|klaviyo| {
            assert_eq!(klaviyo.ledger().profiles().len(), 30);
        });
    });
}

#[test]
fn a_profile_with_an_identifier_of_another_one_goes_again_without_it() {
    // it says which one, or nothing
    for field in ["/attributes/email", ""] {
        let rewrite = of_errors(move |errors| {
            for error in errors {
                error["attributes"]["code"] = "duplicate_profile".into();
                let pointer = format!("/data/attributes/profiles/data/0{field}");
                error["attributes"]["source"]["pointer"] = pointer.into();
            }
        });
        let setup = Setup::customers(30).scheduled();
        run_with(setup, Rc::new(rewrite), async |shop| {
            spoil_emails(&shop);
            let status = shop.complete("customers", "").await;
            let without_phone = all_went_without_email(&status);
            // that is the first that goes where nothing is said
            assert_eq!(without_phone.is_some(), field.is_empty(), "{status}");
        });
    }
}

#[test]
fn a_profile_with_two_errors_is_one_failure() {
    let rewrite = of_errors(|errors| {
        let mut more = errors.clone();
        for error in &mut more {
            error["id"] = "another".into();
            let pointer = "/data/attributes/profiles/data/0/attributes/location/country";
            error["attributes"]["source"]["pointer"] = pointer.into();
        }
        errors.extend(more);
    });
    let mut setup = Setup::customers(10).scheduled();
    setup.klaviyo.refuse_profiles = Choice::By(Box::new(|id| id.ends_with(['3', '7'])));
    run_with(setup, Rc::new(rewrite), async |shop| {
        let status = shop.complete("customers", "").await;
        let there = shop
            .world
            .klaviyo(|klaviyo| klaviyo.ledger().profiles().len());
        assert!(there < 10, "none was rejected");
        assert_eq!(status["counts"]["sent"], there, "{status}");
        assert_eq!(status["counts"]["failed"], 10 - there, "{status}");
        let named = status["setAside"].as_array().expect("a list");
        assert_eq!(named.len(), 10 - there, "{named:?}");
    });
}

#[test]
fn errors_in_an_unknown_form_are_failures_all_the_same() {
    let odd: [fn(&mut Value); 5] = [
        |error| *error = json!("no"),
        |error| error["attributes"] = Value::Null,
        |error| error["attributes"]["code"] = 400.into(),
        |error| error["attributes"]["source"] = json!(["/data"]),
        |error| error["attributes"]["original_payload"] = json!("no"),
    ];
    for change in odd {
        let rewrite = of_errors(move |errors| errors.iter_mut().for_each(change));
        let mut setup = Setup::customers(20).scheduled();
        setup.klaviyo.refuse_profiles = Choice::By(Box::new(|id| id.ends_with(['3', '7', 'a'])));
        run_with(setup, Rc::new(rewrite), async |shop| {
            let status = shop.complete("customers", "").await;
            let there = shop
                .world
                .klaviyo(|klaviyo| klaviyo.ledger().profiles().len());
            assert!(there < 20, "none was rejected");
            assert_eq!(status["counts"]["sent"], there, "{status}");
            assert_eq!(status["counts"]["failed"], 20 - there, "{status}");
        });
    }
}
