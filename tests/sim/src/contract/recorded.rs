//! Where the real APIs are known to answer in another way than their descriptions have it.

use http::StatusCode;
use serde_json::{Value, json};

use super::Api;

/// Changes the body of an answer to what the description has in the place of what was seen:
///
/// - `links.next` and `links.prev` are null where there is no such page, and the region of an account's address where
///   it has none (recorded);
/// - a product projection of a Modular project has no `masterVariant`
///   (<https://docs.commercetools.com/guides/migration-guides/modular-catalog-migration>);
/// - a project that migrates its catalog says `InMigration`
///   (<https://docs.commercetools.com/api/projects/project#productcatalogmodel>);
/// - an error of a catalog job has a null `id`, `code` and `title`, and no `source` (reported by users of the API).
pub(super) fn as_described(api: Api, body: &mut Value) {
    if api != Api::Klaviyo {
        if body.get("productCatalogModel") == Some(&json!("InMigration")) {
            body["productCatalogModel"] = "Modular".into();
        }
        let products = body.get_mut("results").and_then(Value::as_array_mut);
        for product in products.into_iter().flatten() {
            if product.get("priceMode").is_some() && product.get("variants") == Some(&json!([])) {
                let product = product.as_object_mut().into_iter();
                product.for_each(|product| {
                    product
                        .entry("masterVariant")
                        .or_insert_with(|| json!({"id": 1}));
                });
            }
        }
        return;
    }
    if let Some(links) = body.get_mut("links").and_then(Value::as_object_mut) {
        links.retain(|name, link| !(link.is_null() && matches!(name.as_str(), "next" | "prev")));
    }
    let resources = match body.get_mut("data") {
        Some(Value::Array(list)) => list.iter_mut().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    for resource in resources {
        let region = "/attributes/contact_information/street_address/region";
        if let Some(region @ Value::Null) = resource.pointer_mut(region) {
            *region = "".into();
        }
        let errors = resource.pointer_mut("/attributes/errors");
        for error in errors.and_then(Value::as_array_mut).into_iter().flatten() {
            for name in ["id", "code", "title"] {
                if let Some(member @ Value::Null) = error.get_mut(name) {
                    *member = "".into();
                }
            }
            if let Some(error) = error.as_object_mut() {
                error.entry("source").or_insert_with(|| json!({}));
            }
        }
    }
}

/// Whether an answer may have no content type: a 429 of Klaviyo has none, although its body is JSON (recorded).
pub(super) fn may_lack_content_type(api: Api, status: StatusCode) -> bool {
    api == Api::Klaviyo && status == StatusCode::TOO_MANY_REQUESTS
}
