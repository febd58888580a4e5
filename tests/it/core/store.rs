//! Writes of documents: which of two wins, and whose a write was that arrived twice or whose answer was lost.

use std::time::Duration;

use futures_util::future::join;
use http::Method;
use jiff::Timestamp;
use klaviyo_bulk_import::run::engine::Engine;
use klaviyo_bulk_import::run::state::{Cursor, Resource, RunDocument, RunOptions, Status};
use klaviyo_bulk_import::run::store::{Saved, Stored};
use klaviyo_bulk_import::time::Deadline;
use native::{Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::commercetools::RacingCreation;
use sim::faults::{Fault, Rule};
use sim::seed::Kind;

use crate::support::described::run;

/// Writes of documents arrive twice.
fn double_writes(shop: &Shop, rule: fn(Fault) -> Rule) {
    let rule = rule(Fault::Double).method(Method::POST);
    let faults = shop.world.commercetools_faults();
    faults.add(rule.path("custom-objects"));
}

/// Writes of documents that were answered with this status.
fn refused_writes(shop: &Shop, status: u16) -> u64 {
    let calls = shop.world.commercetools_server().calls();
    let call = ("POST /sim-shop/custom-objects".to_owned(), status);
    calls.get(&call).copied().unwrap_or_default()
}

#[test]
fn writes_that_arrive_twice_end_no_run() {
    // several windows of some saves each, none of them with anybody to pick it up
    let setup = Setup::customers(4_000)
        .variable("window_seconds", 1)
        .latency_ms(200);
    run(setup, async |shop| {
        double_writes(&shop, Rule::always);
        let status = shop.import("customers", "").await;
        assert_eq!(status["status"], "completed", "{status}");
        assert!(status["window"].as_u64() > Some(2), "{status}");
        shop.assert_ledger(&[Kind::Customer]);
    });
}

#[test]
fn a_launch_that_arrives_twice_begins_its_run() {
    for continuation in ["self", "scheduler"] {
        let setup = Setup::customers(20).variable("continuation", continuation);
        run(setup, async |shop| {
            double_writes(&shop, |fault| Rule::nth(1, fault));
            let answer = shop.posted("/sync/customers", json!({}), 202).await;
            if continuation == "scheduler" {
                double_writes(&shop, |fault| Rule::nth(1, fault));
                let answer = shop.go_on("customers").await;
                assert_eq!(answer.body["outcome"], "worked", "{}", answer.body);
            } else {
                let status = shop.over("customers").await;
                assert_eq!(status["runId"], answer["runId"]);
                shop.assert_ledger(&[Kind::Customer]);
            }
            assert!(refused_writes(&shop, 409) > 0, "no write arrived twice");
        });
    }
}

#[test]
fn of_two_creations_the_later_is_locked_however_commercetools_says_it() {
    run(Setup::customers(3).latency_ms(200), async |shop| {
        shop.world.commercetools(|project| {
            project.refuse_racing_creations(RacingCreation::DuplicateField);
        });
        let start = || shop.post("/sync/customers", "");
        let (one, other) = join(start(), start()).await;
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [202, 423], "{} {}", one.body, other.body);
        assert_eq!(refused_writes(&shop, 400), 1);
        shop.over("customers").await;
        shop.assert_ledger(&[Kind::Customer]);

        // the plan is created as well
        let plan = || shop.post("/sync", json!({"resources": ["customers"]}));
        let (one, other) = join(plan(), plan()).await;
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [202, 423], "{} {}", one.body, other.body);
    });
}

fn deadline(engine: &Engine) -> Deadline {
    engine.deadline(Duration::from_secs(20))
}

fn document(run_id: &str) -> RunDocument {
    RunDocument::start(
        Resource::Customers,
        run_id.to_owned(),
        RunOptions::default(),
        Cursor::default(),
        Timestamp::UNIX_EPOCH,
    )
}

async fn save(engine: &Engine, stored: &mut Stored) -> Saved {
    let saved = engine.store.save(stored, deadline(engine)).await;
    saved.expect("commercetools answers")
}

async fn load(engine: &Engine) -> Option<Stored> {
    let loaded = engine.store.load(Resource::Customers, deadline(engine));
    loaded.await.expect("commercetools answers")
}

fn delete(shop: &Shop) {
    assert!(shop.delete_document("customers"));
}

