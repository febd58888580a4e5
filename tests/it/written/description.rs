//! The OpenAPI description of the app's own API is sound, and is what the app serves and takes.

use native::Operator;
use serde_json::{Value, json};

use crate::support::described::run;
use crate::support::description::{description, operations, validator};
use native::Setup;

#[test]
fn the_description_is_served_as_it_is_written() {
    run(Setup::default(), async |shop| {
        let served = shop.read("/sync/openapi.json").await;
        assert_eq!(served["openapi"], "3.1.0");
        assert_eq!(served, description());
    });
}

#[test]
fn references_and_operation_ids_are_sound() {
    let description = description();
    let mut ids: Vec<&str> = operations(&description)
        .map(|(_, _, operation)| operation["operationId"].as_str().expect("an operationId"))
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an operationId is used twice");
    let mut open = vec![&description];
    while let Some(value) = open.pop() {
        if let Some(name) = value["$ref"].as_str() {
            let found = description.pointer(
                name.strip_prefix('#')
                    .expect("a reference within the description"),
            );
            assert!(found.is_some(), "{name} leads nowhere");
        }
        match value {
            Value::Array(values) => open.extend(values),
            Value::Object(members) => open.extend(members.values()),
            _ => {}
        }
    }
}

#[test]
fn bodies_are_taken_where_they_are_as_described() {
    const ID: &str = "00000000-0000-4000-8000-000000000000";
    let description = description();
    let schema = |name: &str| validator(&description, &description["components"]["schemas"][name]);
    let (start, plan) = (schema("Start"), schema("PlanStart"));
    run(Setup::default().scheduled(), async |shop| {
        let many = vec![ID; 5_001];
        let deletion = |confirmed: &str| json!({"deleteAll": true, "confirmDeletion": confirmed});
        for (path, schema, body) in [
            ("/sync/orders", &start, json!({})),
            ("/sync/orders", &start, json!({"ids": [ID]})),
            ("/sync/orders", &start, json!({"ids": many[1..]})),
            ("/sync/orders", &start, json!({"ids": many})),
            ("/sync/orders", &start, json!({"ids": []})),
            ("/sync/orders", &start, json!({"ids": null, "since": null})),
            ("/sync/orders", &start, json!({"ids": ["x"]})),
            ("/sync/orders", &start, json!({"ids": ID})),
            (
                "/sync/orders",
                &start,
                json!({"startId": ID, "triggerFlows": true}),
            ),
            ("/sync/orders", &start, json!({"startId": 7})),
            (
                "/sync/orders",
                &start,
                json!({"since": "2026-01-31T00:00:00Z"}),
            ),
            (
                "/sync/orders",
                &start,
                json!({"since": "2026-01-31T00:00:00+02:00"}),
            ),
            ("/sync/orders", &start, json!({"since": "yesterday"})),
            ("/sync/orders", &start, json!({"dryRun": true})),
            ("/sync/orders", &start, json!({"dryRun": "yes"})),
            ("/sync/orders", &start, json!({"dryRun": null})),
            ("/sync/orders", &start, json!({"idz": [ID]})),
            ("/sync/orders", &start, json!([])),
            ("/sync/orders", &start, json!(null)),
            ("/sync/products", &start, deletion("products")),
            (
                "/sync/products",
                &start,
                json!({"deleteAll": true, "confirmDeletetion": "products"}),
            ),
            ("/sync/products", &start, deletion("everything")),
            ("/sync", &plan, json!({})),
            ("/sync", &plan, json!({"resources": ["orders", "orders"]})),
            ("/sync", &plan, json!({"resources": []})),
            ("/sync", &plan, json!({"resources": ["carts"]})),
            (
                "/sync",
                &plan,
                json!({"resources": null, "since": "2026-01-31T00:00:00Z"}),
            ),
            (
                "/sync",
                &plan,
                json!({"dryRun": true, "triggerFlows": true}),
            ),
            ("/sync", &plan, json!({"ids": [ID]})),
        ] {
            let status = if schema.is_valid(&body) { 202 } else { 400 };
            shop.posted(path, body, status).await;
            if status == 202 {
                shop.posted(&format!("{path}/stop"), "", 200).await;
            }
        }
    });
}
