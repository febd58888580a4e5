//! Run documents as they may stand in commercetools: written by another version, by hand, or by a bug.

use http::Method;
use serde_json::Value;

use crate::mutation::mutate;
use crate::operator::{start, way_out};
use crate::script::Script;
use crate::shop::{CONTAINER, Echo, Shop};

/// A run document, and a plan, that are not as the app writes them: every call says so or makes the best of it, and there
/// is a way out.
pub fn stored_documents(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let shop = Shop::open(script.pick(&["scheduler", "self"]));
    let resource = script.pick(&["customers", "orders", "categories", "products"]);
    let windows = script.below(4);
    let has_plan = script.byte().is_multiple_of(4);
    shop.time.clone().run(async {
        if has_plan {
            shop.call(Method::POST, "/sync", b"").await;
        } else {
            start(&shop, resource, "").await;
        }
        for _ in 0..windows {
            shop.call(Method::POST, "/sync/continue", b"").await;
        }
        let key = if has_plan && script.byte().is_multiple_of(2) {
            "plan"
        } else {
            resource
        };
        let Some(document) = shop.document(key) else {
            return;
        };
        let spoiled = mutate(document.to_string().as_bytes(), &mut script);
        // commercetools keeps JSON only, and no nesting without end
        let draft = [b"{\"value\":", &spoiled[..], b"}"].concat();
        let Ok(Value::Object(mut draft)) = serde_json::from_slice(&draft) else {
            return;
        };
        let spoiled = draft.remove("value").unwrap_or_default();
        shop.expect(Echo::OfDocuments);
        let now = shop.time.now();
        shop.commercetools(|project| project.put_custom_object(now, CONTAINER, key, &spoiled));
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
            shop.call(method, &path, b"").await;
        }
        if has_plan {
            shop.commercetools(|project| project.delete_custom_object(CONTAINER, "plan"));
        }
        way_out(&shop, resource).await;
    });
}
