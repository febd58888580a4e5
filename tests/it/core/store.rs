//! Writes of documents: which of two wins, and whose a write was that arrived twice or whose answer was lost.

use std::time::Duration;

use futures_util::future::join;
use http::Method;
use jiff::Timestamp;
use klaviyo_bulk_import::run::engine::Engine;
use klaviyo_bulk_import::run::state::{Cursor, Resource, RunDocument, RunOptions, Status};
use klaviyo_bulk_import::run::store::{CONTAINER, Saved, Stored};
use klaviyo_bulk_import::time::Deadline;
use serde_json::{Value, json};
use sim::commercetools::RacingCreation;
use sim::faults::{Fault, Rule};
use sim::seed::Kind;
use sim::world::World;

use crate::support::native::{app, run};
use crate::support::operator::{get, import, over, post, until};
use crate::support::{Setup, assert_ledger};

/// Writes of documents arrive twice.
fn double_writes(world: &World, rule: fn(Fault) -> Rule) {
    let rule = rule(Fault::Double).method(Method::POST);
    world
        .commercetools_faults()
        .add(rule.path("custom-objects"));
}

/// Writes of documents that were answered with this status.
fn refused_writes(world: &World, status: u16) -> u64 {
    let calls = world.commercetools_server().calls();
    let call = ("POST /sim-shop/custom-objects".to_owned(), status);
    calls.get(&call).copied().unwrap_or_default()
}

#[test]
fn writes_that_arrive_twice_end_no_run() {
    run(async || {
        // several windows of some saves each, none of them with anybody to pick it up
        let mut setup = Setup::customers(1_500)
            .variable("window_seconds", "1")
            .latency_ms(200);
        let world = setup.world().await;
        let app = app(&setup, &world);
        double_writes(&world, Rule::always);
        let status = import(&app, &world, "customers", json!({})).await;
        assert_eq!(status["status"], "completed", "{status}");
        assert!(status["window"].as_u64() > Some(2), "{status}");
        assert_ledger(&world, &[Kind::Customer]);
    });
}

#[test]
fn a_launch_that_arrives_twice_begins_its_run() {
    run(async || {
        for continuation in ["self", "scheduler"] {
            let mut setup = Setup::customers(20).variable("continuation", continuation);
            let world = setup.world().await;
            let app = app(&setup, &world);
            double_writes(&world, |fault| Rule::nth(1, fault));
            let (status, answer) = post(&app, "/sync/customers", json!({})).await;
            assert_eq!(status, 202, "{answer}");
            if continuation == "scheduler" {
                double_writes(&world, |fault| Rule::nth(1, fault));
                let path = "/sync/customers/continue";
                let (_, answer) = post(&app, path, Value::Null).await;
                assert_eq!(answer["outcome"], "worked", "{answer}");
            } else {
                let status = over(&app, &world, "customers").await;
                assert_eq!(status["runId"], answer["runId"]);
                assert_ledger(&world, &[Kind::Customer]);
            }
            assert!(refused_writes(&world, 409) > 0, "no write arrived twice");
        }
    });
}

#[test]
fn of_two_creations_the_later_is_locked_however_commercetools_says_it() {
    run(async || {
        let mut setup = Setup::customers(3).latency_ms(200);
        let world = setup.world().await;
        let app = app(&setup, &world);
        world.commercetools(|project| {
            project.refuse_racing_creations(RacingCreation::DuplicateField);
        });
        let start = || post(&app, "/sync/customers", Value::Null);
        let (one, other) = join(start(), start()).await;
        let mut statuses = [one.0, other.0];
        statuses.sort_unstable();
        assert_eq!(statuses, [202, 423], "{one:?} {other:?}");
        assert_eq!(refused_writes(&world, 400), 1);
        over(&app, &world, "customers").await;
        assert_ledger(&world, &[Kind::Customer]);

        // the plan is created as well
        let plan = || post(&app, "/sync", json!({"resources": ["customers"]}));
        let (one, other) = join(plan(), plan()).await;
        let mut statuses = [one.0, other.0];
        statuses.sort_unstable();
        assert_eq!(statuses, [202, 423], "{one:?} {other:?}");
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

fn delete(world: &World) {
    let is_deleted =
        world.commercetools(|project| project.delete_custom_object(CONTAINER, "customers"));
    assert!(is_deleted);
}

#[test]
fn a_run_whose_document_was_deleted_does_not_write_over_the_next() {
    run(async || {
        let mut setup = Setup::customers(0);
        let world = setup.world().await;
        let engine = app(&setup, &world).engine.clone();
        let mut old = Stored::new(document("old"));
        assert_eq!(save(&engine, &mut old).await, Saved::Done);
        delete(&world);
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
    run(async || {
        let mut setup = Setup::customers(0);
        let world = setup.world().await;
        let engine = app(&setup, &world).engine.clone();
        for withdrawal_fails in [false, true] {
            let mut old = Stored::new(document("old"));
            assert_eq!(save(&engine, &mut old).await, Saved::Done);
            assert_eq!(save(&engine, &mut old).await, Saved::Done);
            delete(&world);
            if withdrawal_fails {
                let rule = Rule::always(Fault::refuse(403)).method(Method::DELETE);
                world.commercetools_faults().add(rule);
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
    run(async || {
        let mut setup = Setup::customers(0);
        let world = setup.world().await;
        let engine = app(&setup, &world).engine.clone();
        let mut old = Stored::new(document("old"));
        assert_eq!(save(&engine, &mut old).await, Saved::Done);
        delete(&world);
        let rule = Rule::nth(1, Fault::LoseAnswer).method(Method::POST);
        world
            .commercetools_faults()
            .add(rule.path("custom-objects"));
        assert_eq!(save(&engine, &mut old).await, Saved::Lost);
        assert!(load(&engine).await.is_none());
    });
}

#[test]
fn a_deletion_within_the_lease_ends_the_run_and_another_can_begin() {
    run(async || {
        let mut setup = Setup::customers(2_000).latency_ms(300);
        let world = setup.world().await;
        let app = app(&setup, &world);
        let start = async || {
            let (status, answer) = post(&app, "/sync/customers", json!({})).await;
            assert_eq!(status, 202, "{answer}");
            answer["runId"].clone()
        };
        let old = start().await;
        // in the middle of its first window, in which its version is that of a new document
        world.clock().sleep(Duration::from_secs(2)).await;
        assert_eq!(get(&app, "/sync/customers").await["runId"], old);
        delete(&world);
        let new = start().await;
        let is_over = |status: &Value| status["runId"] == new && status["status"] != "running";
        let status = until(&app, &world, "customers", is_over).await;
        assert_eq!(status["status"], "completed", "{status}");
        assert_ledger(&world, &[Kind::Customer]);
    });
}
