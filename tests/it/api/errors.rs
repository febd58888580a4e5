//! The error table in action: for each row an API that does so, and what becomes of the run.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use klaviyo_bulk_import::error::POLICY;
use klaviyo_bulk_import::ports::TransportError;
use native::environment::{Answered, Destination};
use native::operator::assert_counts_add_up;
use native::{Interceptor, Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::klaviyo::Choice;
use sim::seed::Kind;

use crate::support::described::run;

const CUSTOMERS: u32 = 12;

fn setup() -> Setup {
    Setup::customers(CUSTOMERS)
        .scheduled()
        .variable("id_ranges", 1)
}

/// The advice of a row of the table.
fn advice(what: &str) -> &'static str {
    let row = POLICY.iter().find(|row| row.what == what);
    row.unwrap_or_else(|| panic!("the table has no row {what}"))
        .advice
}

/// Which API goes wrong, and with which of its calls.
#[derive(Clone, Copy)]
enum At {
    /// commercetools' pages of customers.
    Pages,
    /// Klaviyo's import jobs.
    Jobs,
}

fn with_fault(at: At, fault: Fault, times: u64) -> Value {
    run(setup(), async |shop| {
        let (faults, path) = match at {
            At::Pages => (shop.world.commercetools_faults(), "sim-shop/customers"),
            At::Jobs => (shop.world.klaviyo_faults(), "profile-bulk-import-jobs"),
        };
        // the first of the calls for customers counts them
        shop.start("customers", "").await;
        faults.add(Rule::always(fault).path(path).times(times));
        let status = shop.ticked("customers").await.pop().expect("a tick");
        assert!(faults.applied() > 0, "nothing went wrong");
        assert_counts_add_up(&status);
        if status["status"] == "completed" {
            assert_eq!(status["counts"]["failed"], 0, "{status}");
        } else {
            // whatever it was: when it is mended, the run goes on from where it stood
            faults.clear();
            let resumed = shop.complete("customers", json!({"resume": true})).await;
            assert_eq!(resumed["runId"], status["runId"]);
        }
        shop.assert_ledger(&[Kind::Customer]);
        status
    })
}

fn assert_failed(status: &Value, row: &str) {
    assert_eq!(status["status"], "failed", "{row}: {status}");
    assert_eq!(status["lastError"]["advice"], advice(row), "{status}");
    let told = status["advice"].as_str().unwrap_or_default();
    assert!(
        told.starts_with(advice(row)) && told.contains("resume"),
        "{row}: {told}"
    );
    assert!(status["rangesLeft"].as_u64() > Some(0), "{row}: {status}");
}

#[test]
fn what_passes_is_tried_again_or_waited_for_and_the_run_completes() {
    let no_answer = "any: no connection, no response in time, an incomplete response";
    for (row, fault) in [
        ("any: 408, 5xx", Fault::refuse(500)),
        ("any: 408, 5xx", Fault::refuse(408)),
        (no_answer, Fault::LoseAnswer),
        (no_answer, Fault::HalfAnswer),
        ("any: 429", Fault::throttle(2)),
    ] {
        advice(row);
        for at in [At::Pages, At::Jobs] {
            let status = with_fault(at, fault.clone(), 2);
            assert_eq!(status["status"], "completed", "{row} {fault:?}: {status}");
            assert!(status["lastError"].is_null(), "{status}");
        }
    }
}

#[test]
fn what_has_to_be_mended_fails_the_run_with_the_advice_and_is_resumed() {
    for (row, at, code) in [
        ("commercetools: 401", At::Pages, 401),
        ("commercetools: 403", At::Pages, 403),
        ("commercetools: 404", At::Pages, 404),
        ("commercetools: any other 4xx", At::Pages, 400),
        ("Klaviyo: 401, 403", At::Jobs, 401),
        ("Klaviyo: 401, 403", At::Jobs, 403),
        ("Klaviyo: any other 4xx", At::Jobs, 410),
    ] {
        let status = with_fault(at, Fault::refuse(code), u64::MAX);
        assert_failed(&status, row);
    }
}

#[test]
fn a_token_that_is_refused_once_is_fetched_anew() {
    let status = with_fault(At::Pages, Fault::refuse(401), 1);
    assert_eq!(status["status"], "completed", "{status}");
}

#[test]
fn a_scope_that_is_granted_is_used_before_the_token_ends() {
    // the token has all scopes that the client has
    run(setup().variable("ct_scope", ""), async |shop| {
        let scopes = "manage_key_value_documents view_orders view_published_products view_products";
        let without: Vec<&str> = scopes.split(' ').collect();
        let grant = |scopes: &[&str]| {
            shop.world
                .commercetools(|project| project.set_client_scopes(scopes));
        };
        grant(&without);
        let refused = shop.posted("/sync/customers", "", 502).await;
        assert!(refused.to_string().contains("scope"), "{refused}");
        let with: Vec<&str> = without.into_iter().chain(["view_customers"]).collect();
        grant(&with);
        // the same instance has a token that it may use for hours
        shop.pass(Duration::from_secs(61)).await;
        shop.posted("/sync/customers", "", 202).await;
    });
}

