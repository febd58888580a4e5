//! What the checks let through and what they tell of.

use super::*;

fn request(method: &str, uri: &str, content_type: &str, body: &Value) -> Request<Bytes> {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    Request::builder()
        .method(method)
        .uri(uri)
        .header(CONTENT_TYPE, content_type)
        .header("revision", "2026-07-15")
        .body(Bytes::from(body))
        .expect("a request")
}

fn get(uri: &str) -> Request<Bytes> {
    request("GET", uri, "", &Value::Null)
}

#[test]
fn templates_fit_paths() {
    assert!(fits("/{projectKey}/orders", "/shop/orders"));
    assert!(!fits("/{projectKey}/orders", "/shop/orders/1"));
    assert!(!fits("/{projectKey}/orders", "//orders"));
    assert!(!fits("/api/profiles/{id}", "/api/profiles"));
}

#[test]
fn queries_are_checked() {
    let Some(contract) = Contract::shared() else {
        return;
    };
    let good = [
        (
            Api::Commercetools,
            "/shop/orders?limit=500&sort=id%20asc&where=id%20%3E%20:last&var.last=a&withTotal=false",
        ),
        (
            Api::Klaviyo,
            "/api/catalog-items?page%5Bsize%5D=100&include=variants&fields%5Bcatalog-item%5D=title,url",
        ),
    ];
    for (api, uri) in good {
        assert_eq!(contract.check_request(api, &get(uri)), [""; 0], "{uri}");
    }
    let bad = [
        (Api::Commercetools, "/shop/orders?var.a-b=1"),
        (Api::Commercetools, "/shop/orders?limit=many"),
        (Api::Commercetools, "/shop/orders?withTotal=no"),
        (Api::Commercetools, "/shop/carts"),
        (Api::Klaviyo, "/api/catalog-items?page%5Bsize%5D=101"),
        (Api::Klaviyo, "/api/catalog-items?include=items"),
        (
            Api::Klaviyo,
            "/api/catalog-items?fields%5Bcatalog-item%5D=name",
        ),
        (Api::Klaviyo, "/api/catalog-items?limit=1"),
    ];
    for (api, uri) in bad {
        assert_eq!(contract.check_request(api, &get(uri)).len(), 1, "{uri}");
    }
}

#[test]
fn request_bodies_are_closed() {
    let Some(contract) = Contract::shared() else {
        return;
    };
    let draft = |body: Value| {
        let request = request("POST", "/shop/custom-objects", "application/json", &body);
        contract.check_request(Api::Commercetools, &request)
    };
    let value = json!({ "any": ["thing"] });
    let good = json!({ "container": "c", "key": "k", "value": value, "version": 0 });
    assert_eq!(draft(good), [""; 0]);
    assert_eq!(
        draft(json!({ "container": "c", "key": "k", "value": 1, "ttl": 1 })).len(),
        1
    );
    assert_eq!(draft(json!({ "container": "c", "value": 1 })).len(), 1);

    let profile = |attributes: Value| {
        let body = json!({ "data": { "type": "profile", "attributes": attributes } });
        let request = request("POST", "/api/profiles", "application/vnd.api+json", &body);
        contract.check_request(Api::Klaviyo, &request)
    };
    assert_eq!(
        profile(json!({ "email": null, "properties": { "own": 1 } })),
        [""; 0]
    );
    assert_eq!(profile(json!({ "email": 1 })).len(), 1);
    assert_eq!(profile(json!({ "mail": "a@b.org" })).len(), 1);
    assert_eq!(profile(json!({ "location": { "town": "B" } })).len(), 1);
}

#[test]
fn headers_and_content_types_are_checked() {
    let Some(contract) = Contract::shared() else {
        return;
    };
    let mut request = get("/api/profiles");
    request.headers_mut().remove("revision");
    assert_eq!(contract.check_request(Api::Klaviyo, &request).len(), 1);
    let body = json!({ "data": { "type": "profile", "attributes": {} } });
    let request = self::request("POST", "/api/profiles", "application/json", &body);
    assert_eq!(contract.check_request(Api::Klaviyo, &request).len(), 1);
}

#[test]
fn answers_are_checked() {
    let Some(contract) = Contract::shared() else {
        return;
    };
    let answer = |status: u16, body: &str| {
        let response = Response::builder()
            .status(status)
            .header(CONTENT_TYPE, "application/vnd.api+json")
            .body(Bytes::from(body.to_owned()))
            .expect("a response");
        contract.check_response(Api::Klaviyo, &get("/api/catalog-categories"), &response)
    };
    let page =
        |link: &str| json!({ "data": [], "links": { "self": link, "next": link } }).to_string();
    assert_eq!(answer(200, &page("http://127.0.0.1/x")), [""; 0]);
    assert!(
        !answer(200, &page("no link")).is_empty(),
        "formats are checked"
    );
    assert_eq!(answer(200, "{}").len(), 1);
    assert_eq!(answer(204, "").len(), 1, "a status that is not described");
    assert_eq!(
        answer(400, r#"{"errors":[{"id":"1","code":"x","title":"x"}]}"#).len(),
        1
    );
}
