//! The check: what works, and how to mend what does not.

use native::call::says;
use native::{Operator, Setup};

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
        let left = shop.stored("check").is_some();
        assert!(!left, "the check left its custom object behind");
        let deleted = "DELETE /sim-shop/custom-objects/klaviyo-bulk-import/check";
        let server = shop.world.commercetools_server();
        assert_eq!(server.calls_of(deleted), 1);
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
