//! The check: what works, and how to mend what does not. Natively; every answer is held to the API's description.

use crate::support::native::{app, run};
use crate::support::operator::{get, line};
use crate::support::{Setup, assert_contract, calls};

#[test]
fn the_check_says_what_works() {
    run(async || {
        // at its real speed: the check looks at the clock
        let mut setup = Setup::everything();
        let world = setup.world().await;
        let app = app(&setup, &world);
        let check = get(&app, "/sync/check").await;
        assert_eq!(check["ok"], true, "{check}");
        assert_eq!(line(&check, "self-call")["state"], "ok");
        assert_eq!(
            line(&check, "commercetools: read customers")["detail"],
            "30 customers"
        );
        assert_eq!(line(&check, "Klaviyo: key")["state"], "ok");
        for scope in ["profiles:read and lists:read", "catalogs:read"] {
            assert_eq!(
                line(&check, &format!("Klaviyo: scope {scope}"))["state"],
                "ok"
            );
        }
        for scope in [
            "profiles:write",
            "lists:write",
            "events:write",
            "catalogs:write",
        ] {
            assert_eq!(
                line(&check, &format!("Klaviyo: scope {scope}"))["state"],
                "unknown"
            );
        }
        assert_eq!(line(&check, "clock")["state"], "ok");
        let left = world.commercetools(|project| {
            project
                .custom_object("klaviyo-bulk-import", "check")
                .is_some()
        });
        assert!(!left, "the check left its custom object behind");
        assert_eq!(
            calls(
                world.commercetools_server(),
                "DELETE /sim-shop/custom-objects/klaviyo-bulk-import/check"
            ),
            1
        );
        assert_contract(&world);
    });
}

#[test]
fn the_check_names_what_does_not_work_with_its_fix() {
    run(async || {
        let mut setup = Setup::everything();
        let world = setup.world().await;
        world.commercetools(|project| {
            project.set_client_scopes(&["view_customers", "view_products", "view_orders"]);
        });
        let setup = Setup::everything()
            .variable("ct_scope", "")
            .variable("klaviyo_auth_key", "pk_wrong");
        let app = app(&setup, &world);
        let check = get(&app, "/sync/check").await;
        assert_eq!(check["ok"], false);
        let fix = |what: &str| {
            line(&check, what)["fix"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        assert!(
            fix("commercetools: scope for run documents")
                .contains("manage_key_value_documents:sim-shop"),
            "{check}"
        );
        assert_eq!(
            line(&check, "commercetools: write and delete a custom object")["state"],
            "failed"
        );
        assert!(fix("Klaviyo: key").contains("klaviyo_auth_key"), "{check}");
        assert_eq!(
            line(&check, "commercetools: scope for orders")["state"],
            "ok"
        );

        let setup = Setup::everything()
            .variable("ct_api_client", r#"{"clientId":"no","secret":"hush-hush"}"#);
        let app = crate::support::native::app(&setup, &world);
        let check = get(&app, "/sync/check").await;
        assert!(
            line(&check, "commercetools: token")["fix"]
                .as_str()
                .is_some_and(|fix| fix.contains("ct_api_client"))
        );
        assert!(!check.to_string().contains("hush-hush"));
    });
}
