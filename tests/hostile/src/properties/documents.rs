//! Run documents as they may stand in commercetools: written by another version, by hand, or by a bug.

use http::Method;
use native::{Call, Operator};
use serde_json::Value;

use crate::mutation::mutate;
use crate::operator::{start, way_out};
use crate::script::Script;
use crate::shop::{Echo, run};

/// Numbers that no run has: as large as a member can hold, the smallest that is too large for a time, and what a sum of a few
/// exceeds.
const TOO_LARGE: [u64; 3] = [u64::MAX, i64::MAX as u64, 1 << 62];
/// Numbers of a run document that are only there when they are not 0.
const OFTEN_ABSENT: [&str; 12] = [
    "/total",
    "/recordBytes",
    "/refusedBlindly",
    "/namedFailures",
    "/rememberedFailures",
    "/fruitlessWaits",
    "/killedWindows",
    "/memoryHalvings",
    "/cursor/batchCap",
    "/cursor/pageCap",
    "/cursor/clockAheadMs",
    "/cursor/phaseRecords",
];

/// A run document, and a plan, that are not as the app writes them: every call says so or makes the best of it, and there
/// is a way out.
pub fn stored_documents(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let continuation = script.pick(&["scheduler", "self"]);
    let resource = script.pick(&["customers", "orders", "categories", "products"]);
    let windows = script.below(4);
    let has_plan = script.byte().is_multiple_of(4);
    run(continuation, async |shop| {
        if has_plan {
            shop.post("/sync", "").await;
        } else {
            start(&shop, resource, "").await;
        }
        for _ in 0..windows {
            shop.post("/sync/continue", "").await;
        }
        let key = if has_plan && script.byte().is_multiple_of(2) {
            "plan"
        } else {
            resource
        };
        let Some(document) = shop.stored(key) else {
            return;
        };
        let spoiled = mutate(document.value.to_string().as_bytes(), &mut script);
        // commercetools keeps JSON only, and no nesting without end
        let draft = [b"{\"value\":", &spoiled[..], b"}"].concat();
        let Ok(Value::Object(mut draft)) = serde_json::from_slice(&draft) else {
            return;
        };
        let spoiled = draft.remove("value").unwrap_or_default();
        shop.expect(Echo::OfDocuments);
        shop.put_document(key, &spoiled);
        for _ in 0..8 {
            let (method, path) = match script.below(7) {
                0 => (Method::GET, format!("/sync/{resource}")),
                1 => (Method::GET, "/sync/status".to_owned()),
                2 => (Method::POST, format!("/sync/{resource}/continue")),
                3 => (Method::POST, "/sync/continue".to_owned()),
                4 => (Method::POST, format!("/sync/{resource}/stop")),
                5 => (Method::POST, "/sync/stop".to_owned()),
                _ => (Method::POST, format!("/sync/{resource}")),
            };
            shop.send(Call::new(method, path)).await;
        }
        if has_plan {
            shop.delete_document("plan");
        }
        way_out(&shop, resource).await;
    });
}

/// Each number of a run's document is too large for any run, one after the other: every call says so or makes the best of it,
/// and there is a way out.
pub fn numbers_too_large(resource: &str, body: &str) {
    run("scheduler", async |shop| {
        start(&shop, resource, body).await;
        shop.post("/sync/continue", "").await;
        let document = shop.document(resource);
        shop.expect(Echo::OfDocuments);
        let mut pointers: Vec<String> = OFTEN_ABSENT.map(str::to_owned).into();
        add_numbers(&document, "", &mut pointers);
        for pointer in &pointers {
            for number in TOO_LARGE {
                let mut spoiled = document.clone();
                put(&mut spoiled, pointer, number);
                shop.begin_anew();
                for (method, path) in [
                    (Method::GET, "/sync/status".to_owned()),
                    (Method::POST, format!("/sync/{resource}/continue")),
                    (Method::GET, format!("/sync/{resource}")),
                    (Method::POST, format!("/sync/{resource}/stop")),
                    (Method::POST, format!("/sync/{resource}")),
                ] {
                    // each of them finds it as it was put there
                    shop.put_document(resource, &spoiled);
                    shop.send(Call::new(method, path)).await;
                }
            }
        }
        shop.put_document(resource, &document);
        way_out(&shop, resource).await;
    });
}

/// Where a document has numbers.
fn add_numbers(value: &Value, pointer: &str, pointers: &mut Vec<String>) {
    match value {
        Value::Number(_) => pointers.push(pointer.to_owned()),
        Value::Array(values) => {
            for (n, value) in values.iter().enumerate() {
                add_numbers(value, &format!("{pointer}/{n}"), pointers);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                add_numbers(value, &format!("{pointer}/{name}"), pointers);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Puts a number into a document, where the object is there that it belongs to.
fn put(document: &mut Value, pointer: &str, number: u64) {
    if let Some(known) = document.pointer_mut(pointer) {
        *known = number.into();
        return;
    }
    let parent = pointer.rsplit_once('/');
    let parent = parent.and_then(|(parent, name)| Some((document.pointer_mut(parent)?, name)));
    if let Some((Value::Object(members), name)) = parent {
        members.insert(name.to_owned(), number.into());
    }
}
