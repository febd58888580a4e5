//! The deletion of the catalogue, by the native core.

use std::time::Duration;

use http::Method;
use sim::faults::{Fault, Rule};
use sim::klaviyo::{Choice, Kind};
use sim::world::World;

use super::catalogue::{catalogue, complete};
use crate::support::assert_contract;
use crate::support::native::{app, call, run};

fn count(world: &World, kind: Kind) -> usize {
    world.klaviyo(|klaviyo| klaviyo.ledger().catalog().entries(kind).len())
}

#[test]
fn a_deletion_leaves_nothing_of_its_kind() {
    run(async || {
        let mut setup = catalogue(130, 260)
            .variable("window_seconds", "6")
            .latency_ms(200);
        let world = setup.world().await;
        let app = app(&setup, &world);
        complete(&app, &world, "categories", "").await;
        complete(&app, &world, "products", "").await;
        let items = count(&world, Kind::Item);
        assert!(items > 200);
        let refuse = Fault::throttle(2);
        world.klaviyo_faults().add(Rule::every(4, refuse));

        let body = r#"{"deleteAll": true, "confirmDeletion": "products"}"#;
        let status = complete(&app, &world, "products", body).await;
        assert_eq!(
            (count(&world, Kind::Item), count(&world, Kind::Variant)),
            (0, 0)
        );
        assert_eq!(count(&world, Kind::Category), 130);
        assert_eq!(status["counts"]["sent"], items, "{status}");

        complete(
            &app,
            &world,
            "categories",
            r#"{"deleteAll": true, "confirmDeletetion": "categories"}"#,
        )
        .await;
        assert_eq!(count(&world, Kind::Category), 0);
        assert_contract(&world);
    });
}

#[test]
fn a_deletion_that_is_killed_goes_on() {
    run(async || {
        let mut setup = catalogue(450, 0)
            .variable("window_seconds", "4")
            .latency_ms(100);
        let world = setup.world().await;
        let app = app(&setup, &world);
        complete(&app, &world, "categories", "").await;
        let body = r#"{"deleteAll": true, "confirmDeletion": "categories"}"#;
        assert_eq!(
            call(&app, Method::POST, "/sync/categories", body).await.0,
            202
        );
        for kill in [5, 20, 60, 120, 250] {
            let window = call(&app, Method::POST, "/sync/categories/continue", "");
            let _ = tokio::time::timeout(Duration::from_millis(kill), window).await;
            world.clock().sleep(Duration::from_secs(15)).await;
        }
        loop {
            call(&app, Method::POST, "/sync/categories/continue", "").await;
            let (_, status) = call(&app, Method::GET, "/sync/categories", "").await;
            if status["status"] == "completed" {
                break;
            }
            assert_eq!(status["status"], "running", "{status}");
            world.clock().sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(count(&world, Kind::Category), 0);
    });
}

#[test]
fn what_cannot_be_deleted_is_said_after_a_bounded_number_of_passes() {
    run(async || {
        let mut setup = catalogue(120, 0);
        let world = setup.world().await;
        let app = app(&setup, &world);
        complete(&app, &world, "categories", "").await;
        let stays =
            world.commercetools(|project| project.ids(sim::seed::Kind::Category)[3].to_string());
        world
            .klaviyo(|klaviyo| klaviyo.options_mut().refuse_entries = Choice::ids([stays.clone()]));
        let body = r#"{"deleteAll": true, "confirmDeletion": "categories"}"#;
        let status = complete(&app, &world, "categories", body).await;
        assert_eq!(count(&world, Kind::Category), 1);
        let counts = &status["counts"];
        assert_eq!(
            (&counts["sent"], &counts["failed"]),
            (&119.into(), &1.into()),
            "{status}"
        );
        assert_eq!(counts["notes"]["left-in-klaviyo"], 1);
        assert_eq!(status["setAside"][0]["id"], stays);
    });
}

#[test]
fn nothing_is_deleted_without_the_right_confirmation() {
    run(async || {
        let mut setup = catalogue(5, 0);
        let world = setup.world().await;
        let app = app(&setup, &world);
        for (resource, body) in [
            ("categories", r#"{"deleteAll": true}"#),
            (
                "categories",
                r#"{"deleteAll": true, "confirmDeletion": "products"}"#,
            ),
            (
                "categories",
                r#"{"deleteAll": false, "confirmDeletion": "categories"}"#,
            ),
            (
                "customers",
                r#"{"deleteAll": true, "confirmDeletion": "customers"}"#,
            ),
            (
                "orders",
                r#"{"deleteAll": true, "confirmDeletion": "orders"}"#,
            ),
        ] {
            let (code, answer) = call(&app, Method::POST, &format!("/sync/{resource}"), body).await;
            assert_eq!(code, 400, "{resource} {body}: {answer}");
            let (_, status) = call(&app, Method::GET, &format!("/sync/{resource}"), "").await;
            assert_eq!(status["status"], "idle", "{resource} {body}");
        }
    });
}
