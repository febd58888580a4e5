//! The account as its callers see it: one request, one answer, on a clock moved by hand.

mod accounts;
mod catalog;
mod door;
mod events;
mod profiles;
mod recordings;
mod unrecorded;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Klaviyo, Options};
use crate::contract::{Api, Contract};
use crate::peer::Peer;

const MEDIA_TYPE: &str = "application/vnd.api+json";

/// A whole minute, so that the windows of the rate limits begin with the test.
const START: i64 = 1_800_000_000;

/// An account and the moment it is.
struct Account {
    klaviyo: Klaviyo,
    now: Timestamp,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    /// The pointers of the errors.
    fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().expect("errors");
        errors
            .iter()
            .map(|error| error["source"]["pointer"].as_str().unwrap_or("nowhere"))
            .collect()
    }

    fn ids(&self) -> Vec<&str> {
        ids(&self.body["data"])
    }

    /// The path and query of the next page.
    fn next(&self) -> Option<String> {
        let next = self.body["links"]["next"].as_str()?;
        Some(
            next.strip_prefix("http://127.0.0.1:4711")
                .expect("our own address")
                .to_owned(),
        )
    }
}

fn ids(data: &Value) -> Vec<&str> {
    let data = data.as_array().expect("a list");
    data.iter()
        .filter_map(|resource| resource["id"].as_str())
        .collect()
}

impl Account {
    fn new(options: Options) -> Self {
        Self {
            klaviyo: Klaviyo::new(options),
            now: Timestamp::from_second(START).expect("a time in range"),
        }
    }

    fn unlimited() -> Self {
        Self::new(Options {
            rate_limits: false,
            ..Options::default()
        })
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    /// Long enough for every job.
    fn wait_for_jobs(&mut self) {
        self.wait(Duration::from_secs(10));
        self.klaviyo.settle(self.now);
    }

    fn send(&mut self, request: &Request<Bytes>) -> Answer {
        let response = self.klaviyo.answer(self.now, request);
        if let Some(contract) = Contract::shared() {
            let mut violations = contract.check_response(Api::Klaviyo, request, &response);
            if response.status().is_success() {
                violations.extend(contract.check_request(Api::Klaviyo, request));
            }
            assert_eq!(violations, [""; 0], "the contract");
        }
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    fn get(&mut self, path: &str) -> Answer {
        let request = request("GET", path, Bytes::new());
        self.send(&request)
    }

    fn post(&mut self, path: &str, body: &Value) -> Answer {
        let request = request("POST", path, body.to_string().into());
        self.send(&request)
    }

    /// Posts, and expects a refusal with 400 at these pointers.
    #[track_caller]
    fn refused(&mut self, path: &str, body: &Value, pointers: &[&str]) {
        let answer = self.post(path, body);
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.body);
        assert_eq!(answer.pointers(), pointers);
    }
}

fn request(method: &str, path: &str, body: Bytes) -> Request<Bytes> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "127.0.0.1:4711")
        .header("authorization", "Klaviyo-API-Key pk_test")
        .header("revision", "2026-07-15")
        .header("accept", MEDIA_TYPE);
    if method != "GET" {
        request = request.header("content-type", MEDIA_TYPE);
    }
    request.body(body).expect("a request")
}

/// The body of a bulk profile import.
fn import_of(profiles: &[Value]) -> Value {
    let profiles: Vec<Value> = profiles
        .iter()
        .map(|attributes| json!({ "type": "profile", "attributes": attributes }))
        .collect();
    json!({
        "data": {
            "type": "profile-bulk-import-job",
            "attributes": { "profiles": { "data": profiles } },
        },
    })
}
