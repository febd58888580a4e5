//! The API of the built component: tokens, bodies, methods, configuration.

use std::time::Duration;

use host::Wasi;
use klaviyo_bulk_import::api::MAX_BODY_BYTES;
use native::call::says;
use native::{Call, Operator, Setup, TOKEN};
use reqwest::Method;
use serde_json::json;
use sim::faults::{Fault, Rule};

use crate::support::CRON_TOKEN;
use crate::support::component::{IntoHosted, Shop, on_each_wasi};

on_each_wasi! {
    nothing_under_sync_answers_without_the_token,
    a_body_that_breaks_off_starts_nothing,
    what_the_head_tells_is_refused_before_the_body_is_there,
    while_a_variable_cannot_be_read_nothing_is_done,
}

async fn while_a_variable_cannot_be_read_nothing_is_done(wasi: Wasi) {
    for variable in ["api_token", "klaviyo_api_url", "container"] {
        let setup = Setup::customers(1).wasi(wasi).platform(move |options| {
            options.failing_variables.insert(variable.to_owned());
        });
        let shop = Shop::open(setup).await;
        let answer = shop.post("/sync/customers", "").await;
        assert_eq!(answer.status, 503, "{variable}: {}", answer.body);
        assert!(
            !answer.body.to_string().contains(variable),
            "{}",
            answer.body
        );
        let log = shop.log().join("\n");
        assert!(
            log.contains("variables_unread") && log.contains(variable),
            "{log}"
        );
        let calls = shop.world.commercetools_server().calls();
        assert!(calls.is_empty(), "{variable}: {calls:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nobody_sees_what_is_wrong_with_the_configuration() {
    let setup = Setup::customers(1)
        .variable("api_token", "short")
        .variable("window_seconds", 26);
    let shop = Shop::open(setup).await;
    for path in ["/sync/check", "/sync/customers"] {
        let answer = shop.get(path).await;
        assert_eq!(answer.status, 500, "{path}");
        assert!(answer.says("detail", "api_token"), "{}", answer.body);
        assert!(
            !answer.body.to_string().contains("window_seconds"),
            "{}",
            answer.body
        );
    }
    let log = shop.log().join("\n");
    assert!(log.contains("window_seconds"), "{log}");
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
                let call = Call::new(method, format!("{path}?token={TOKEN}"));
                let call = match token {
                    None => call.without_token(),
                    Some(token) => call.token(token),
                };
                let answer = shop.send(call).await;
                assert_eq!(answer.status, 401, "{path} {token:?}");
                let challenge = answer.headers["www-authenticate"].to_str();
                assert!(challenge.is_ok_and(|value| value.starts_with("Bearer")));
                assert_eq!(answer.headers["content-type"], "application/problem+json");
            }
        }
    }
    let calls = shop.world.commercetools_server().calls();
    assert!(calls.is_empty(), "a caller without a token caused calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_are_told_what_is_wrong_and_start_nothing() {
    let shop = Shop::open(Setup::customers(1)).await;
    let id = "00000000-0000-4000-8000-000000000000";
    let many = json!({"ids": vec![id; 5_001]}).to_string();
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
        let answer = shop.posted("/sync/customers", body, 400).await;
        assert!(says(&answer["detail"], named), "{body}: {answer}");
    }
    let long = " ".repeat(1024 * 1024 + 1);
    shop.posted("/sync/customers", long, 413).await;
    for (method, path, status, allow) in [
        (Method::GET, "/sync/unknown", 404, None),
        (Method::GET, "/sync/customers/stop/now", 404, None),
        (Method::DELETE, "/sync/customers", 405, Some("GET, POST")),
        (Method::GET, "/sync/customers/stop", 405, Some("POST")),
        (Method::POST, "/sync/status", 405, Some("GET")),
    ] {
        let answer = shop.send(Call::new(method, path)).await;
        assert_eq!(answer.status, status, "{path}");
        let allowed = answer.headers.get("allow");
        let allowed = allowed.map(|allow| allow.to_str().expect("text"));
        assert_eq!(allowed, allow, "{path}");
    }
    let answer = shop.posted("/sync/customers/stop", "", 400).await;
    assert_eq!(answer["title"], "Not running");
    assert_eq!(shop.status("customers").await["status"], "idle");
    let commercetools = shop.world.commercetools_server();
    let writes = commercetools.calls_of("POST /sim-shop/custom-objects");
    assert_eq!(writes, 0, "something was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_of_the_configuration_is_named_at_once_and_no_secret_is_shown() {
    let client = r#"{"clientId":"c","secret":"swordfish","more":1}"#;
    let setup = Setup::customers(1)
        .variable("ct_api_client", client)
        .variable("app_type", "EVENT")
        .variable("window_seconds", 26)
        .variable("sync_config", r#"{"order":{"metricz":{}}}"#)
        .variable("preferred_currency", "euro")
        .variable("cron_token", CRON_TOKEN);
    let shop = Shop::open(setup).await;
    let answer = shop.posted("/sync/customers", "", 500).await;
    let variables = answer["variables"].as_array().expect("a list").iter();
    let named = variables.filter_map(|problem| problem["variable"].as_str());
    assert_eq!(
        named.collect::<Vec<_>>(),
        [
            "ct_api_client",
            "window_seconds",
            "preferred_currency",
            "sync_config",
            "app_type"
        ]
    );
    for text in ["order.metricz", "realtime"] {
        assert!(says(&answer["detail"], text), "{answer}");
    }
    let log = shop.log().join("\n");
    assert!(log.contains("misconfigured"), "{log}");
    assert!(!answer.to_string().contains("swordfish") && !log.contains("swordfish"));
    let stranger = Call::post("/sync/customers", "").without_token();
    assert_eq!(shop.send(stranger).await.status, 401);
    // a scheduler has no other token than its own, and hears that it is not to blame
    let path = format!("/sync/cron/{CRON_TOKEN}/continue");
    let scheduler = Call::get(&path).without_token();
    let answer = shop.send(scheduler).await;
    assert_eq!(answer.status, 500, "{}", answer.body);
    let told = answer.body.to_string();
    assert!(!told.contains("preferred_currency"), "{told}");
    let stranger = Call::get("/sync/cron/another-token-for-schedulers/continue").without_token();
    assert_eq!(shop.send(stranger).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_commercetools_refuses_leaves_nothing_behind() {
    let shop = Shop::open(Setup::customers(1)).await;
    let unreachable = Rule::always(Fault::LoseRequest);
    shop.world.commercetools_faults().add(unreachable);
    shop.posted("/sync/customers", "", 503).await;
    shop.end_faults();

    shop.world
        .commercetools(|project| project.set_client_scopes(&["manage_key_value_documents"]));
    let answer = shop.posted("/sync/customers", "", 502).await;
    assert!(says(&answer["advice"], "ct_scope"), "{answer}");

    let stored = shop.stored("customers");
    assert!(stored.is_none(), "a run document was left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_told_with_what_to_do() {
    let client = r#"{"clientId":"no","secret":"hush-hush"}"#;
    let shop = Shop::open(Setup::customers(1).variable("ct_api_client", client)).await;
    let answer = shop.posted("/sync/customers", "", 502).await;
    assert!(says(&answer["advice"], "ct_api_client"), "{answer}");
    assert!(!answer.to_string().contains("hush-hush"));
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
        let run = shop.status("customers").await;
        assert_eq!(run["status"], "idle", "{head} {body}: {run}");
    }
    shop.start("customers", "{}").await;
}

async fn what_the_head_tells_is_refused_before_the_body_is_there(wasi: Wasi) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let shop = Shop::open(Setup::customers(3).speed(1.0).wasi(wasi)).await;
    let address = shop.host().address();
    let token = format!("authorization: Bearer {TOKEN}\r\n");
    for (line, headers, length, expected) in [
        ("POST /sync/customers", "", 1_000_000, " 401 "),
        ("POST /sync/nothing", token.as_str(), 1_000_000, " 404 "),
        ("PUT /sync/customers", &token, 1_000_000, " 405 "),
        ("POST /sync/customers", &token, MAX_BODY_BYTES + 1, " 413 "),
        // more than fits into the component's words
        ("POST /sync/customers", &token, 1 << 40, " 413 "),
    ] {
        let mut stream = tokio::net::TcpStream::connect(address)
            .await
            .expect("a connection");
        let head = format!(
            "{line} HTTP/1.1\r\nhost: {address}\r\n{headers}content-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("it is sent");
        let mut status = [0; 13];
        let reading = stream.read_exact(&mut status);
        let read = tokio::time::timeout(Duration::from_secs(60), reading).await;
        read.expect("it waits for the body").expect("an answer");
        let status = String::from_utf8_lossy(&status);
        assert!(status.ends_with(expected), "{line}: {status}");
    }
    assert_eq!(shop.host().stats().traps, 0);
}