#[test]
fn an_api_that_stays_away_is_waited_out() {
    /// Requests that are answered 503: those of more than five windows.
    const OUTAGE: u64 = 500;
    run(setup(), async |shop| {
        let faults = shop.world.klaviyo_faults();
        faults.add(Rule::always(Fault::refuse(503)).times(OUTAGE));
        let status = shop.carried("customers", "").await;
        assert_eq!(status["status"], "completed", "{status}");
        assert_eq!(status["counts"]["sent"], CUSTOMERS, "{status}");
        let lines = shop.log();
        let events = lines.iter().map(|line| {
            let line: Value = serde_json::from_str(line).expect("a log line is JSON");
            line["event"].as_str().unwrap_or_default().to_owned()
        });
        let events: Vec<String> = events.collect();
        let failed = events.iter().filter(|event| *event == "window_failed");
        assert!(failed.count() > 5, "{events:?}");
        assert!(
            !events.iter().any(|event| event == "run_failed"),
            "{events:?}"
        );
    });
}

#[test]
fn records_that_klaviyo_refuses_are_set_aside_and_the_others_go_on() {
    let mut setup = setup();
    setup.klaviyo.refuse_imports = Choice::By(Box::new(|id| id.ends_with('a')));
    run(setup, async |shop| {
        let ids = shop.ids(Kind::Customer);
        let refused = ids.iter().filter(|id| id.ends_with('a')).count();
        let status = shop.complete("customers", "").await;
        assert_eq!(status["counts"]["failed"], refused, "{status}");
        let sent = CUSTOMERS as usize - refused;
        assert_eq!(status["counts"]["sent"], sent, "{status}");
        assert_eq!(status["setAside"].as_array().map(Vec::len), Some(refused));
    });
}

#[test]
fn a_start_without_a_token_is_told_which_variable_to_mend() {
    run(setup(), async |shop| {
        let auth_url = format!("{}/elsewhere", shop.values()["ct_auth_url"]);
        let client = r#"{"clientId":"no","secret":"hush-hush"}"#;
        let scope = "manage_project:sim-shop";
        for (row, variable, value) in [
            ("400, 401, 403", "ct_api_client", client),
            ("400 invalid_scope", "ct_scope", scope),
            ("any other 4xx", "ct_auth_url", &auth_url),
        ] {
            let row = format!("commercetools (token): {row}");
            let misconfigured = shop.another(&[(variable, value)]);
            let answer = misconfigured.posted("/sync/customers", "", 502).await;
            assert_eq!(answer["advice"], advice(&row), "{answer}");
            assert!(!answer.to_string().contains("hush-hush"));
        }
        assert!(shop.stored("customers").is_none());
    });
}

/// Calls that come to nothing, whatever the APIs do.
struct Failing(fn(&Request<Bytes>) -> Option<TransportError>);

impl Interceptor for Failing {
    fn request(&self, _to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        (self.0)(request).map(Err)
    }
}

/// Imports customers while some calls come to nothing.
async fn carried(shop: &Shop, failing: fn(&Request<Bytes>) -> Option<TransportError>) -> Value {
    let shop = shop.another_with(&[], Rc::new(Failing(failing)));
    shop.carried("customers", "").await
}

/// The `limit` of a query for records.
fn limit(request: &Request<Bytes>) -> Option<u64> {
    let query = request.uri().query()?;
    let limit = query
        .split('&')
        .find_map(|part| part.strip_prefix("limit="))?;
    limit.parse().ok().filter(|&limit| limit > 0)
}

#[test]
fn answers_that_are_too_large_are_asked_for_in_smaller_pieces() {
    run(setup(), async |shop| {
        let few = carried(&shop, |request| {
            (limit(request) > Some(2)).then_some(TransportError::TooLarge { limit: 1 })
        });
        assert_eq!(few.await["status"], "completed");
        shop.assert_ledger(&[Kind::Customer]);
        let none = carried(&shop, |request| {
            limit(request).map(|_| TransportError::TooLarge { limit: 1 })
        });
        assert_failed(&none.await, "any: the response is too large to hold");
    });
}

#[test]
fn what_the_instance_has_no_memory_for_is_asked_for_in_smaller_pieces_and_later() {
    const NO_MEMORY: TransportError = TransportError::NoMemory { bytes: 9 };
    run(setup(), async |shop| {
        let few = carried(&shop, |request| {
            (limit(request) > Some(2)).then_some(NO_MEMORY)
        });
        assert_eq!(few.await["status"], "completed");
        shop.assert_ledger(&[Kind::Customer]);
        let never = carried(&shop, |request| limit(request).map(|_| NO_MEMORY));
        assert_failed(
            &never.await,
            "any: the instance has no memory for the response now",
        );
        // another instance has the memory
        let resumed = shop.complete("customers", json!({"resume": true})).await;
        assert_eq!(resumed["counts"]["read"], CUSTOMERS, "{resumed}");
        shop.assert_ledger(&[Kind::Customer]);
    });
}

#[test]
fn a_host_that_is_not_allowed_fails_the_run() {
    run(setup(), async |shop| {
        let denied = carried(&shop, |request| {
            let is_job = request.uri().path().contains("profile-bulk-import-jobs");
            is_job.then_some(TransportError::Denied)
        });
        assert_failed(&denied.await, "any: the host is not allowed");
    });
}
