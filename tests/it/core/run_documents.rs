//! What is kept in commercetools between windows, and perhaps between versions of the app: every field of every version,
//! as it was written, is read and written the same.

use std::time::Duration;

use http::Method;
use klaviyo_bulk_import::error::POLICY;
use klaviyo_bulk_import::run::plan::{self, Plan};
use klaviyo_bulk_import::run::state::{self, Resource, RunDocument};
use klaviyo_bulk_import::run::store::Saved;
use native::{Call, Operator, Setup};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sim::klaviyo::JobTimes;

use crate::support::described::run;

/// Reads a document of this version and writes it again.
fn written_again<D: DeserializeOwned + Serialize>(golden: &str) -> (Value, Value) {
    let golden: Value = serde_json::from_str(golden).expect("a golden file is JSON");
    let document: D = serde_json::from_value(golden.clone()).expect("this version reads it");
    let again = serde_json::to_value(&document).expect("it can be written");
    (golden, again)
}

#[test]
fn documents_of_this_version_are_read_and_written_as_they_were() {
    assert_eq!(
        (state::SCHEMA, plan::SCHEMA),
        (3, 2),
        "a new version has a golden file of its own"
    );
    let (golden, again) = written_again::<RunDocument>(include_str!("run_documents/run-3.json"));
    assert_eq!(again, golden);
    // a run of changes that prunes, in all forms that a document has beside those
    let changes = include_str!("run_documents/run-3-changes.json");
    let (golden_of_changes, again) = written_again::<RunDocument>(changes);
    assert_eq!(again, golden_of_changes);
    // as it was before digests were written more densely, and jobs in groups
    let lists = include_str!("run_documents/run-3-lists.json");
    assert_eq!(written_again::<RunDocument>(lists).1, golden);
    let (golden, again) = written_again::<Plan>(include_str!("run_documents/plan-2.json"));
    assert_eq!(again, golden);
}

#[test]
fn documents_of_earlier_versions_are_read_and_written_as_this_one_does() {
    assert_eq!((state::OLDEST_SCHEMA, plan::OLDEST_SCHEMA), (1, 1));
    run(Setup::customers(0), async |shop| {
        let engine = shop.engine();
        let deadline = engine.deadline(Duration::from_secs(20));
        let put = |key: &str, golden: &str| {
            let golden: Value = serde_json::from_str(golden).expect("a golden file is JSON");
            shop.put_document(key, &golden);
            golden
        };
        // what the golden files have that is of the moment they were written at
        let of_the_moment = |mut document: Value| {
            for name in ["updatedAt", "writeId", "objectId"] {
                document.as_object_mut().expect("an object").remove(name);
            }
            document
        };
        let mut latest = put("products", include_str!("run_documents/run-2.json"));
        let load = engine.store.load(Resource::Products, deadline).await;
        let mut known = load.expect("it is read").expect("it is there");
        let saved = engine.store.save(&mut known, deadline).await;
        assert_eq!(saved.expect("commercetools answers"), Saved::Done);
        latest["schema"] = 3.into();
        let stored = shop.document("products");
        assert_eq!(of_the_moment(stored), of_the_moment(latest));

        let mut run = put("products", include_str!("run_documents/run-1.json"));
        let load = engine.store.load(Resource::Products, deadline).await;
        let mut known = load.expect("it is read").expect("it is there");
        let saved = engine.store.save(&mut known, deadline).await;
        assert_eq!(saved.expect("commercetools answers"), Saved::Done);
        run["schema"] = 3.into();
        let set_aside = run["setAside"].as_array().expect("a list").iter();
        let named = set_aside.filter(|one| one["outcome"] == "failed" && one["id"].is_string());
        run["namedFailures"] = named.count().into();
        run["rememberedFailures"] = run["counts"]["failed"].clone();
        let stored = shop.document("products");
        assert_eq!(of_the_moment(stored), of_the_moment(run));

        let mut plan = put(plan::KEY, include_str!("run_documents/plan-1.json"));
        let load = engine.store.load_key::<Plan>(plan::KEY, deadline).await;
        let mut known = load.expect("it is read").expect("it is there");
        let saved = engine.store.save(&mut known, deadline).await;
        assert_eq!(saved.expect("commercetools answers"), Saved::Done);
        plan["schema"] = 2.into();
        let stored = shop.document(plan::KEY);
        assert_eq!(of_the_moment(stored), of_the_moment(plan));
    });
}

