//! What is checked before any operation: headers, paths, rate limits.

use super::*;
use crate::klaviyo::{JobKind, Operation, RateHeaders};

/// The status of a profile list request with one header changed, or removed.
fn status_with(header: &'static str, value: Option<&'static str>) -> StatusCode {
    let mut request = request("GET", "/api/profiles", Bytes::new());
    request.headers_mut().remove(header);
    if let Some(value) = value {
        request
            .headers_mut()
            .insert(header, value.parse().expect("a header value"));
    }
    Account::unlimited().send(&request).status
}

#[test]
fn headers_are_required() {
    assert_eq!(status_with("authorization", None), StatusCode::UNAUTHORIZED);
    for wrong in ["Bearer pk_test", "Klaviyo-API-Key pk_other", "pk_test"] {
        assert_eq!(
            status_with("authorization", Some(wrong)),
            StatusCode::UNAUTHORIZED
        );
    }
    assert_eq!(status_with("revision", None), StatusCode::BAD_REQUEST);
    assert_eq!(
        status_with("revision", Some("2025-01-15")),
        StatusCode::BAD_REQUEST
    );
    assert_eq!(status_with("accept", None), StatusCode::NOT_ACCEPTABLE);
    assert_eq!(
        status_with("accept", Some("application/json")),
        StatusCode::NOT_ACCEPTABLE
    );
    assert_eq!(status_with("accept", Some(MEDIA_TYPE)), StatusCode::OK);
}

#[test]
fn a_body_has_a_content_type() {
    let body = import_of(&[json!({ "email": "a@b.org" })]).to_string();
    let mut request = request("POST", "/api/profile-bulk-import-jobs", body.into());
    request.headers_mut().insert(
        "content-type",
        "application/json".parse().expect("a header value"),
    );
    let answer = Account::unlimited().send(&request);
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[test]
fn unknown_paths_methods_and_parameters_are_refused() {
    let mut account = Account::unlimited();
    assert_eq!(account.get("/api/flows").status, StatusCode::NOT_FOUND);
    let answer = account.post("/api/catalog-items", &json!({}));
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    for query in [
        "limit=5",
        "include=lists",
        "filter=equals(first_name,'a')",
        "filter=nonsense",
        "fields[profile]=age",
    ] {
        account.post(
            "/api/profile-import",
            &json!({"data": {"type": "profile", "attributes": {"email": "a@b.org"}}}),
        );
        let answer = account.get(&format!("/api/profiles?{query}"));
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        let parameter = query.split('=').next();
        assert_eq!(
            answer.body["errors"][0]["source"]["parameter"].as_str(),
            parameter
        );
    }
}

#[test]
fn errors_are_json_api_errors() {
    let answer = Account::unlimited().get("/api/profile-bulk-import-jobs/none");
    let error = &answer.body["errors"][0];
    assert_eq!(error["status"], 404);
    for name in ["id", "code", "title", "detail"] {
        assert!(
            error[name].as_str().is_some_and(|text| !text.is_empty()),
            "{name}"
        );
    }
    let mut account = Account::unlimited();
    let broken = request("POST", "/api/profiles", Bytes::from_static(b"{\"data\":"));
    assert_eq!(account.send(&broken).pointers(), ["/data"]);
}

#[test]
fn headers_tell_of_the_second_as_recorded() {
    let mut account = Account::new(Options::default());
    for call in 1..=10 {
        let answer = account.get("/api/profile-bulk-import-jobs");
        assert_eq!(answer.headers["ratelimit-limit"], "10, 10;w=1, 150;w=60");
        let left = (10 - call).to_string();
        assert_eq!(answer.headers["ratelimit-remaining"], left.as_str());
        assert_eq!(answer.headers["ratelimit-reset"], "0");
    }
    let throttled = account.get("/api/profile-bulk-import-jobs");
    assert_eq!(throttled.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(!throttled.headers.contains_key("content-type"));
    assert!(!throttled.headers.contains_key("ratelimit-limit"));
    assert_eq!(throttled.pointers(), ["/data"]);
}

#[test]
fn rate_limits_are_told_as_documented_and_kept() {
    let mut account = Account::new(Options {
        rate_headers: RateHeaders::Documented,
        ..Options::default()
    });
    let path = "/api/profile-bulk-import-jobs";
    for call in 1..=10 {
        let answer = account.get(path);
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["ratelimit-limit"], "150");
        assert_eq!(
            answer.headers["ratelimit-remaining"],
            (150 - call).to_string().as_str()
        );
        assert_eq!(answer.headers["ratelimit-reset"], "60");
    }
    let throttled = account.get(path);
    assert_eq!(throttled.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(throttled.headers["retry-after"], "1");
    assert!(!throttled.headers.contains_key("ratelimit-remaining"));
    account.wait(Duration::from_secs(1));
    let refused = account.get(&format!("{path}?x=1"));
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        refused.headers["ratelimit-remaining"], "139",
        "refused calls count too"
    );
    assert_eq!(refused.headers["ratelimit-reset"], "59");

    let traffic = account
        .klaviyo
        .ledger()
        .traffic(Operation::ListJobs(JobKind::ProfileImport));
    assert_eq!(
        (traffic.calls, traffic.throttled, traffic.refused),
        (12, 1, 1)
    );
}

#[test]
fn limits_can_be_switched_off() {
    let mut account = Account::unlimited();
    for _ in 0..200 {
        assert_eq!(
            account.get("/api/profile-bulk-import-jobs").status,
            StatusCode::OK
        );
    }
}

#[test]
fn traffic_counts_bytes() {
    let mut account = Account::unlimited();
    let body = import_of(&[json!({ "email": "a@b.org" })]);
    account.post("/api/profile-bulk-import-jobs", &body);
    let ledger = account.klaviyo.ledger();
    let traffic = ledger.traffic(Operation::StartJob(JobKind::ProfileImport));
    assert_eq!(
        (traffic.calls, traffic.bytes),
        (1, body.to_string().len() as u64)
    );
    assert_eq!(ledger.total_traffic(), traffic);
}
