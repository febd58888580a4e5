//! What must not get out: credentials to those whose they are not, secrets and personal data into answers and logs; and
//! what must not get in: parts of requests through the bodies of others.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use host::{Outbound, Verdict, Wasi};
use http::request::Parts;
use native::{Call, Operator, Setup, TOKEN};
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::klaviyo::Choice;
use sim::seed::{Kind, Sizes};

use crate::support::component::{IntoHosted, Shop, on_each_wasi};

on_each_wasi! {
    each_peer_gets_its_own_credentials_and_nobody_elses,
    a_redirect_is_not_followed_and_ends_the_run_with_advice,
    only_the_whole_token_in_its_header_opens_the_door,
}

const RESOURCES: [&str; 4] = ["categories", "products", "customers", "orders"];

/// Takes down what is sent, to whom, with which headers.
#[derive(Default)]
struct Recorder(Mutex<Vec<Sent>>);

struct Sent {
    uri: String,
    authorization: String,
    /// All headers but that one.
    others: String,
}

impl Outbound for Recorder {
    fn decide(&self, _n: u64, request: &Parts) -> Verdict {
        let text =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let mut sent = Sent {
            uri: request.uri.to_string(),
            authorization: String::new(),
            others: String::new(),
        };
        for (name, value) in &request.headers {
            if name == http::header::AUTHORIZATION {
                sent.authorization += &text(value);
            } else {
                sent.others += &format!("{name}: {}\n", text(value));
            }
        }
        self.0.lock().expect("nobody panics here").push(sent);
        Verdict::Pass
    }
}

fn setup() -> Setup {
    Setup::of(Sizes {
        customers: 300,
        orders: 200,
        categories: 30,
        products: 60,
    })
}

/// Imports everything, in windows of a second, so that the component calls itself too.
async fn import_everything(shop: &Shop) {
    shop.posted("/sync", "", 202).await;
    for resource in RESOURCES {
        shop.until(resource, |status| status["status"] == "completed")
            .await;
    }
}

async fn each_peer_gets_its_own_credentials_and_nobody_elses(wasi: Wasi) {
    let recorder = Arc::new(Recorder::default());
    let shop = Shop::open(setup().outbound(recorder.clone()).wasi(wasi)).await;
    import_everything(&shop).await;
    shop.read("/sync/check").await;
    let secret = shop
        .world
        .commercetools(|project| project.client().1.to_owned());
    let mut seen = BTreeSet::new();
    for sent in recorder.0.lock().expect("nobody panics here").iter() {
        let is_at = |server: &sim::server::Server| sent.uri.starts_with(&server.url());
        let (peer, is_own) = if sent.uri.starts_with("http://self.alt/") {
            ("itself", sent.authorization == format!("Bearer {TOKEN}"))
        } else if is_at(shop.world.klaviyo_server()) {
            ("Klaviyo", sent.authorization == "Klaviyo-API-Key pk_test")
        } else if sent.uri.ends_with("/oauth/token") {
            ("authorization", sent.authorization.starts_with("Basic "))
        } else {
            assert!(is_at(shop.world.commercetools_server()), "{}", sent.uri);
            let token = sent.authorization.strip_prefix("Bearer ");
            let is_own = |token: &str| token != TOKEN && !token.contains("pk_test");
            ("commercetools", token.is_some_and(is_own))
        };
        assert!(is_own, "{} was sent {}", sent.uri, sent.authorization);
        let elsewhere = format!("{}\n{}", sent.uri, sent.others);
        for text in [TOKEN, "pk_test", &secret] {
            assert!(!elsewhere.contains(text), "{text} in {elsewhere}");
        }
        seen.insert(peer);
    }
    let all = ["Klaviyo", "authorization", "commercetools", "itself"];
    assert_eq!(seen, BTreeSet::from(all));
}

