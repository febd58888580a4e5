//! Somebody who starts imports, watches them beside a scheduler, and gets over what went wrong.

use std::time::Duration;

use http::Method;
use serde_json::Value;

use crate::shop::{Answer, CONTAINER, Shop};

/// How often an operator looks, and calls `continue` as a scheduler does.
pub const TICK: Duration = Duration::from_secs(20);
/// Ticks within which any run of the small shop is over, an hour's wait for a job included.
const MOST_TICKS: u32 = 2_000;
/// Ticks within which an API that is well again has to be believed.
const TICKS_TO_RECOVER: u32 = 400;

/// Starts an import, as often as it takes.
pub async fn start(shop: &Shop, resource: &str, body: &str) {
    let path = format!("/sync/{resource}");
    for _ in 0..MOST_TICKS {
        let was_honest = shop.is_honest();
        let answer = shop.call(Method::POST, &path, body.as_bytes()).await;
        match answer.status {
            202 | 423 => return,
            // an API did not do its part, and the answer says which and how
            400 | 502 | 503 if !was_honest => {}
            // what it left behind cannot be read
            502 if delete_if_named(shop, resource, &answer) => {}
            // Klaviyo or commercetools are left alone for as long as they asked
            503 => {}
            _ => panic!("{resource}: {answer:?}"),
        }
        shop.time.sleep(TICK).await;
    }
    panic!("{resource} never start");
}

/// Deletes the run document where the answer names it as the culprit, as the advice has it.
fn delete_if_named(shop: &Shop, resource: &str, answer: &Answer) -> bool {
    let name = format!("{CONTAINER}/{resource} ");
    let is_named = answer.body["detail"]
        .as_str()
        .is_some_and(|detail| detail.contains(&name));
    is_named && shop.commercetools(|project| project.delete_custom_object(CONTAINER, resource))
}

/// Watches a run until it is over, as an operator does who resumes it when it has failed, beside a scheduler.
pub async fn watch(shop: &Shop, resource: &str) -> Value {
    let path = format!("/sync/{resource}");
    let mut last = Value::Null;
    for _ in 0..MOST_TICKS {
        let Answer { status, body } = shop.call(Method::GET, &path, b"").await;
        last = body;
        match last["status"].as_str() {
            _ if status != 200 => {}
            Some("running") => {
                shop.call(Method::POST, "/sync/continue", b"").await;
            }
            Some("failed") => {
                let error = &last["lastError"];
                let is_said =
                    |member: &str| error[member].as_str().is_some_and(|text| !text.is_empty());
                assert!(is_said("message") && is_said("advice"), "{last}");
                shop.call(Method::POST, &path, br#"{"resume":true}"#).await;
            }
            _ => return last,
        }
        shop.time.sleep(TICK).await;
    }
    panic!("{resource} never come to an end: {last}");
}

/// read = sent + skipped + failed.
pub fn assert_counts_add_up(status: &Value) {
    for counts in [&status["counts"], &status["variants"]] {
        let number = |name: &str| counts[name].as_u64().unwrap_or_default();
        let skipped = counts["skipped"].as_object().into_iter().flatten();
        let skipped: u64 = skipped.filter_map(|(_, count)| count.as_u64()).sum();
        let sum = number("sent") + skipped + number("failed");
        assert_eq!(number("read"), sum, "{status}");
    }
}

/// Whatever came before: by stopping, and by deleting the document where the answers name it as the culprit, the
/// operator gets to an import that reads everything.
pub async fn way_out(shop: &Shop, resource: &str) {
    shop.begin_anew();
    let path = format!("/sync/{resource}");
    shop.call(Method::POST, &format!("{path}/stop"), b"").await;
    let mut last = None;
    for _ in 0..TICKS_TO_RECOVER {
        let answer = shop.call(Method::POST, &path, b"").await;
        match answer.status {
            202 => {
                let status = watch(shop, resource).await;
                assert_eq!(status["status"], "completed", "{status}");
                assert_eq!(status["counts"]["read"], status["total"], "{status}");
                assert_counts_add_up(&status);
                return;
            }
            423 | 503 => {}
            _ if delete_if_named(shop, resource, &answer) => {}
            _ => panic!("{resource}: {answer:?}"),
        }
        last = Some(answer);
        shop.time.sleep(TICK).await;
    }
    panic!("{resource} cannot be imported any more: {last:?}");
}
