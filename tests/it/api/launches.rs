//! Runs that a plan has begun are worked on, whatever becomes of the plan's own document.

use std::rc::Rc;

use bytes::Bytes;
use http::{Method, Request, Response};
use native::environment::{Answered, Destination};
use native::shop::run_with;
use native::{Interceptor, Operator, Setup};
use serde_json::{Value, json};
use sim::seed::Kind;

/// commercetools takes no write of a plan that says that a run of it is going on.
struct PlanIsNotSaved;

impl Interceptor for PlanIsNotSaved {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let is_write = to == Destination::Commercetools
            && request.method() == Method::POST
            && request.uri().path().ends_with("/custom-objects");
        let draft: Value = serde_json::from_slice(request.body()).ok()?;
        let mut steps = draft["value"]["steps"].as_array()?.iter();
        let is_refused =
            is_write && draft["key"] == "plan" && steps.any(|step| step["state"] == "running");
        is_refused.then(|| {
            let mut response = Response::new(Bytes::from_static(b"{}"));
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
            Ok(response)
        })
    }
}

#[test]
fn a_plan_that_is_not_saved_after_its_launches_works_what_it_has_launched() {
    // nobody calls `continue` but the app itself
    run_with(
        Setup::customers(20),
        Rc::new(PlanIsNotSaved),
        async |shop| {
            let plan = json!({"resources": ["customers"]});
            shop.posted("/sync", plan, 202).await;
            let log = shop.log().join("\n");
            assert!(log.contains("plan_not_advanced"), "{log}");
            let status = shop.status("customers").await;
            assert_ne!(status["advice"], "Nothing. It is being worked on.");
            shop.completed("customers").await;
            shop.assert_ledger(&[Kind::Customer]);
            // the plan takes note of its end when it can be saved
            let status = shop.plan_over(false).await;
            assert_eq!(status["plan"]["status"], "completed", "{status}");
        },
    );
}
