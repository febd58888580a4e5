//! Operating imports: changes only, resuming, trying failures again, dry runs.

use std::collections::HashSet;

use jiff::Timestamp;
use native::call::says;
use native::operator::moment;
use native::{Operator, Setup};
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::klaviyo::Choice;
use sim::seed::Kind;

use crate::support::described::run;

#[test]
fn only_what_changed_since_the_last_run_is_imported() {
    run(Setup::customers(40), async |shop| {
        let last_run = json!({"since": "lastRun"});
        let answer = shop.posted("/sync/customers", &last_run, 400).await;
        assert!(says(&answer["detail"], "no last run"), "{answer}");

        let first = shop.import("customers", "").await;
        assert_eq!(first["upToDateSince"], first["startedAt"]);
        let id = shop.ids(Kind::Customer).swap_remove(7);
        shop.change_record(Kind::Customer, &id, |customer| {
            customer["title"] = "Dr.".into();
        });
        let second = shop.import("customers", &last_run).await;
        assert_eq!(
            (&second["counts"]["read"], &second["total"]),
            (&json!(1), &json!(1)),
            "{second}"
        );
        assert_eq!(second["lastId"], id);
        assert_eq!(second["upToDateSince"], second["startedAt"]);
        assert_eq!(second["lastReport"]["runId"], first["runId"]);
        shop.assert_ledger(&[Kind::Customer]);

        let since = json!({"since": "2000-01-01T00:00:00Z"});
        let third = shop.import("customers", since).await;
        assert_eq!(third["counts"]["read"], 40);
        let one = shop.import("customers", json!({"ids": [id]})).await;
        assert_eq!(
            one["upToDateSince"], third["startedAt"],
            "a run of some ids was taken for a run of all"
        );
    });
}

#[test]
fn a_failed_run_is_resumed_from_its_cursor_or_given_up() {
    run(Setup::customers(60), async |shop| {
        let resume = json!({"resume": true});
        shop.posted("/sync/customers", &resume, 400).await;

        let klaviyo = shop.world.klaviyo_faults();
        klaviyo.add(Rule::always(Fault::refuse(403)));
        let failed = shop.import("customers", "").await;
        assert_eq!(failed["status"], "failed", "{failed}");
        for text in ["klaviyo_auth_key", "resume"] {
            assert!(says(&failed["advice"], text), "{failed}");
        }
        let answer = shop.posted("/sync/customers", "", 423).await;
        assert!(says(&answer["detail"], "resume"), "{answer}");

        let answer = shop.start("customers", &resume).await;
        assert_eq!(answer["status"], "running", "{answer}");
        assert_eq!(
            (&answer["runId"], &answer["lastError"]),
            (&failed["runId"], &failed["lastError"])
        );
        let status = shop.over("customers").await;
        assert_eq!(status["status"], "failed", "Klaviyo still refuses");

        klaviyo.clear();
        shop.start("customers", &resume).await;
        shop.posted("/sync/customers", &resume, 409).await;
        let done = shop.completed("customers").await;
        assert_eq!(done["runId"], failed["runId"]);
        assert!(done["lastError"].is_null());
        shop.assert_ledger(&[Kind::Customer]);

        klaviyo.add(Rule::always(Fault::refuse(403)));
        let failed = shop.import("customers", "").await;
        assert_eq!(failed["status"], "failed");
        assert_eq!(shop.stop("customers").await.status, 200);
        shop.posted("/sync/customers", &resume, 400).await;
    });
}

#[test]
fn what_failed_is_imported_again_and_nothing_else() {
    run(Setup::customers(50), async |shop| {
        let retry = json!({"retryFailed": true});
        let refused: Vec<String> = shop.ids(Kind::Customer).into_iter().step_by(11).collect();
        shop.world.klaviyo(|klaviyo| {
            klaviyo.options_mut().refuse_profiles = Choice::ids(refused.clone());
        });
        let first = shop.import("customers", "").await;
        assert_eq!(first["counts"]["failed"], refused.len(), "{first}");
        assert!(says(&first["advice"], "retryFailed"), "{first}");

        let dry = shop.import("customers", json!({"dryRun": true})).await;
        assert_eq!(dry["lastReport"]["runId"], first["runId"]);

        shop.world
            .klaviyo(|klaviyo| klaviyo.options_mut().refuse_profiles = Choice::None);
        let answer = shop.start("customers", &retry).await;
        let retried = json!({"records": refused.len(), "left": 0, "missed": 0});
        assert_eq!(answer["retried"], retried);
        let again = shop.over("customers").await;
        assert_eq!(
            (&again["counts"]["read"], &again["counts"]["sent"]),
            (&json!(refused.len()), &json!(refused.len()))
        );
        shop.assert_ledger(&[Kind::Customer]);
        shop.posted("/sync/customers", &retry, 400).await;
    });
}

