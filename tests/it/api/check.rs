//! The check: what works, and how to mend what does not.

use std::rc::Rc;

use bytes::Bytes;
use http::{Method, Request, Response};
use klaviyo_bulk_import::ports::TransportError;
use native::call::says;
use native::environment::{Answered, Destination};
use native::shop::run_with;
use native::{Interceptor, Operator, Setup};
use sim::seed::Shop as Kept;

use crate::support::described::run;
use crate::support::views::line;

#[test]
fn the_check_says_what_works() {
    run(Setup::everything(), async |shop| {
        let check = shop.read("/sync/check").await;
        assert_eq!(check["ok"], true, "{check}");
        let customers = line(&check, "commercetools: read customers");
        assert_eq!(customers["detail"], "30 customers");
        for (what, state) in [
            ("self-call", "ok"),
            ("commercetools: catalog model", "ok"),
            ("commercetools: scope for standalone prices", "ok"),
            ("work after the response", "ok"),
            ("requests at a time", "ok"),
            ("clock", "ok"),
            ("Klaviyo: key", "ok"),
            ("Klaviyo: scope profiles:read and lists:read", "ok"),
            ("Klaviyo: scope catalogs:read", "ok"),
            ("Klaviyo: scope profiles:write", "unknown"),
            ("Klaviyo: scope lists:write", "unknown"),
            ("Klaviyo: scope events:write", "unknown"),
            ("Klaviyo: scope catalogs:write", "unknown"),
        ] {
            assert_eq!(line(&check, what)["state"], state, "{what}");
        }
        for key in ["check", "check-after-response"] {
            let left = shop.stored(key).is_some();
            assert!(!left, "the check left its custom object {key} behind");
        }
        let deleted = "DELETE /sim-shop/custom-objects/klaviyo-bulk-import/check";
        let server = shop.world.commercetools_server();
        assert_eq!(server.calls_of(deleted), 1);
    });
}

#[test]
fn the_catalog_model_is_said_by_the_project_or_by_its_records() {
    for (kept, says, looks_like) in [
        (Kept::Usual, "the project says Classic", "Classic: "),
        (Kept::Standalone, "the project says Classic", "Classic: "),
        (Kept::Modular, "the project says Modular", "Modular: "),
        (Kept::Mixed, "the project says InMigration", ""),
    ] {
        let setup = Setup::catalog(0, 20).kept_as(kept);
        run(setup.variable("ct_scope", ""), async |shop| {
            let model = async || {
                let check = shop.read("/sync/check").await;
                line(&check, "commercetools: catalog model")["detail"].clone()
            };
            let detail = model().await;
            assert!(
                detail
                    .as_str()
                    .is_some_and(|text| text.starts_with(looks_like)),
                "{detail}"
            );
            shop.world.commercetools(|project| {
                let scopes = sim::commercetools::SCOPES;
                project.set_client_scopes(&[&scopes[..], &["view_project_settings"]].concat());
                project.revoke_tokens();
            });
            // its first call finds that the token is no longer one
            model().await;
            let detail = model().await;
            assert!(
                detail.as_str().is_some_and(|text| text.starts_with(says)),
                "{detail}"
            );
        });
    }
}

/// A platform that ends an invocation with its response.
struct NothingAfterTheResponse;

impl Interceptor for NothingAfterTheResponse {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let is_later = to == Destination::Itself
            && request.method() == Method::POST
            && request.uri().path().ends_with("/ping");
        is_later.then(|| {
            Ok(Response::builder()
                .status(202)
                .body(Bytes::new())
                .expect("a response"))
        })
    }
}

#[test]
fn the_check_finds_out_that_nothing_is_done_after_a_response() {
    let platform = Rc::new(NothingAfterTheResponse);
    run_with(Setup::everything(), platform, async |shop| {
        let check = shop.read("/sync/check").await;
        let failed = line(&check, "work after the response");
        assert_eq!(failed["state"], "failed", "{check}");
        assert!(says(&failed["fix"], "continuation to scheduler"), "{check}");
        // what a scheduler needs is not tried
        let check = shop
            .another(&[("continuation", "scheduler")])
            .read("/sync/check")
            .await;
        assert_eq!(check["ok"], true, "{check}");
    });
}

/// A platform whose own certificate the app does not trust.
struct Untrusted;

impl Interceptor for Untrusted {
    fn request(&self, to: Destination, _request: &Request<Bytes>) -> Option<Answered> {
        let error = TransportError::Connection("TLS certificate error".to_owned());
        (to == Destination::Itself).then_some(Err(error))
    }
}

#[test]
fn the_check_says_what_failed_of_a_self_call() {
    run_with(Setup::everything(), Rc::new(Untrusted), async |shop| {
        let check = shop.read("/sync/check").await;
        let failed = line(&check, "self-call");
        assert!(says(&failed["detail"], "TLS certificate error"), "{check}");
        assert!(says(&failed["fix"], "certificate"), "{check}");
        assert!(!says(&failed["fix"], "allowed_outbound_hosts"), "{check}");
    });
}

#[test]
fn the_check_names_what_does_not_work_with_its_fix() {
    let setup = Setup::everything()
        .variable("ct_scope", "")
        .variable("klaviyo_auth_key", "pk_wrong");
    run(setup, async |shop| {
        shop.world.commercetools(|project| {
            project.set_client_scopes(&["view_customers", "view_products", "view_orders"]);
        });
        let check = shop.read("/sync/check").await;
        assert_eq!(check["ok"], false);
        for (what, fix) in [
            (
                "commercetools: scope for run documents",
                "manage_key_value_documents:sim-shop",
            ),
            ("Klaviyo: key", "klaviyo_auth_key"),
        ] {
            assert!(says(&line(&check, what)["fix"], fix), "{check}");
        }
        for (what, state) in [
            ("commercetools: write and delete a custom object", "failed"),
            ("commercetools: scope for orders", "ok"),
        ] {
            assert_eq!(line(&check, what)["state"], state, "{what}");
        }

        let client = r#"{"clientId":"no","secret":"hush-hush"}"#;
        let stranger = shop.another(&[("ct_api_client", client)]);
        let check = stranger.read("/sync/check").await;
        let fix = &line(&check, "commercetools: token")["fix"];
        assert!(says(fix, "ct_api_client"), "{check}");
        assert!(!check.to_string().contains("hush-hush"));
    });
}
