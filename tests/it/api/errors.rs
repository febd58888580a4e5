//! The error table in action: for each row an API that does so, and what becomes of the run. Natively; every answer is
//! held to the API's description.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use http::Method;
use klaviyo_bulk_import::app::App;
use klaviyo_bulk_import::error::POLICY;
use klaviyo_bulk_import::ports::{Body, Http, Limits, LocalFuture, Log, Ports, TransportError};
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::seed::Kind;
use sim::world::World;

use crate::support::native::{app, run};
use crate::support::operator::{get, post, ticked};
use crate::support::{Setup, assert_counts_add_up, assert_ledger};
use crate::written::description::call;

const CUSTOMERS: u32 = 12;

fn setup() -> Setup {
    Setup::customers(CUSTOMERS)
        .variable("continuation", "scheduler")
        .variable("id_ranges", "1")
}

/// The advice of a row of the table.
fn advice(what: &str) -> &'static str {
    let row = POLICY.iter().find(|row| row.what == what);
    row.unwrap_or_else(|| panic!("the table has no row {what}"))
        .advice
}

/// Imports customers with a fault; gives how the run stands then.
async fn import(world: &World, app: &Rc<App>) -> Value {
    let (status, answer) = post(app, "/sync/customers", json!({})).await;
    assert_eq!(status, 202, "{answer}");
    let last = ticked(app, world, "customers").await.pop();
    let last = last.expect("a tick");
    assert_counts_add_up(&last);
    last
}

/// Which API goes wrong, and with which of its calls.
#[derive(Clone, Copy)]
enum At {
    /// commercetools' pages of customers.
    Pages,
    /// Klaviyo's import jobs.
    Jobs,
}

async fn with_fault(at: At, fault: Fault, times: u64) -> Value {
    let mut setup = setup();
    let world = setup.world().await;
    let app = app(&setup, &world);
    let (faults, path) = match at {
        At::Pages => (world.commercetools_faults(), "sim-shop/customers"),
        At::Jobs => (world.klaviyo_faults(), "profile-bulk-import-jobs"),
    };
    // the first of the calls for customers counts them
    let (status, answer) = post(&app, "/sync/customers", json!({})).await;
    assert_eq!(status, 202, "{answer}");
    faults.add(Rule::always(fault).path(path).times(times));
    let status = ticked(&app, &world, "customers")
        .await
        .pop()
        .expect("a tick");
    assert!(faults.applied() > 0, "nothing went wrong");
    assert_counts_add_up(&status);
    if status["status"] == "completed" {
        assert_eq!(status["counts"]["failed"], 0, "{status}");
        assert_ledger(&world, &[Kind::Customer]);
        return status;
    }
    // whatever it was: when it is mended, the run goes on from where it stood
    faults.clear();
    let (code, answer) = post(&app, "/sync/customers", json!({"resume": true})).await;
    assert_eq!(code, 202, "{answer}");
    let resumed = ticked(&app, &world, "customers")
        .await
        .pop()
        .expect("a tick");
    assert_eq!(
        (&resumed["status"], &resumed["runId"]),
        (&json!("completed"), &status["runId"]),
        "{resumed}"
    );
    assert_ledger(&world, &[Kind::Customer]);
    status
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
    run(async || {
        for (row, fault) in [
            ("any: 408, 5xx", Fault::refuse(500)),
            ("any: 408, 5xx", Fault::refuse(408)),
            (
                "any: no connection, no answer in time, half an answer",
                Fault::LoseAnswer,
            ),
            (
                "any: no connection, no answer in time, half an answer",
                Fault::HalfAnswer,
            ),
            ("any: 429", Fault::throttle(2)),
        ] {
            advice(row);
            for at in [At::Pages, At::Jobs] {
                let status = with_fault(at, fault.clone(), 2).await;
                assert_eq!(status["status"], "completed", "{row} {fault:?}: {status}");
                assert!(status["lastError"].is_null(), "{status}");
            }
        }
    });
}