#[test]
fn a_run_whose_document_was_deleted_does_not_write_over_the_next() {
    run(Setup::customers(0), async |shop| {
        let engine = shop.engine();
        let mut old = Stored::new(document("old"));
        assert_eq!(save(&engine, &mut old).await, Saved::Done);
        delete(&shop);
        let mut new = Stored::new(document("new"));
        assert_eq!(save(&engine, &mut new).await, Saved::Done);
        assert_eq!(old.version, new.version, "else the version tells");

        // commercetools compares versions only
        assert_eq!(save(&engine, &mut old).await, Saved::Lost);
        // until the new run writes again, nobody takes what stands there for a run
        let seen = load(&engine).await.expect("a document").document;
        assert_eq!((seen.status, seen.is_going_on()), (Status::Stopped, false));
        assert!(seen.is_held(engine.now()), "the new run may be at work");
        new.document.window = 7;
        assert_eq!(save(&engine, &mut new).await, Saved::Done);
        assert_eq!(save(&engine, &mut old).await, Saved::Lost);
        let seen = load(&engine).await.expect("a document").document;
        assert_eq!((seen.run_id.as_str(), seen.window), ("new", 7));
        assert!(seen.is_going_on());
        assert_eq!(save(&engine, &mut new).await, Saved::Done);
    });
}

#[test]
fn a_run_whose_document_was_deleted_does_not_create_it_again() {
    run(Setup::customers(0), async |shop| {
        let engine = shop.engine();
        for withdrawal_fails in [false, true] {
            let mut old = Stored::new(document("old"));
            assert_eq!(save(&engine, &mut old).await, Saved::Done);
            assert_eq!(save(&engine, &mut old).await, Saved::Done);
            delete(&shop);
            if withdrawal_fails {
                let rule = Rule::always(Fault::refuse(403)).method(Method::DELETE);
                shop.world.commercetools_faults().add(rule);
            }
            // commercetools creates what is not there, whatever the version
            assert_eq!(save(&engine, &mut old).await, Saved::Lost);
            let seen = load(&engine).await.map(|seen| seen.document);
            let is_going_on = seen.as_ref().map(RunDocument::is_going_on);
            assert_eq!(is_going_on, withdrawal_fails.then_some(false));
        }
        // whoever starts then goes over it, as soon as nobody can be at work on it
        let known = load(&engine).await;
        let mut new = Stored::over(known.as_ref(), document("new"));
        assert_eq!(save(&engine, &mut new).await, Saved::Done);
        assert!(load(&engine).await.expect("a run").document.is_going_on());
    });
}

#[test]
fn a_write_whose_answer_is_lost_after_the_deletion_is_not_taken_for_the_run() {
    run(Setup::customers(0), async |shop| {
        let engine = shop.engine();
        let mut old = Stored::new(document("old"));
        assert_eq!(save(&engine, &mut old).await, Saved::Done);
        delete(&shop);
        let rule = Rule::nth(1, Fault::LoseAnswer).method(Method::POST);
        let faults = shop.world.commercetools_faults();
        faults.add(rule.path("custom-objects"));
        assert_eq!(save(&engine, &mut old).await, Saved::Lost);
        assert!(load(&engine).await.is_none());
    });
}

#[test]
fn a_deletion_within_the_lease_ends_the_run_and_another_can_begin() {
    run(Setup::customers(2_000).latency_ms(300), async |shop| {
        let old = shop.start("customers", "").await["runId"].clone();
        // in the middle of its first window, in which its version is that of a new document
        shop.pass(Duration::from_secs(2)).await;
        assert_eq!(shop.status("customers").await["runId"], old);
        delete(&shop);
        let new = shop.start("customers", "").await["runId"].clone();
        let is_over = |status: &Value| status["runId"] == new && status["status"] != "running";
        let status = shop.until("customers", is_over).await;
        assert_eq!(status["status"], "completed", "{status}");
        shop.assert_ledger(&[Kind::Customer]);
    });
}

#[test]
fn a_write_tells_commercetools_time_to_the_millisecond() {
    run(Setup::customers(0), async |shop| {
        let engine = shop.engine();
        let behind = || {
            let now = shop.world.clock().now();
            now.duration_since(engine.now()).as_secs_f64()
        };
        let into_second = shop.world.clock().now().subsec_nanosecond();
        let rest = Duration::from_nanos(u64::try_from(1_900_000_000 - into_second).expect("less"));
        shop.pass(rest).await;
        load(&engine).await;
        assert!(behind() > 0.85, "a Date is cut to the second: {}", behind());
        let mut stored = Stored::new(document("run"));
        assert_eq!(save(&engine, &mut stored).await, Saved::Done);
        assert!((0.0..0.05).contains(&behind()), "{}", behind());
    });
}
