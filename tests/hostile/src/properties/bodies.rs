//! Requests to the app's own API.

use http::Method;
use native::{Call, Operator};

use crate::mutation::mutate;
use crate::script::Script;
use crate::shop::{Echo, run};

const ID: &str = "00000000-0000-4000-8000-000000000000";

/// Valid bodies, and what they are for.
fn valid(path: &str) -> Vec<String> {
    let mut bodies = vec![
        String::new(),
        "{}".to_owned(),
        format!(
            r#"{{"ids":["{ID}","{}"],"dryRun":true}}"#,
            ID.replace('0', "f")
        ),
        r#"{"since":"2026-07-15T00:00:00Z","dryRun":true}"#.to_owned(),
        r#"{"resume":true}"#.to_owned(),
        r#"{"retryFailed":true}"#.to_owned(),
        r#"{"deleteAll":true,"confirmDeletion":"products"}"#.to_owned(),
    ];
    if path == "/sync" {
        bodies.push(
            r#"{"resources":["customers","products"],"since":"lastRun","dryRun":true}"#.to_owned(),
        );
    }
    if path == "/sync/orders" {
        bodies.push(format!(r#"{{"startId":"{ID}","triggerFlows":true}}"#));
    }
    bodies
}

const PATHS: [&str; 9] = [
    "/sync",
    "/sync/customers",
    "/sync/orders",
    "/sync/categories",
    "/sync/products",
    "/sync/orders/stop",
    "/sync/orders/continue",
    "/sync/status",
    "/sync/check",
];

/// Any method, path and body: an answer that is JSON, and nothing written where it is a refusal.
pub fn bodies(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    run("scheduler", async |shop| {
        shop.expect(Echo::OfCallers);
        for _ in 0..4 {
            let method = script.pick(&[Method::POST.as_str(), "GET", "DELETE", "X"]);
            let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::POST);
            let path = match script.byte() {
                0..=9 => format!("/sync/{}", String::from_utf8_lossy(&script.bytes(20))),
                at => PATHS[usize::from(at) % PATHS.len()].to_owned(),
            };
            let body = match script.byte() {
                0..=39 => script.bytes(64),
                _ => {
                    let bodies = valid(&path);
                    let body = &bodies[script.below(bodies.len())];
                    mutate(body.as_bytes(), &mut script)
                }
            };
            let before = shop.documents();
            let call = Call::new(method, &path).body(body.clone());
            let answer = shop.send(call).await;
            let is_refused = (400..500).contains(&answer.status);
            if is_refused {
                assert_eq!(
                    shop.documents(),
                    before,
                    "{path}: {} wrote something",
                    answer.status
                );
            }
            let text = String::from_utf8_lossy(&body);
            assert!(answer.status < 500, "{path} {text:.500}: {}", answer.body);
        }
    });
}