#[test]
fn what_has_to_be_mended_fails_the_run_with_the_advice_and_is_resumed() {
    run(async || {
        for (row, at, code) in [
            ("commercetools: 401", At::Pages, 401),
            ("commercetools: 403", At::Pages, 403),
            ("commercetools: 404", At::Pages, 404),
            ("commercetools: any other 4xx", At::Pages, 400),
            ("Klaviyo: 401, 403", At::Jobs, 401),
            ("Klaviyo: 401, 403", At::Jobs, 403),
            ("Klaviyo: any other 4xx", At::Jobs, 410),
        ] {
            let status = with_fault(at, Fault::refuse(code), u64::MAX).await;
            assert_failed(&status, row);
        }
    });
}

#[test]
fn a_token_that_is_refused_once_is_fetched_anew() {
    run(async || {
        let status = with_fault(At::Pages, Fault::refuse(401), 1).await;
        assert_eq!(status["status"], "completed", "{status}");
    });
}

/// The log lines of an app.
#[derive(Default)]
struct Written(RefCell<Vec<Value>>);

impl Log for Written {
    fn line(&self, line: &str) {
        let line = serde_json::from_str(line).expect("a log line is JSON");
        self.0.borrow_mut().push(line);
    }
}

impl Written {
    fn events(&self) -> Vec<String> {
        let text = |line: &Value| line["event"].as_str().unwrap_or_default().to_owned();
        self.0.borrow().iter().map(text).collect()
    }
}

