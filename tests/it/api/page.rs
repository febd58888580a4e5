//! The page, and what the API says for it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use native::{Answer, Call, Operator, Setup, TOKEN};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sim::klaviyo::JobTimes;

use crate::support::described::run;

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let value = answer.headers.get(name);
    let value = value.unwrap_or_else(|| panic!("no header {name}"));
    value.to_str().expect("a text")
}

/// The only element of this name: what is in it.
fn only<'a>(page: &'a str, opening: &str, closing: &str) -> &'a str {
    let [_, rest] = page.split(opening).collect::<Vec<_>>()[..] else {
        panic!("{opening} is there once");
    };
    rest.split_once(closing).expect("it is closed").0
}

#[test]
fn the_page_needs_no_token_has_no_data_and_is_found_from_the_root() {
    run(Setup::customers(3), async |shop| {
        let home = shop.send(Call::get("/").without_token()).await;
        assert_eq!(
            (home.status, header(&home, "location")),
            (303, "/sync/page")
        );
        let page = shop.send(Call::get("/sync/page").without_token()).await;
        assert_eq!(page.status, 200);
        let before = page.body;
        shop.start("customers", "").await;
        shop.completed("customers").await;
        // it is the same for everybody, whatever there is to be shown
        let after = shop.get("/sync/page").await.body;
        assert_eq!(before, after);
        let calls = shop.world.commercetools_server().calls();
        shop.get("/sync/page").await;
        assert_eq!(shop.world.commercetools_server().calls(), calls);
        let text = before.as_str().expect("a text");
        for hidden in [TOKEN, "pk_test", "sim-shop"] {
            assert!(!text.contains(hidden), "{hidden}");
        }
    });
}

#[test]
fn the_browser_is_told_to_run_what_is_served_and_nothing_else() {
    run(Setup::customers(0), async |shop| {
        let page = shop.send(Call::get("/sync/page").without_token()).await;
        let text = page.body.as_str().expect("a text");
        let hash = |opening: &str, closing: &str| {
            let digest = Sha256::digest(only(text, opening, closing));
            format!("'sha256-{}'", STANDARD.encode(digest))
        };
        let policy = header(&page, "content-security-policy");
        let directives: Vec<&str> = policy.split("; ").collect();
        for directive in [
            "default-src 'none'".to_owned(),
            "frame-ancestors 'none'".to_owned(),
            "base-uri 'none'".to_owned(),
            "form-action 'none'".to_owned(),
            "connect-src 'self'".to_owned(),
            "require-trusted-types-for 'script'".to_owned(),
            format!(
                "script-src {}",
                hash("<script type=\"module\">", "</script>")
            ),
            format!("style-src {}", hash("<style>", "</style>")),
        ] {
            assert!(directives.contains(&&*directive), "{directive} in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(header(&page, name), value);
        }
        assert!(!page.headers.contains_key("set-cookie"));
    });
}

#[test]
fn a_run_tells_its_history_and_its_phase() {
    let mut setup = Setup::catalog(5, 60)
        .scheduled()
        .variable("window_seconds", 3);
    // so long that it goes on from window to window
    setup.klaviyo.job_times = JobTimes::taking(Duration::from_secs(13));
    run(setup, async |shop| {
        shop.complete("categories", "").await;
        let started = shop.start("products", "").await;
        assert_eq!(started["history"].as_array().map(Vec::len), Some(1));
        let seen = shop.ticked("products").await;
        let positions: Vec<&Value> = seen.iter().map(|status| &status["phasePosition"]).collect();
        let under_way = json!({"index": 0, "of": 1});
        assert!(positions.contains(&&under_way), "{positions:?}");
        let done = seen.last().expect("a status");
        assert_eq!(done["phasePosition"], Value::Null);
        let history = done["history"].as_array().expect("a history");
        assert!((4..=60).contains(&history.len()), "{history:?}");
        let reads: Vec<u64> = history
            .iter()
            .map(|point| point["read"].as_u64().expect("a count"))
            .collect();
        assert!(reads.is_sorted(), "{reads:?}");
        let read = |counts: &str| done[counts]["read"].as_u64().expect("a count");
        assert_eq!(reads.first(), Some(&0));
        assert_eq!(reads.last(), Some(&(read("counts") + read("variants"))));
        assert_eq!(history[0]["at"], done["startedAt"]);
        let overview = shop.read("/sync/status").await;
        assert!(overview["products"].get("history").is_none());
    });
}
