//! Run documents as they may stand in commercetools: written by another version, by hand, or by a bug.

use http::Method;
use native::{Call, Operator};
use serde_json::Value;

use crate::mutation::mutate;
use crate::operator::{start, way_out};
use crate::script::Script;
use crate::shop::{Echo, run};

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