#[test]
fn an_api_that_stays_away_is_waited_out() {
    /// Requests that are answered 503: those of more than five windows.
    const OUTAGE: u64 = 300;
    run(async || {
        let mut setup = setup();
        let world = setup.world().await;
        let app = app(&setup, &world);
        let log = Rc::new(Written::default());
        let ports = Ports {
            log: log.clone(),
            ..app.engine.ports.clone()
        };
        let app = Rc::new(App::new(app.engine.config.clone(), ports));
        world
            .klaviyo_faults()
            .add(Rule::always(Fault::refuse(503)).times(OUTAGE));
        let status = import(&world, &app).await;
        assert_eq!(status["status"], "completed", "{status}");
        assert_eq!(status["counts"]["sent"], CUSTOMERS as usize, "{status}");
        let events = log.events();
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
    run(async || {
        let mut setup = setup();
        setup.klaviyo.refuse_imports = sim::klaviyo::Choice::By(Box::new(|id| id.ends_with('a')));
        let world = setup.world().await;
        let app = app(&setup, &world);
        let refused = world.commercetools(|project| {
            let ids = project.ids(Kind::Customer);
            ids.iter()
                .filter(|id| id.to_string().ends_with('a'))
                .count()
        });
        let status = import(&world, &app).await;
        assert_eq!(status["status"], "completed", "{status}");
        assert_eq!(status["counts"]["failed"], refused, "{status}");
        assert_eq!(
            status["counts"]["sent"],
            CUSTOMERS as usize - refused,
            "{status}"
        );
        assert_eq!(status["setAside"].as_array().map(Vec::len), Some(refused));
    });
}

#[test]
fn a_start_without_a_token_is_told_which_variable_to_mend() {
    run(async || {
        let mut seeded = setup();
        let world = seeded.world().await;
        let auth_url = format!("{}/elsewhere", seeded.values(&world)["ct_auth_url"]);
        let client = r#"{"clientId":"no","secret":"hush-hush"}"#;
        for (row, variable, value) in [
            (
                "commercetools (token): 400, 401, 403",
                "ct_api_client",
                client,
            ),
            (
                "commercetools (token): 400 invalid_scope",
                "ct_scope",
                "manage_project:sim-shop",
            ),
            (
                "commercetools (token): any other 4xx",
                "ct_auth_url",
                &auth_url,
            ),
        ] {
            let app = app(&setup().variable(variable, value), &world);
            let (status, answer) = call(&app, Method::POST, "/sync/customers", "").await;
            assert_eq!(
                (status, answer["advice"].as_str()),
                (502, Some(advice(row))),
                "{answer}"
            );
            assert!(!answer.to_string().contains("hush-hush"));
        }
        assert!(world.commercetools(|project| {
            project
                .custom_object("klaviyo-bulk-import", "customers")
                .is_none()
        }));
    });
}

#[test]
fn the_document_of_another_version_is_left_alone() {
    run(async || {
        let mut setup = setup();
        let world = setup.world().await;
        let app = app(&setup, &world);
        assert_eq!(import(&world, &app).await["status"], "completed");
        let stored = || {
            world.commercetools(|project| {
                let object = project.custom_object("klaviyo-bulk-import", "customers");
                object.expect("a run document").value.clone()
            })
        };
        for (member, value) in [("schema", json!(99)), ("whatIsNotKnownHere", json!([]))] {
            let known = stored();
            let mut foreign = known.clone();
            foreign[member] = value;
            let now = world.clock().now();
            let put = |value: &Value| {
                world.commercetools(|project| {
                    project.put_custom_object(now, "klaviyo-bulk-import", "customers", value);
                });
            };
            put(&foreign);
            for (method, path) in [
                (Method::GET, "/sync/customers"),
                (Method::POST, "/sync/customers"),
                (Method::POST, "/sync/customers/continue"),
                (Method::POST, "/sync/customers/stop"),
                (Method::GET, "/sync/status"),
            ] {
                let (status, answer) = call(&app, method, path, "").await;
                assert_eq!(status, 502, "{path}: {answer}");
                assert_eq!(
                    answer["advice"],
                    advice("commercetools: a run document that this version cannot read"),
                    "{answer}"
                );
            }
            assert_eq!(stored(), foreign, "it was written over");
            put(&known);
        }
        assert_eq!(get(&app, "/sync/customers").await["status"], "completed");
    });
}

/// A way out that meddles with some calls.
struct Meddling {
    way_out: Rc<dyn Http>,
    meddle: fn(&http::Request<Body>) -> Option<TransportError>,
}

impl Http for Meddling {
    fn send(
        &self,
        request: http::Request<Body>,
        limits: Limits,
    ) -> LocalFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        match (self.meddle)(&request) {
            Some(error) => Box::pin(async { Err(error) }),
            None => self.way_out.send(request, limits),
        }
    }
}

fn meddled_with(app: &App, meddle: fn(&http::Request<Body>) -> Option<TransportError>) -> Rc<App> {
    let http = Rc::new(Meddling {
        way_out: app.engine.ports.http.clone(),
        meddle,
    });
    Rc::new(App::new(
        app.engine.config.clone(),
        Ports {
            http,
            ..app.engine.ports.clone()
        },
    ))
}

/// The `limit` of a query for records.
fn limit(request: &http::Request<Body>) -> Option<u64> {
    let query = request.uri().query()?;
    let limit = query
        .split('&')
        .find_map(|part| part.strip_prefix("limit="))?;
    limit.parse().ok().filter(|&limit| limit > 0)
}

#[test]
fn answers_that_are_too_large_are_asked_for_in_smaller_pieces() {
    run(async || {
        let mut setup = setup();
        let world = setup.world().await;
        let app = app(&setup, &world);
        let few = meddled_with(&app, |request| {
            (limit(request) > Some(2)).then_some(TransportError::TooLarge { limit: 1 })
        });
        assert_eq!(import(&world, &few).await["status"], "completed");
        assert_ledger(&world, &[Kind::Customer]);
        let none = meddled_with(&app, |request| {
            limit(request).map(|_| TransportError::TooLarge { limit: 1 })
        });
        assert_failed(
            &import(&world, &none).await,
            "any: the answer is too large to hold",
        );
    });
}

#[test]
fn a_host_that_is_not_allowed_fails_the_run() {
    run(async || {
        let mut setup = setup();
        let world = setup.world().await;
        let app = app(&setup, &world);
        let denied = meddled_with(&app, |request| {
            let is_job = request.uri().path().contains("profile-bulk-import-jobs");
            is_job.then_some(TransportError::Denied)
        });
        assert_failed(
            &import(&world, &denied).await,
            "any: the host is not allowed",
        );
    });
}
