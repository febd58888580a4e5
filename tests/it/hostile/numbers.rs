//! Numbers of run documents that can be no run's.

#[test]
fn in_the_document_of_an_import() {
    for resource in ["customers", "orders", "categories", "products"] {
        hostile::properties::numbers_too_large(resource, "");
    }
}

#[test]
fn in_the_document_of_a_comparison() {
    hostile::properties::numbers_too_large("products", r#"{"drift": true}"#);
}

#[test]
fn in_the_document_of_a_deletion() {
    let body = r#"{"deleteAll": true, "confirmDeletion": "products"}"#;
    hostile::properties::numbers_too_large("products", body);
}