#[test]
fn a_dry_run_counts_everything_sends_nothing_and_shows_masked_documents() {
    run(Setup::everything(), async |shop| {
        let orders = [
            "create events: Placed Order",
            "create events: Ordered Product",
        ];
        for (resource, kinds) in [("customers", &["import profiles"][..]), ("orders", &orders)] {
            let dry = shop.import(resource, json!({"dryRun": true})).await;
            assert_eq!(
                (&dry["status"], &dry["percent"]),
                (&json!("completed"), &json!(100)),
                "{dry}"
            );
            assert!(dry["upToDateSince"].is_null());
            let samples = dry["samples"].as_array().expect("samples");
            let shown = samples.iter().filter_map(|sample| sample["kind"].as_str());
            let shown: HashSet<&str> = shown.collect();
            assert!(kinds.iter().all(|kind| shown.contains(kind)), "{shown:?}");
            let text = dry["samples"].to_string();
            assert!(!text.contains('@'), "an e-mail address: {text}");
            let real = shop.import(resource, "").await;
            assert_eq!(dry["counts"], real["counts"], "{resource}");
            assert_eq!(real["samples"], json!([]));
        }
        shop.assert_ledger(&[Kind::Customer, Kind::Order]);
    });
}

#[test]
fn the_last_run_is_the_last_that_completed_for_good() {
    run(Setup::customers(30), async |shop| {
        let first = shop.import("customers", "").await;
        let known = &first["startedAt"];

        let dry = shop.import("customers", json!({"dryRun": true})).await;
        let dry = &dry["upToDateSince"];
        assert_eq!(dry, known, "a dry run brings nothing up to date");

        // a run that fails and is given up, and one that is stopped before it is worked on
        let klaviyo = shop.world.klaviyo_faults();
        klaviyo.add(Rule::always(Fault::refuse(403)));
        let failed = shop.import("customers", "").await;
        assert_eq!(
            (&failed["status"], &failed["upToDateSince"]),
            (&json!("failed"), known)
        );
        let stopped = shop.posted("/sync/customers/stop", "", 200).await;
        assert_eq!(&stopped["upToDateSince"], known);
        let patient = shop.another(&[("continuation", "scheduler")]);
        patient.start("customers", "").await;
        let stopped = patient.posted("/sync/customers/stop", "", 200).await;
        assert_eq!(
            (&stopped["status"], &stopped["upToDateSince"]),
            (&json!("stopped"), known)
        );
        klaviyo.clear();

        let answer = shop.start("customers", json!({"since": "lastRun"})).await;
        let since = moment(&answer["options"]["since"]);
        let known = moment(known);
        // less the minute that queries may lag behind
        assert_eq!(known.duration_since(since).as_secs(), 60, "{answer}");
        let caught_up = shop.over("customers").await;
        assert_eq!(caught_up["upToDateSince"], caught_up["startedAt"]);
    });
}

#[test]
fn a_retry_knows_more_records_than_the_report_names() {
    const CUSTOMERS: u32 = 640;
    const REPORTED: u64 = 500;
    let mut setup = Setup::customers(CUSTOMERS);
    setup.klaviyo.refuse_profiles = Choice::By(Box::new(|_| true));
    run(setup, async |shop| {
        let first = shop.import("customers", "").await;
        let failed = first["counts"]["failed"].as_u64().expect("a count");
        assert!(failed > REPORTED, "{failed} failed");
        assert_eq!(first["failedRecords"], failed);
        shop.world
            .klaviyo(|klaviyo| klaviyo.options_mut().refuse_profiles = Choice::None);
        let answer = shop.start("customers", json!({"retryFailed": true})).await;
        let retried = json!({"records": failed, "left": 0, "missed": 0});
        assert_eq!(answer["retried"], retried);
        let again = shop.over("customers").await;
        assert_eq!(again["counts"]["sent"], failed, "{}", again["counts"]);
        assert_eq!(again["failedRecords"], 0);
        let report = &again["lastReport"];
        assert_eq!(
            (&report["runId"], &report["counts"]["failed"]),
            (&first["runId"], &json!(failed))
        );
        let listed = report["setAside"].as_array().map_or(0, Vec::len) as u64;
        let omitted = report["setAsideOmitted"].as_u64().unwrap_or_default();
        assert_eq!(listed + omitted, failed);
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
    SHAPE.contains(&text) || is_id || text.parse::<Timestamp>().is_ok()
}

/// Members whose numbers are not about a person.
const AMOUNTS: [&str; 7] = [
    "value",
    "centAmount",
    "preciseAmount",
    "fractionDigits",
    "quantity",
    "amount",
    "version",
];

#[test]
fn no_sample_of_a_dry_run_tells_anything_about_a_person() {
    run(Setup::everything(), async |shop| {
        for resource in ["customers", "orders"] {
            let dry = shop.import(resource, json!({"dryRun": true})).await;
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
                    Value::Number(number) => {
                        assert!(AMOUNTS.contains(&key), "{resource}: {key}: {number}");
                    }
                    Value::Bool(_) | Value::Null => {}
                }
            }
            assert!(masked > 10, "{resource}: {masked} values were masked");
        }
    });
}
