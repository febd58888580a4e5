//! Bad answers that the drawn ones of [`super::drawn`] have found to matter, each with what comes of it.

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use hostile::mutation::CANARY;
use hostile::operator::{outcome, start, watch};
use hostile::shop::run;
use http::{HeaderValue, Method, Response, StatusCode};
use native::operator::assert_counts_add_up;
use native::{Call, Operator};
use serde_json::{Value, json};

/// How often answers are spoiled: more often than a call is tried, less often than a run is.
const TIMES: u32 = 8;

type Answer = Response<Bytes>;

fn change(answer: &mut Answer, act: impl FnOnce(&mut Value)) {
    let mut body: Value = serde_json::from_slice(answer.body()).expect("an answer in JSON");
    act(&mut body);
    *answer.body_mut() = body.to_string().into();
}

/// Imports a resource while the first answers to a call are spoiled, and gives how it came out.
fn import(
    resource: &str,
    to: &'static str,
    times: u32,
    spoil: impl Fn(&mut Answer) + 'static,
) -> Value {
    let mut left = times;
    run("scheduler", async |shop| {
        shop.tamper_with(move |call, answer| {
            if left > 0 && call.starts_with(to) {
                left -= 1;
                spoil(answer);
            }
        });
        // an instance that has been there for a while
        shop.pass(Duration::from_secs(600)).await;
        start(&shop, resource, "").await;
        let status = outcome(&shop, resource).await;
        if status["status"] == "failed" {
            shop.be_honest();
            let resume = json!({"resume": true});
            shop.post(&format!("/sync/{resource}"), resume).await;
            let resumed = watch(&shop, resource).await;
            assert_eq!(resumed["status"], "completed", "{resumed}");
            assert_counts_add_up(&resumed);
            assert_eq!(resumed["counts"]["read"], resumed["total"], "{resumed}");
        }
        status
    })
}

/// As [`import`], where it completes.
fn completed(
    resource: &str,
    to: &'static str,
    times: u32,
    spoil: impl Fn(&mut Answer) + 'static,
) -> Value {
    let status = import(resource, to, times, spoil);
    assert_eq!(status["status"], "completed", "{status}");
    assert_eq!(status["counts"]["read"], status["total"], "{status}");
    assert_counts_add_up(&status);
    status
}

/// As [`import`] with all answers spoiled, where it fails with this in its last error.
fn failed(resource: &str, to: &'static str, named: &str, spoil: impl Fn(&mut Answer) + 'static) {
    let status = import(resource, to, u32::MAX, spoil);
    assert_eq!(status["status"], "failed", "{status}");
    let message = status["lastError"]["message"].as_str();
    assert!(
        message.is_some_and(|message| message.contains(named)),
        "{status}"
    );
}

const TOKEN: &str = "POST /oauth/token";
const CUSTOMERS: &str = "GET /sim-shop/customers";
const SEND: &str = "POST /api/profile-bulk-import-jobs";
const JOB: &str = "GET /api/profile-bulk-import-jobs/";
const ITEM_JOB: &str = "GET /api/catalog-item-bulk-create-jobs/";

#[test]
fn a_token_that_lasts_for_ever_is_a_token() {
    completed("customers", TOKEN, 1, |answer| {
        change(answer, |token| token["expires_in"] = u64::MAX.into());
    });
}

#[test]
fn a_token_that_is_none_is_not_kept() {
    completed("customers", TOKEN, 1, |answer| {
        change(answer, |token| token["access_token"] = "a\nb".into());
    });
}

