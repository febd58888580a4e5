//! Somebody who starts imports, watches them beside a scheduler, and gets over what went wrong.

use std::time::Duration;

use native::operator::assert_counts_add_up;
use native::{Answer, CONTAINER, Operator};
use serde_json::Value;

use crate::shop::Shop;

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
        let answer = shop.post(&path, body).await;
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
        shop.pass(TICK).await;
    }
    panic!("{resource} never start");
}

/// Deletes the run document where the answer names it as the culprit, as the advice has it.
fn delete_if_named(shop: &Shop, resource: &str, answer: &Answer) -> bool {
    let is_named = answer.says("detail", &format!("{CONTAINER}/{resource} "));
    is_named && shop.delete_document(resource)
}

/// Watches a run, and calls `continue` as a scheduler does, until it is not going on any more.
pub async fn outcome(shop: &Shop, resource: &str) -> Value {
    let mut last = Value::Null;
    for _ in 0..MOST_TICKS {
        let answer = shop.get(&format!("/sync/{resource}")).await;
        last = answer.body;
        match last["status"].as_str() {
            _ if answer.status != 200 => {}
            Some("running") => {
                shop.post("/sync/continue", "").await;
            }
            Some("failed") => {
                let error = &last["lastError"];
                let is_said =
                    |member: &str| error[member].as_str().is_some_and(|text| !text.is_empty());
                assert!(is_said("message") && is_said("advice"), "{last}");
                return last;
            }
            _ => return last,
        }
        shop.pass(TICK).await;
    }
    panic!("{resource} never come to an end: {last}");
}

/// Watches a run until it is over, as an operator does who resumes it when it has failed.
pub async fn watch(shop: &Shop, resource: &str) -> Value {
    for _ in 0..MOST_TICKS {
        let status = outcome(shop, resource).await;
        if status["status"] != "failed" {
            return status;
        }
        let path = format!("/sync/{resource}");
        shop.post(&path, r#"{"resume":true}"#).await;
        shop.pass(TICK).await;
    }
    panic!("{resource} never get further");
}

/// Whatever came before: by stopping, and by deleting the document where the answers name it as the culprit, the
/// operator gets to an import that reads everything.
pub async fn way_out(shop: &Shop, resource: &str) {
    shop.begin_anew();
    let path = format!("/sync/{resource}");
    shop.stop(resource).await;
    let mut last = None;
    for _ in 0..TICKS_TO_RECOVER {
        let answer = shop.post(&path, "").await;
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
        shop.pass(TICK).await;
    }
    panic!("{resource} cannot be imported any more: {last:?}");
}
