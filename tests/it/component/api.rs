//! The API of the built component: tokens, bodies, methods, configuration.

use host::Wasi;
use reqwest::Method;
use sim::faults::{Fault, Rule};

use crate::support::{Setup, Shop, TOKEN, assert_contract, calls, on_each_wasi};

on_each_wasi! {
    nothing_under_sync_answers_without_the_token,
    a_body_that_breaks_off_starts_nothing,
}

async fn nothing_under_sync_answers_without_the_token(wasi: Wasi) {
    let shop = Shop::open(Setup::customers(1).wasi(wasi)).await;
    for path in [
        "/sync/customers",
        "/sync/customers/stop",
        "/sync/status",
        "/sync/continue",
        "/sync/nothing",
    ] {
        for token in [None, Some("wrong"), Some(&TOKEN[1..]), Some("")] {
            for method in [Method::GET, Method::POST] {
                let answer = shop
                    .send(method, &format!("{path}?token={TOKEN}"), token, "")
                    .await;
                assert_eq!(answer.status, 401, "{path} {token:?}");
                assert!(
                    answer.headers["www-authenticate"]
                        .to_str()
                        .is_ok_and(|value| value.starts_with("Bearer"))
                );
                assert_eq!(answer.headers["content-type"], "application/problem+json");
            }
        }
    }
    assert!(
        shop.world.commercetools_server().calls().is_empty(),
        "a caller without a token caused calls"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_are_told_what_is_wrong_and_start_nothing() {
    let shop = Shop::open(Setup::customers(1)).await;
    let id = "00000000-0000-4000-8000-000000000000";
    let many = format!(
        "{{\"ids\":[{}]}}",
        vec![format!("\"{id}\""); 5_001].join(",")
    );
    for (body, named) in [
        ("{", "line 1"),
        ("[]", "body"),
        (r#"{"idz":[]}"#, "idz"),
        (r#"{"ids":[]}"#, "ids"),
        (r#"{"ids":["x\") or (id != \"y"]}"#, "ids[0]"),
        (r#"{"ids":7}"#, "line 1"),
        (
            r#"{"startId":"00000000-0000-4000-8000-000000000000"}"#,
            "startId",
        ),
        (&many, "5000"),
    ] {
        let answer = shop.post("/sync/customers", body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        assert!(
            answer.body["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains(named)),
            "{body}: {}",
            answer.body
        );
    }
    let long = " ".repeat(1024 * 1024 + 1);
    assert_eq!(shop.post("/sync/customers", &long).await.status, 413);
    for (method, path, status, allow) in [
        (Method::GET, "/sync/unknown", 404, None),
        (Method::GET, "/sync/customers/stop/now", 404, None),
        (Method::DELETE, "/sync/customers", 405, Some("GET, POST")),
        (Method::GET, "/sync/customers/stop", 405, Some("POST")),
        (Method::POST, "/sync/status", 405, Some("GET")),
    ] {
        let answer = shop.send(method, path, Some(TOKEN), "").await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(
            answer
                .headers
                .get("allow")
                .map(|allow| allow.to_str().expect("text")),
            allow,
            "{path}"
        );
    }
    let answer = shop.post("/sync/customers/stop", "").await;
    assert_eq!(
        (answer.status, &answer.body["title"]),
        (400, &"Not running".into())
    );
    assert_eq!(shop.get("/sync/customers").await.body["status"], "idle");
    assert_eq!(
        calls(
            shop.world.commercetools_server(),
            "POST /sim-shop/custom-objects"
        ),
        0,
        "something was written"
    );
    assert_contract(&shop.world);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_of_the_configuration_is_named_at_once_and_no_secret_is_shown() {
    let setup = Setup::customers(1)
        .variable(
            "ct_api_client",
            r#"{"clientId":"c","secret":"swordfish","more":1}"#,
        )
        .variable("app_type", "EVENT")
        .variable("window_seconds", "26")
        .variable("sync_config", r#"{"order":{"metricz":{}}}"#)
        .variable("preferred_currency", "euro");
    let shop = Shop::open(setup).await;
    let answer = shop.post("/sync/customers", "").await;
    assert_eq!(answer.status, 500);
    let named: Vec<&str> = answer.body["variables"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|p| p["variable"].as_str())
        .collect();
    assert_eq!(
        named,
        [
            "ct_api_client",
            "window_seconds",
            "preferred_currency",
            "sync_config",
            "app_type"
        ]
    );
    assert!(
        answer.body["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("order.metricz")),
        "{}",
        answer.body
    );
    assert!(
        answer.body["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("realtime")),
        "{}",
        answer.body
    );
    let log = shop.log().join("\n");
    assert!(log.contains("misconfigured"), "{log}");
    assert!(!answer.body.to_string().contains("swordfish") && !log.contains("swordfish"));
    assert_eq!(
        shop.send(Method::POST, "/sync/customers", None, "")
            .await
            .status,
        401
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_commercetools_refuses_leaves_nothing_behind() {
    let shop = Shop::open(Setup::customers(1)).await;
    let unreachable = Rule::always(Fault::LoseRequest);
    shop.world.commercetools_faults().add(unreachable);
    let answer = shop.post("/sync/customers", "").await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    shop.world.commercetools_faults().clear();

    shop.world
        .commercetools(|project| project.set_client_scopes(&["manage_key_value_documents"]));
    let answer = shop.post("/sync/customers", "").await;
    assert_eq!(answer.status, 502, "{}", answer.body);
    assert!(
        answer.body["advice"]
            .as_str()
            .is_some_and(|advice| advice.contains("ct_scope")),
        "{}",
        answer.body
    );

    let found = shop.world.commercetools(|project| {
        project
            .custom_object("klaviyo-bulk-import", "customers")
            .is_some()
    });
    assert!(!found, "a run document was left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_told_with_what_to_do() {
    let shop = Shop::open(
        Setup::customers(1).variable("ct_api_client", r#"{"clientId":"no","secret":"hush-hush"}"#),
    )
    .await;
    let answer = shop.post("/sync/customers", "").await;
    assert_eq!(answer.status, 502, "{}", answer.body);
    assert!(
        answer.body["advice"]
            .as_str()
            .is_some_and(|advice| advice.contains("ct_api_client")),
        "{}",
        answer.body
    );
    assert!(!answer.body.to_string().contains("hush-hush"));
}

/// Sends the beginning of a request, closes the sending side, and reads the status of the answer.
async fn status_of_half(shop: &Shop, head: &str, body: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let address = shop.host().address();
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("a connection");
    let request = format!(
        "POST /sync/customers HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {TOKEN}\r\n{head}\r\n\r\n{body}"
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it is sent");
    stream.shutdown().await.expect("the sending side is closed");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .expect("it is answered");
    answer.lines().next().unwrap_or_default().to_owned()
}

async fn a_body_that_breaks_off_starts_nothing(wasi: Wasi) {
    // in real time: a connection of one's own is not seen by the virtual clock
    let shop = Shop::open(Setup::customers(3).speed(1.0).wasi(wasi)).await;
    for (head, body) in [
        // what is there of it would start an import of everything
        ("content-length: 16", ""),
        ("content-length: 16", "{}"),
        ("transfer-encoding: chunked", ""),
        ("transfer-encoding: chunked", "2\r\n{}\r\n"),
    ] {
        let status = status_of_half(&shop, head, body).await;
        assert!(status.contains(" 400 "), "{head} {body}: {status}");
        let run = shop.get("/sync/customers").await;
        assert_eq!(run.body["status"], "idle", "{head} {body}: {}", run.body);
    }
    shop.start("customers", "{}").await;
}