#[test]
fn nobody_is_waited_for_longer_than_an_hour() {
    for to in [CUSTOMERS, SEND] {
        completed("customers", to, TIMES, |answer| {
            *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            let seconds = HeaderValue::from_static("18446744073709551615");
            answer.headers_mut().insert("retry-after", seconds);
        });
    }
    completed("customers", SEND, TIMES, |answer| {
        for (name, value) in [
            ("ratelimit-remaining", "0"),
            ("ratelimit-reset", "4294967295"),
        ] {
            answer
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
    });
}

#[test]
fn a_next_page_on_another_host_is_not_called() {
    // the shop of these tests knows no other host, and fails where one is called
    for next in [
        "data:@elsewhere.example/",
        "https://elsewhere.example/steal",
        "mailto:.elsewhere.example",
        "//elsewhere.example/x",
        "\u{0}",
    ] {
        failed(
            "categories",
            "GET /api/catalog-categories",
            "list catalog categories",
            move |answer| {
                change(answer, |page| page["links"] = json!({"next": next}));
            },
        );
    }
    // the path of one is called, and refused, where it may be
    failed(
        "categories",
        "GET /api/catalog-categories",
        "status 400",
        |answer| {
            let next = "https://elsewhere.example/api/catalog-categories?page%5Bcursor%5D=x";
            if answer.status() == StatusCode::OK {
                change(answer, |page| page["links"] = json!({"next": next}));
            }
        },
    );
}

#[test]
fn a_page_that_is_its_own_next_is_not_read_for_ever() {
    let spoil = |answer: &mut Answer| {
        *answer.status_mut() = StatusCode::OK;
        let next = "/api/catalog-items?fields%5Bcatalog-item%5D=external_id&page%5Bsize%5D=100";
        let page = json!({"data": [{"type": "catalog-item", "id": "x"}], "links": {"next": next}});
        *answer.body_mut() = page.to_string().into();
    };
    run("scheduler", async |shop| {
        let body = r#"{"deleteAll":true,"confirmDeletion":"products"}"#;
        start(&shop, "products", body).await;
        shop.tamper_with(move |call, answer| {
            if call == "GET /api/catalog-items" {
                spoil(answer);
            }
        });
        let status = outcome(&shop, "products").await;
        assert_eq!(status["status"], "failed", "{status}");
    });
}

#[test]
fn pages_of_commercetools_that_do_not_move_on_are_not_read_for_ever() {
    let first = RefCell::new(None);
    failed(
        "customers",
        CUSTOMERS,
        "which come after those of the page before",
        move |answer| {
            change(answer, |page| {
                let mut first = first.borrow_mut();
                let record = page["results"].get(0).or(first.as_ref()).cloned();
                let record = first.get_or_insert(record.unwrap_or_default());
                // full, so that there is a next page
                page["results"] = vec![record.clone(); 500].into();
            });
        },
    );
}

#[test]
fn a_record_whose_id_stands_twice_does_not_end_the_import() {
    completed("customers", CUSTOMERS, u32::MAX, |answer| {
        let page = String::from_utf8(answer.body().to_vec()).expect("a page in UTF-8");
        let twice = page.replace(r#"{"id":"#, r#"{"\ud800":1,"id":"x","id":"#);
        *answer.body_mut() = twice.into();
    });
}

#[test]
fn no_job_has_more_failures_than_entries() {
    // where those that update say it as well, nothing else is left to decide
    for (jobs, all_fail) in [(ITEM_JOB, false), ("GET /api/catalog-item-bulk-", true)] {
        let status = completed("products", jobs, u32::MAX, |answer| {
            change(answer, |job| {
                let attributes = &mut job["data"]["attributes"];
                if attributes["status"] == "complete" {
                    attributes["failed_count"] = u32::MAX.into();
                    attributes["errors"] = vec![json!({"code": "invalid"}); 500].into();
                }
            });
        });
        let failed = if all_fail {
            &status["total"]
        } else {
            &json!(0)
        };
        assert_eq!(&status["counts"]["failed"], failed, "{status}");
    }
    failed("products", ITEM_JOB, "a job with its status", |answer| {
        change(answer, |job| {
            job["data"]["attributes"]["failed_count"] = (-1).into();
        });
    });
}

#[test]
fn a_job_without_a_usable_id_is_not_taken_for_sent() {
    for id in [
        json!(""),
        json!(7),
        json!("a b"),
        json!("x".repeat(100_000)),
    ] {
        failed("customers", SEND, "a job with its id", move |answer| {
            let id = id.clone();
            change(answer, |job| job["data"]["id"] = id);
        });
    }
}

#[test]
fn what_an_error_says_beside_codes_and_fields_is_not_shown() {
    let status = completed("customers", JOB, u32::MAX, |answer| {
        let page = json!({"data": [{"type": "import-error", "id": "1", "attributes": {
            "code": format!("{CANARY} is not valid"),
            "title": CANARY,
            "detail": CANARY,
            "source": {"pointer": format!("/data/attributes/profiles/data/0/attributes/properties/{CANARY}/x")},
            "original_payload": {"external_id": "e", "email": CANARY},
        }}]});
        change(answer, |body| {
            if body["data"].is_array() {
                *body = page;
            } else if body["data"]["attributes"]["status"] == "complete" {
                body["data"]["attributes"]["failed_count"] = 1.into();
            }
        });
    });
    assert_eq!(
        status["setAside"],
        json!([{
            "id": "e",
            "outcome": "failed",
            "reason": "Klaviyo did not import it: no code at /attributes/properties",
        }])
    );
}

#[test]
fn a_total_beyond_all_reason_is_none() {
    run("scheduler", async |shop| {
        shop.tamper_with(|call, answer| {
            if call == CUSTOMERS {
                change(answer, |page| page["total"] = u64::MAX.into());
            }
        });
        shop.posted("/sync/customers", "", 503).await;
        shop.be_honest();
        start(&shop, "customers", "").await;
        assert_eq!(watch(&shop, "customers").await["status"], "completed");
    });
}

#[test]
fn a_run_document_that_cannot_be_read_is_named_with_what_to_do() {
    let nested = "[".repeat(120) + &"]".repeat(120);
    let spoilt: [fn(&mut Value, &str); 6] = [
        |run, _| run["schema"] = 4.into(),
        |run, _| run["schema"] = CANARY.into(),
        |run, _| run["surprise"] = CANARY.into(),
        |run, _| run["counts"]["read"] = u64::MAX.into(),
        |run, _| run["resource"] = "orders".into(),
        |run, nested| run["samples"] = serde_json::from_str(nested).expect("JSON"),
    ];
    for spoil in spoilt {
        run("scheduler", async |shop| {
            start(&shop, "customers", "").await;
            shop.change_document("customers", |document| spoil(document, &nested));
            for (method, path) in [
                (Method::GET, "/sync/customers"),
                (Method::GET, "/sync/status"),
                (Method::POST, "/sync/customers"),
                (Method::POST, "/sync/customers/continue"),
                (Method::POST, "/sync/continue"),
                (Method::POST, "/sync/customers/stop"),
            ] {
                let answer = shop.send(Call::new(method, path)).await;
                assert_eq!(answer.status, 502, "{path}: {answer:?}");
                let is_named = answer.says("detail", "klaviyo-bulk-import/customers");
                let is_advised = answer.says("advice", "delete the custom object");
                assert!(is_named && is_advised, "{answer:?}");
            }
        });
    }
}

#[test]
fn a_plan_that_names_a_resource_twice_is_not_carried_out() {
    run("scheduler", async |shop| {
        shop.post("/sync", "").await;
        shop.change_document("plan", |plan| {
            let steps = plan["steps"].as_array_mut().expect("its steps");
            let step = steps[0].clone();
            steps.extend(vec![step; 5_000]);
        });
        shop.begin_anew();
        let answer = shop.get("/sync/status").await;
        assert_eq!(answer.status, 502, "{answer:?}");
    });
}