/// What the shop knows of persons, as far as it is long enough not to be found by accident.
fn personal_data(shop: &Shop) -> BTreeSet<String> {
    const FIELDS: [&str; 11] = [
        "email",
        "customerEmail",
        "firstName",
        "lastName",
        "companyName",
        "phone",
        "mobile",
        "fax",
        "streetName",
        "additionalStreetInfo",
        "vatId",
    ];
    fn collect(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_str() {
                        Some(text) if FIELDS.contains(&name.as_str()) && text.len() >= 6 => {
                            found.insert(text.to_owned());
                        }
                        _ => collect(value, found),
                    }
                }
            }
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    for kind in [Kind::Customer, Kind::Order] {
        shop.world.commercetools(|project| {
            for id in project.ids(kind) {
                collect(&project.record(kind, id).expect("a record"), &mut found);
            }
        });
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_no_log_line_and_no_run_document_has_a_secret_or_a_person_in_it() {
    let recorder = Arc::new(Recorder::default());
    let mut setup = setup();
    // what goes wrong is what is talked about most
    let one_in_eight = || Choice::By(Box::new(|id: &str| id.ends_with(['1', '9'])));
    setup.klaviyo.refuse_profiles = one_in_eight();
    setup.klaviyo.refuse_imports = one_in_eight();
    setup.klaviyo.refuse_events = one_in_eight();
    setup.klaviyo.refuse_entries = one_in_eight();
    let shop = Shop::open(setup.outbound(recorder.clone())).await;
    let mut said = Vec::new();
    for resource in RESOURCES {
        for body in [
            json!({"dryRun": true}),
            json!({}),
            json!({"ids": ["customer@example.com"]}),
        ] {
            let path = format!("/sync/{resource}");
            said.push(shop.post(&path, body).await.body);
            said.push(shop.over(resource).await);
        }
    }
    let (commercetools, klaviyo) = (
        shop.world.commercetools_faults(),
        shop.world.klaviyo_faults(),
    );
    for (faults, status) in [(klaviyo, 401), (klaviyo, 307), (commercetools, 403)] {
        let fault = Fault::refuse(status);
        said.push(shop.post("/sync/customers", "").await.body);
        faults.add(Rule::always(fault));
        said.push(shop.get("/sync/check").await.body);
        shop.pass(std::time::Duration::from_secs(60)).await;
        said.push(shop.go_on("customers").await.body);
        said.push(shop.get("/sync/customers").await.body);
        faults.clear();
        said.push(shop.get("/sync/status").await.body);
        said.push(shop.stop("customers").await.body);
        said.push(shop.post("/sync/stop", "").await.body);
    }
    let mut said: Vec<String> = said.iter().map(Value::to_string).collect();
    for talk in [
        r#""outcome":"failed""#,
        r#""samples":[{"#,
        r#""lastError":{"#,
    ] {
        let is_there = said.iter().any(|text| text.contains(talk));
        assert!(is_there, "nothing is said about {talk}");
    }
    said.extend(shop.log());
    let stored = RESOURCES.iter().filter_map(|key| shop.stored(key));
    said.extend(stored.map(|object| object.value.to_string()));

    let mut hidden = personal_data(&shop);
    assert!(hidden.len() > 500, "the shop knows {}", hidden.len());
    let secret = shop
        .world
        .commercetools(|project| project.client().1.to_owned());
    hidden.extend([TOKEN.to_owned(), "pk_test".to_owned(), secret]);
    let sent = recorder.0.lock().expect("nobody panics here");
    let tokens = sent
        .iter()
        .filter_map(|sent| sent.authorization.split_once(' '));
    hidden.extend(tokens.map(|(_, token)| token.to_owned()));
    for text in &said {
        let found = hidden.iter().find(|hidden| text.contains(*hidden));
        assert_eq!(found, None, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_gets_into_a_request_through_ids() {
    let shop = Shop::open(setup()).await;
    let id = "00000000-0000-4000-8000-000000000000";
    let smuggled = [
        r#"x") or (id != "y"#.to_owned(),
        format!(r#"{id}" or id != ""#),
        format!("{id}\\"),
        format!("{id}\r\nx-evil: 1"),
        format!("{id}&where=true"),
        format!("{id}\u{0}"),
        format!("{id}#"),
        format!("../{id}"),
        "%22".to_owned(),
        "\u{202e}00000000".to_owned(),
        String::new(),
        "a".repeat(1_000),
    ];
    for text in &smuggled {
        for resource in RESOURCES {
            let path = format!("/sync/{resource}");
            shop.posted(&path, json!({"ids": [id, text]}), 400).await;
        }
        for body in [
            json!({"startId": text}),
            json!({"since": text}),
            json!({"resources": [text]}),
        ] {
            let path = if body.get("resources").is_some() {
                "/sync"
            } else {
                "/sync/orders"
            };
            shop.posted(path, body, 400).await;
        }
    }
    let calls = shop.world.commercetools_server().calls();
    assert!(calls.is_empty(), "a wrong request caused calls: {calls:?}");
}

async fn a_redirect_is_not_followed_and_ends_the_run_with_advice(wasi: Wasi) {
    let shop = Shop::open(Setup::customers(20).wasi(wasi)).await;
    let redirect = Rule::always(Fault::refuse(307)).path("profile-bulk-import-jobs");
    let klaviyo = shop.world.klaviyo_faults();
    klaviyo.add(redirect);
    shop.start("customers", "").await;
    let advice = shop.failed("customers").await;
    assert!(advice.contains("klaviyo_api_url"), "{advice}");
    assert_eq!(klaviyo.applied(), 1, "it was tried again");
    assert_eq!(shop.host().stats().denied, 0, "another host was called");
}

async fn only_the_whole_token_in_its_header_opens_the_door(wasi: Wasi) {
    let shop = Shop::open(Setup::customers(1).wasi(wasi)).await;
    for (name, value) in [
        ("authorization", format!("Bearer {TOKEN}x")),
        ("authorization", format!("Bearer {TOKEN}, Bearer {TOKEN}")),
        ("authorization", format!("Bearer {}", TOKEN.to_uppercase())),
        ("authorization", format!("Basic {TOKEN}")),
        ("authorization", TOKEN.to_owned()),
        ("authorization", String::new()),
        ("x-authorization", format!("Bearer {TOKEN}")),
        ("cookie", format!("authorization=Bearer {TOKEN}")),
    ] {
        let call = Call::get("/sync/status").without_token();
        let answer = shop.send(call.header(name, &value)).await;
        assert_eq!(answer.status, 401, "{name}: {value}");
    }
    assert!(shop.world.commercetools_server().calls().is_empty());
}