#[test]
fn a_document_of_another_version_or_of_nobody_is_left_alone_and_said() {
    let row = "commercetools: a run document that this version cannot read";
    let row = POLICY.iter().find(|policy| policy.what == row);
    let advice = row.expect("the table has this row").advice;
    run(Setup::customers(3).scheduled(), async |shop| {
        shop.complete("customers", "").await;
        let known = shop.document("customers");
        let changed = |member: &str, value: Value| {
            let mut changed = known.clone();
            changed[member] = value;
            changed
        };
        let golden = include_str!("run_documents/run-1.json");
        let mut newer: Value = serde_json::from_str(golden).expect("a golden file is JSON");
        newer["schema"] = 4.into();
        for (document, said) in [
            (newer, "has schema 4, this version of the app knows 1 to 3"),
            (changed("schema", json!(99)), "has schema 99"),
            (
                changed("whatIsNotKnownHere", json!([])),
                "is not as this version writes it",
            ),
            (
                json!({"schema": 3, "whatIsNew": true}),
                "is not as this version writes it",
            ),
            (json!({"schema": 1}), "is not as this version writes it"),
            (json!("somebody's"), "is not as this version writes it"),
        ] {
            shop.put_document("customers", &document);
            for (method, path) in [
                (Method::GET, "/sync/customers"),
                (Method::POST, "/sync/customers"),
                (Method::POST, "/sync/customers/continue"),
                (Method::POST, "/sync/customers/stop"),
                (Method::GET, "/sync/status"),
            ] {
                let answer = shop.send(Call::new(method, path)).await;
                assert_eq!(answer.status, 502, "{path}: {answer:?}");
                assert_eq!(answer.body["advice"], advice, "{path}: {answer:?}");
                let text = answer.body.to_string();
                assert!(
                    text.contains(said) && text.contains("delete the custom object"),
                    "{path}: {text}"
                );
            }
            let stored = shop.document("customers");
            assert_eq!(stored, document, "it was written over");
        }
        shop.put_document("customers", &known);
        assert_eq!(shop.status("customers").await["status"], "completed");
    });
}

#[test]
fn moments_that_no_run_sets_hold_nobody_up() {
    let mut setup = Setup::customers(300).scheduled();
    // slow enough that the job is still under way when the first window ends
    setup.klaviyo.job_times = JobTimes::taking(Duration::from_secs(41));
    run(setup, async |shop| {
        shop.start("customers", "").await;
        shop.go_on("customers").await;

        // as an invocation writes it that takes it to be 2099
        shop.change_document("customers", |document| {
            let moment = json!("2099-01-01T00:00:00Z");
            document["lease"] = json!({"holder": "0123456789abcdef", "until": moment});
            document["notBefore"] = moment.clone();
            document["updatedAt"] = moment.clone();
            let jobs = document["cursor"]["jobs"].as_array_mut();
            for job in jobs.filter(|jobs| !jobs.is_empty()).expect("jobs") {
                job["due"] = moment.clone();
                job["since"] = moment.clone();
            }
        });

        let mut status = Value::Null;
        for _ in 0..10 {
            shop.go_on("customers").await;
            status = shop.status("customers").await;
            if status["status"] != "running" {
                break;
            }
            shop.pass(Duration::from_secs(30)).await;
        }
        assert_eq!(status["status"], "completed", "{status}");
        assert_eq!(status["counts"]["sent"], 300, "{status}");
    });
}
