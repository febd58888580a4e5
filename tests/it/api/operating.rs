//! Operating imports: changes only, resuming, trying failures again, dry runs. Natively; every answer is held to the API's
//! description.

use std::collections::HashSet;

use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::klaviyo::Choice;
use sim::seed::Kind;

use crate::support::native::{app, run};
use crate::support::operator::{import, moment, over, post};
use crate::support::{Setup, assert_counts_add_up, assert_ledger};

#[test]
fn only_what_changed_since_the_last_run_is_imported() {
    run(async || {
        let mut setup = Setup::customers(40);
        let world = setup.world().await;
        let app = app(&setup, &world);
        let (status, answer) = post(&app, "/sync/customers", json!({"since": "lastRun"})).await;
        assert_eq!(status, 400, "{answer}");
        assert!(
            answer["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains("no last run")),
            "{answer}"
        );

        let first = import(&app, &world, "customers", json!({})).await;
        assert_eq!(first["upToDateSince"], first["startedAt"]);
        let id = world.commercetools(|project| project.ids(Kind::Customer)[7]);
        let now = world.clock().now();
        world.commercetools(|project| {
            project.change(Kind::Customer, id, now, |customer| {
                customer["title"] = "Dr.".into();
            })
        });
        let second = import(&app, &world, "customers", json!({"since": "lastRun"})).await;
        assert_eq!(
            (&second["counts"]["read"], &second["total"]),
            (&json!(1), &json!(1)),
            "{second}"
        );
        assert_eq!(second["lastId"], id.to_string());
        assert_eq!(second["upToDateSince"], second["startedAt"]);
        assert_eq!(second["lastReport"]["runId"], first["runId"]);
        assert_ledger(&world, &[Kind::Customer]);

        let third = import(
            &app,
            &world,
            "customers",
            json!({"since": "2000-01-01T00:00:00Z"}),
        )
        .await;
        assert_eq!(third["counts"]["read"], 40);
        let one = import(&app, &world, "customers", json!({"ids": [id.to_string()]})).await;
        assert_eq!(
            one["upToDateSince"], third["startedAt"],
            "a run of some ids was taken for a run of all"
        );
    });
}

#[test]
fn a_failed_run_is_resumed_from_its_cursor_or_given_up() {
    run(async || {
        let mut setup = Setup::customers(60);
        let world = setup.world().await;
        let app = app(&setup, &world);
        let (status, answer) = post(&app, "/sync/customers", json!({"resume": true})).await;
        assert_eq!(status, 400, "{answer}");

        let refuse = || Rule::always(Fault::refuse(403));
        world.klaviyo_faults().add(refuse());
        let failed = import(&app, &world, "customers", json!({})).await;
        assert_eq!(failed["status"], "failed", "{failed}");
        assert!(
            failed["advice"].as_str().is_some_and(
                |advice| advice.contains("klaviyo_auth_key") && advice.contains("resume")
            )
        );
        let (status, answer) = post(&app, "/sync/customers", json!({})).await;
        assert_eq!(status, 423);
        assert!(
            answer["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains("resume")),
            "{answer}"
        );

        let (status, answer) = post(&app, "/sync/customers", json!({"resume": true})).await;
        assert_eq!(
            (status, answer["status"].as_str()),
            (202, Some("running")),
            "{answer}"
        );
        assert_eq!(
            (&answer["runId"], &answer["lastError"]),
            (&failed["runId"], &failed["lastError"])
        );
        assert_eq!(
            over(&app, &world, "customers").await["status"],
            "failed",
            "Klaviyo still refuses"
        );

        world.klaviyo_faults().clear();
        let (status, _) = post(&app, "/sync/customers", json!({"resume": true})).await;
        assert_eq!(status, 202);
        let (status, _) = post(&app, "/sync/customers", json!({"resume": true})).await;
        assert_eq!(status, 409);
        let done = over(&app, &world, "customers").await;
        assert_eq!(
            (&done["status"], &done["runId"]),
            (&json!("completed"), &failed["runId"])
        );
        assert!(done["lastError"].is_null());
        assert_counts_add_up(&done);
        assert_ledger(&world, &[Kind::Customer]);

        world.klaviyo_faults().add(refuse());
        assert_eq!(
            import(&app, &world, "customers", json!({})).await["status"],
            "failed"
        );
        assert_eq!(post(&app, "/sync/customers/stop", Value::Null).await.0, 200);
        assert_eq!(
            post(&app, "/sync/customers", json!({"resume": true}))
                .await
                .0,
            400
        );
    });
}

#[test]
fn what_failed_is_imported_again_and_nothing_else() {
    run(async || {
        let mut setup = Setup::customers(50);
        let world = setup.world().await;
        let app = app(&setup, &world);
        let refused: Vec<String> = world
            .commercetools(|project| project.ids(Kind::Customer))
            .iter()
            .step_by(11)
            .map(ToString::to_string)
            .collect();
        world.klaviyo(|klaviyo| {
            klaviyo.options_mut().refuse_profiles = Choice::ids(refused.clone());
        });
        let first = import(&app, &world, "customers", json!({})).await;
        assert_eq!(first["counts"]["failed"], refused.len(), "{first}");
        assert!(
            first["advice"]
                .as_str()
                .is_some_and(|advice| advice.contains("retryFailed")),
            "{first}"
        );

        let dry = import(&app, &world, "customers", json!({"dryRun": true})).await;
        assert_eq!(dry["lastReport"]["runId"], first["runId"]);

        world.klaviyo(|klaviyo| klaviyo.options_mut().refuse_profiles = Choice::None);
        let (status, answer) = post(&app, "/sync/customers", json!({"retryFailed": true})).await;
        assert_eq!(status, 202, "{answer}");
        assert_eq!(
            answer["retried"],
            json!({"records": refused.len(), "missed": 0})
        );
        let again = over(&app, &world, "customers").await;
        assert_eq!(
            (&again["counts"]["read"], &again["counts"]["sent"]),
            (&json!(refused.len()), &json!(refused.len()))
        );
        assert_ledger(&world, &[Kind::Customer]);
        let (status, answer) = post(&app, "/sync/customers", json!({"retryFailed": true})).await;
        assert_eq!(status, 400, "{answer}");
    });
}

#[test]
fn a_dry_run_counts_everything_sends_nothing_and_shows_masked_documents() {
    run(async || {
        let mut setup = Setup::everything();
        let world = setup.world().await;
        let app = app(&setup, &world);
        for (resource, kinds) in [
            ("customers", &["import profiles"][..]),
            (
                "orders",
                &[
                    "create events: Placed Order",
                    "create events: Ordered Product",
                ],
            ),
        ] {
            let dry = import(&app, &world, resource, json!({"dryRun": true})).await;
            assert_eq!(
                (&dry["status"], &dry["percent"]),
                (&json!("completed"), &json!(100)),
                "{dry}"
            );
            assert!(dry["upToDateSince"].is_null());
            let shown: HashSet<&str> = dry["samples"]
                .as_array()
                .expect("samples")
                .iter()
                .filter_map(|sample| sample["kind"].as_str())
                .collect();
            assert!(kinds.iter().all(|kind| shown.contains(kind)), "{shown:?}");
            assert!(
                !dry["samples"].to_string().contains('@'),
                "an e-mail address: {}",
                dry["samples"]
            );
            let real = import(&app, &world, resource, json!({})).await;
            assert_eq!(dry["counts"], real["counts"], "{resource}");
            assert_eq!(real["samples"], json!([]));
        }
        assert_ledger(&world, &[Kind::Customer, Kind::Order]);
    });
}

#[test]
fn the_last_run_is_the_last_that_completed_for_good() {
    run(async || {
        let mut setup = Setup::customers(30);
        let world = setup.world().await;
        let app = app(&setup, &world);
        let first = import(&app, &world, "customers", json!({})).await;
        let known = &first["startedAt"];

        let dry = import(&app, &world, "customers", json!({"dryRun": true})).await;
        assert_eq!(
            &dry["upToDateSince"], known,
            "a dry run brings nothing up to date"
        );

        // a run that fails and is given up, and one that is stopped before it is worked on
        let fault = Fault::refuse(403);
        world.klaviyo_faults().add(Rule::always(fault));
        let failed = import(&app, &world, "customers", json!({})).await;
        assert_eq!(
            (&failed["status"], &failed["upToDateSince"]),
            (&json!("failed"), known)
        );
        let (status, stopped) = post(&app, "/sync/customers/stop", Value::Null).await;
        assert_eq!((status, &stopped["upToDateSince"]), (200, known));
        let patient = crate::support::native::app(
            &Setup::customers(30).variable("continuation", "scheduler"),
            &world,
        );
        assert_eq!(post(&patient, "/sync/customers", json!({})).await.0, 202);
        let (status, stopped) = post(&patient, "/sync/customers/stop", Value::Null).await;
        assert_eq!(
            (status, &stopped["status"], &stopped["upToDateSince"]),
            (200, &json!("stopped"), known)
        );
        world.klaviyo_faults().clear();

        let (status, answer) = post(&app, "/sync/customers", json!({"since": "lastRun"})).await;
        assert_eq!(status, 202, "{answer}");
        let since = moment(&answer["options"]["since"]);
        let known = moment(known);
        // less the minute that queries may lag behind
        assert_eq!(known.duration_since(since).as_secs(), 60, "{answer}");
        let caught_up = over(&app, &world, "customers").await;
        assert_eq!(caught_up["upToDateSince"], caught_up["startedAt"]);
    });
}

#[test]
fn a_report_that_overflowed_says_how_many_a_retry_misses() {
    run(async || {
        const CUSTOMERS: u32 = 640;
        const NAMED: u64 = 500;
        let mut setup = Setup::customers(CUSTOMERS);
        setup.klaviyo.refuse_profiles = Choice::By(Box::new(|_| true));
        let world = setup.world().await;
        let app = app(&setup, &world);
        let first = import(&app, &world, "customers", json!({})).await;
        let failed = first["counts"]["failed"].as_u64().expect("a count");
        assert!(failed > NAMED, "{failed} failed");
        world.klaviyo(|klaviyo| klaviyo.options_mut().refuse_profiles = Choice::None);
        let (status, answer) = post(&app, "/sync/customers", json!({"retryFailed": true})).await;
        assert_eq!(status, 202, "{answer}");
        assert_eq!(
            answer["retried"],
            json!({"records": NAMED, "missed": failed - NAMED}),
            "{}",
            answer["retried"]
        );
        let again = over(&app, &world, "customers").await;
        assert_eq!(again["counts"]["sent"], NAMED, "{}", again["counts"]);
        let report = &again["lastReport"];
        assert_eq!(
            (&report["runId"], &report["counts"]["failed"]),
            (&first["runId"], &json!(failed))
        );
        let listed = report["setAside"].as_array().map_or(0, Vec::len) as u64;
        assert_eq!(
            listed + report["setAsideOmitted"].as_u64().unwrap_or_default(),
            failed
        );
    });
}

/// Texts of a sample that are not about a person: what stands for those that are, the shape of the document, and what the
/// configuration says.
fn is_harmless(text: &str) -> bool {
    const SHAPE: [&str; 12] = [
        "***",
        "profile",
        "event",
        "metric",
        "Placed Order",
        "Ordered Product",
        "Fulfilled Order",
        "Cancelled Order",
        "EUR",
        "USD",
        "JPY",
        "KWD",
    ];
    let is_id = text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && text
            .bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    SHAPE.contains(&text) || is_id || text.parse::<jiff::Timestamp>().is_ok()
}

#[test]
fn no_sample_of_a_dry_run_tells_anything_about_a_person() {
    run(async || {
        let mut setup = Setup::everything();
        let world = setup.world().await;
        let app = app(&setup, &world);
        for resource in ["customers", "orders"] {
            let dry = import(&app, &world, resource, json!({"dryRun": true})).await;
            let samples = dry["samples"].as_array().expect("samples");
            assert!(samples.len() >= 2, "{resource}: {samples:?}");
            let mut open: Vec<(&str, &Value)> = samples
                .iter()
                .flat_map(|sample| [("", &sample["document"]), ("", &sample["profile"])])
                .collect();
            let mut masked = 0;
            while let Some((key, value)) = open.pop() {
                match value {
                    Value::Object(members) => {
                        open.extend(members.iter().map(|(key, value)| (key.as_str(), value)));
                    }
                    Value::Array(values) => open.extend(values.iter().map(|value| (key, value))),
                    Value::String(text) => {
                        masked += u32::from(text == "***");
                        assert!(is_harmless(text), "{resource}: {key}: {text}");
                    }
                    Value::Number(number) => assert!(
                        [
                            "value",
                            "centAmount",
                            "preciseAmount",
                            "fractionDigits",
                            "quantity",
                            "amount",
                            "version"
                        ]
                        .contains(&key),
                        "{resource}: {key}: {number}"
                    ),
                    Value::Bool(_) | Value::Null => {}
                }
            }
            assert!(masked > 10, "{resource}: {masked} values were masked");
        }
    });
}
