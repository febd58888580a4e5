//! Answers of the APIs: whatever they are, the operator gets an import through in the end.

use native::Operator;
use native::operator::assert_counts_add_up;

use crate::operator::{TICK, start, watch, way_out};
use crate::script::Script;
use crate::shop::{Echo, run};
use crate::tamper::Target;

/// Ticks for which a run is watched whose document has been spoiled.
const TICKS_OF_SPOILED_RUNS: u32 = 60;

/// What is started: resource, body, and what has to be imported before it.
const STARTS: [(&str, &str, &[&str]); 10] = [
    ("customers", "", &[]),
    ("orders", "", &[]),
    ("categories", "", &[]),
    ("products", "", &[]),
    ("categories", "", &["categories"]),
    ("products", "", &["categories", "products"]),
    ("customers", r#"{"since":"lastRun"}"#, &["customers"]),
    ("orders", r#"{"dryRun":true}"#, &[]),
    (
        "categories",
        r#"{"deleteAll":true,"confirmDeletion":"categories"}"#,
        &["categories"],
    ),
    (
        "products",
        r#"{"deleteAll":true,"confirmDeletion":"products"}"#,
        &["categories", "products"],
    ),
];

/// commercetools answers queries and hands out tokens as the bytes say.
pub fn commercetools(bytes: &[u8]) {
    answers(Target::Commercetools, bytes);
}

/// Klaviyo answers as the bytes say.
pub fn klaviyo(bytes: &[u8]) {
    answers(Target::Klaviyo, bytes);
}

/// Run documents are read, and their writes answered, as the bytes say.
pub fn run_documents(bytes: &[u8]) {
    answers(Target::RunDocuments, bytes);
}

fn answers(target: Target, bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let (resource, body, before) = script.pick(&STARTS);
    let continuation = script.pick(&["scheduler", "self"]);
    run(continuation, async |shop| {
        for resource in before {
            start(&shop, resource, "").await;
            let status = watch(&shop, resource).await;
            assert_eq!(status["status"], "completed", "{status}");
            assert_counts_add_up(&status);
        }
        shop.begin_anew();
        shop.tamper(target, script);
        if target == Target::RunDocuments {
            // what was spoiled on its way has been written back: the run need not come to an end
            shop.expect(Echo::OfDocuments);
            start(&shop, resource, body).await;
            for _ in 0..TICKS_OF_SPOILED_RUNS {
                shop.get(&format!("/sync/{resource}")).await;
                shop.post("/sync/continue", "").await;
                shop.pass(TICK).await;
            }
        } else {
            start(&shop, resource, body).await;
            assert_counts_add_up(&watch(&shop, resource).await);
        }
        shop.be_honest();
        way_out(&shop, resource).await;
    });
}
