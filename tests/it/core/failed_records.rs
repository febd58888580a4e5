//! Records that failed are remembered until they are imported, or dismissed.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use native::environment::{Answered, Destination};
use native::{Interceptor, Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::klaviyo::Choice;
use sim::seed::Kind;

use crate::support::described::run;

fn refuse(shop: &Shop, ids: &[String]) {
    shop.world.klaviyo(|klaviyo| {
        klaviyo.options_mut().refuse_profiles = Choice::ids(ids.to_vec());
    });
}

/// A customer is changed, a while after the last run.
async fn change(shop: &Shop, id: &str) {
    shop.pass(Duration::from_secs(120)).await;
    shop.change_record(Kind::Customer, id, |customer| {
        customer["title"] = "Dr.".into();
    });
}

fn remembered(shop: &Shop) -> Vec<String> {
    let document = shop.document("customers-failures");
    let lists = ["remembered", "failed"].map(|name| document[name].as_array().expect("a list"));
    let ids = lists.into_iter().flatten();
    let ids = ids.map(|id| id.as_str().expect("an id").to_owned());
    let ids: BTreeSet<String> = ids.collect();
    ids.into_iter().collect()
}

#[test]
fn a_nightly_run_does_not_forget_what_failed_before_it() {
    run(Setup::customers(60).scheduled(), async |shop| {
        let ids = shop.ids(Kind::Customer);
        let bad = vec![ids[3].clone(), ids[20].clone(), ids[41].clone()];
        refuse(&shop, &bad);
        shop.complete("customers", "").await;
        assert_eq!(remembered(&shop), bad);
        let stored = shop.stored("customers-failures").expect("it is there");

        // two nights without anything that fails
        let since = json!({"since": "lastRun"});
        for _ in 0..2 {
            change(&shop, &ids[7]).await;
            let night = shop.complete("customers", &since).await;
            assert_eq!(night["counts"]["failed"], 0);
            assert_eq!(night["failedRecords"], 3, "{night}");
            let advice = night["advice"].as_str().expect("advice");
            assert!(advice.contains("3 records of earlier runs"), "{advice}");
        }
        let unchanged = shop.stored("customers-failures").expect("it is there");
        assert_eq!(
            unchanged.version, stored.version,
            "it was written for nothing"
        );

        // one of them is mended in commercetools, and arrives with the next night
        refuse(&shop, &bad[1..]);
        change(&shop, &bad[0]).await;
        let night = shop.complete("customers", &since).await;
        assert_eq!(night["failedRecords"], 2, "{night}");
        assert_eq!(remembered(&shop), bad[1..]);

        // the others are imported again: one fails again, one is gone
        refuse(&shop, &bad[1..2]);
        let gone = bad[2].parse().expect("an id");
        assert!(
            shop.world
                .commercetools(|project| project.delete(Kind::Customer, gone))
        );
        let retry = json!({"retryFailed": true});
        let again = shop.complete("customers", &retry).await;
        assert_eq!(again["counts"]["read"], 2, "{again}");
        assert_eq!(remembered(&shop), bad[1..2]);

        refuse(&shop, &[]);
        let again = shop.complete("customers", &retry).await;
        assert_eq!(
            (&again["counts"]["sent"], &again["failedRecords"]),
            (&json!(1), &json!(0))
        );
        shop.posted("/sync/customers", retry, 400).await;
        shop.assert_ledger(&[Kind::Customer]);
    });
}

#[test]
fn what_failed_is_dismissed_when_nobody_works() {
    run(Setup::customers(30).scheduled(), async |shop| {
        let dismiss = json!({"dismissFailed": true});
        let answer = shop.posted("/sync/customers", &dismiss, 200).await;
        assert_eq!(answer["dismissed"], 0);
        refuse(&shop, &shop.ids(Kind::Customer)[..5]);
        shop.complete("customers", "").await;
        shop.start("customers", json!({"since": "lastRun"})).await;
        shop.posted("/sync/customers", &dismiss, 423).await;
        shop.ticked("customers").await;
        let answer = shop.posted("/sync/customers", &dismiss, 200).await;
        assert_eq!(answer, json!({"resource": "customers", "dismissed": 5}));
        let status = shop.status("customers").await;
        assert_eq!(
            (&status["failedRecords"], &status["advice"]),
            (&json!(0), &json!("Nothing."))
        );
        shop.posted("/sync/customers", json!({"retryFailed": true}), 400)
            .await;
        let body = json!({"dismissFailed": true, "dryRun": true});
        shop.posted("/sync/customers", body, 400).await;
    });
}

#[test]
fn nothing_is_forgotten_between_two_saves_that_fail() {
    for write in 1..=6 {
        for fault in [Fault::LoseRequest, Fault::LoseAnswer, Fault::Double] {
            let setup = Setup::customers(40)
                .scheduled()
                .variable("window_seconds", 5);
            run(setup, async |shop| {
                let ids = shop.ids(Kind::Customer);
                let bad = vec![ids[1].clone(), ids[30].clone()];
                refuse(&shop, &bad);
                let fault = Rule::nth(write, fault.clone()).path("custom-objects");
                shop.world.commercetools_faults().add(fault);
                shop.start_despite_faults("customers").await;
                shop.complete_despite_faults("customers", 20).await;
                assert_eq!(remembered(&shop), bad, "write {write}");
                assert_eq!(shop.status("customers").await["failedRecords"], 2);
            });
        }
    }
}

/// Others write the document of the failed customers just before this app does, so many times.
struct Contended(Rc<Cell<u32>>);

impl Interceptor for Contended {
    fn request(&self, _to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let is_write = request.method() == "POST" && request.uri().path().contains("custom-object");
        let body = std::str::from_utf8(request.body()).unwrap_or_default();
        let times = self.0.get();
        if times == 0 || !is_write || !body.contains("\"customers-failures\"") {
            return None;
        }
        self.0.set(times - 1);
        let conflict = json!({
            "statusCode": 409,
            "message": "Version mismatch",
            "errors": [{"code": "ConcurrentModification", "message": "Version mismatch"}],
        });
        let answer = Response::builder()
            .status(409)
            .header("content-type", "application/json");
        let answer = answer.body(conflict.to_string().into());
        Some(Ok(answer.expect("a response")))
    }
}

#[test]
fn a_document_that_others_change_each_time_is_written_when_they_have_done() {
    const MESSAGE: &str = "was changed by others each time";
    run(Setup::customers(40).scheduled(), async |shop| {
        let bad = shop.ids(Kind::Customer)[7..9].to_vec();
        refuse(&shop, &bad);
        let times = Rc::new(Cell::new(u32::MAX));
        let contended = shop.another_with(&[], Rc::new(Contended(times.clone())));
        contended.start("customers", "").await;
        for _ in 0..3 {
            contended.go_on("customers").await;
            contended.pass(Duration::from_secs(60)).await;
        }
        let status = contended.status("customers").await;
        assert_eq!(status["status"], "running", "{status}");
        let log = contended.log().join("\n");
        assert!(log.contains(MESSAGE), "{log}");
        times.set(3);
        let last = contended.ticked("customers").await.pop().expect("a tick");
        assert_eq!(last["status"], "completed", "{last}");
        assert_eq!((times.get(), remembered(&shop)), (0, bad));

        times.set(u32::MAX);
        let dismiss = json!({"dismissFailed": true});
        let answer = contended.posted("/sync/customers", &dismiss, 503).await;
        assert!(answer.to_string().contains(MESSAGE), "{answer}");
        times.set(2);
        let answer = contended.posted("/sync/customers", &dismiss, 200).await;
        assert_eq!(answer["dismissed"], 2);
    });
}

#[test]
fn orders_that_were_to_trigger_flows_are_imported_again_so() {
    run(Setup::orders(40).scheduled(), async |shop| {
        let ids = shop.ids(Kind::Order);
        let refuse = |ids: Vec<String>| {
            shop.world.klaviyo(|klaviyo| {
                klaviyo.options_mut().refuse_events = Choice::By(Box::new(move |event: &str| {
                    ids.iter().any(|id| event.contains(id.as_str()))
                }));
            });
        };
        refuse(vec![ids[2].clone()]);
        shop.complete("orders", json!({"ids": [ids[2]], "triggerFlows": true}))
            .await;
        refuse(vec![ids[2].clone(), ids[9].clone()]);
        shop.complete("orders", json!({"ids": [ids[9]]})).await;
        refuse(Vec::new());
        let retry = json!({"retryFailed": true});
        let answer = shop.start("orders", &retry).await;
        assert_eq!(
            answer["retried"],
            json!({"records": 1, "left": 1, "missed": 0})
        );
        assert_eq!(answer["options"]["triggerFlows"], true);
        shop.ticked("orders").await;
        let answer = shop.start("orders", &retry).await;
        assert_eq!(
            answer["retried"],
            json!({"records": 1, "left": 0, "missed": 0})
        );
        assert_eq!(answer["options"]["triggerFlows"], false);
        shop.ticked("orders").await;
        let status = shop.status("orders").await;
        assert_eq!(status["failedRecords"], 0, "{status}");
    });
}

#[test]
fn what_is_skipped_leaves_room_in_the_report_for_what_failed() {
    const ORDERS: u32 = 700;
    run(Setup::orders(ORDERS).scheduled(), async |shop| {
        // the first six hundred have nobody whom they belong to
        let ids = shop.ids(Kind::Order);
        for id in &ids[..600] {
            shop.change_record(Kind::Order, id, |order| {
                let order = order.as_object_mut().expect("an object");
                order.remove("customerEmail");
                order.remove("customerId");
            });
        }
        let bad = ids[690].clone();
        shop.world.klaviyo(|klaviyo| {
            klaviyo.options_mut().refuse_events =
                Choice::By(Box::new(move |event: &str| event.contains(&bad)));
        });
        let status = shop.complete("orders", "").await;
        assert!(
            status["counts"]["skipped"]["no-identifier"].as_u64() >= Some(600),
            "{status}"
        );
        let set_aside = status["setAside"].as_array().expect("a list");
        let failed: Vec<&Value> = set_aside
            .iter()
            .filter(|one| one["outcome"] == "failed")
            .collect();
        assert_eq!((failed.len(), &failed[0]["id"]), (1, &json!(ids[690])));
        assert_eq!(set_aside.len(), 500);
    });
}
