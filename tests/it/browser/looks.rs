//! The page on narrow screens, in the dark, by keyboard, and while its app is away.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use host::Options;
use native::{Operator, Setup, TOKEN};
use serde_json::json;
use sim::klaviyo::JobTimes;

use super::visit::{open, sign_in, until_shown};
use crate::support::component::{IntoHosted, Shop};
use crate::support::root;

/// Keys as WebDriver names them.
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const SPACE: &str = " ";

/// A shop with something in each of its states.
async fn shop() -> Shop {
    let mut setup = Setup::everything();
    setup.klaviyo.job_times = JobTimes::taking(Duration::from_millis(300));
    let shop = Shop::open(setup.speed(1.0)).await;
    shop.start("customers", "").await;
    shop.completed("customers").await;
    shop.start("customers", json!({"dryRun": true})).await;
    shop.completed("customers").await;
    shop.start("orders", "").await;
    shop.completed("orders").await;
    shop.start("categories", "").await;
    shop.completed("categories").await;
    shop
}

/// Opens all that can be opened.
const UNFOLD: &str =
    "document.querySelectorAll('details').forEach((details) => { details.open = true; })";

#[tokio::test(flavor = "multi_thread")]
async fn it_fits_screens_from_360_pixels_in_light_and_dark() {
    let shop = shop().await;
    let Some(browser) = sign_in("looks", &shop).await else {
        return;
    };
    browser.click("#check-button").await;
    browser
        .until("document.querySelectorAll('#check-lines li').length > 5")
        .await;
    browser.run(UNFOLD, Vec::new()).await;
    let ground = "getComputedStyle(document.body).backgroundColor";
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await;
        grounds.push(browser.eval(ground).await);
        for width in [360, 768, 1_280, 2_200] {
            browser.resize(width, 900).await;
            let name = format!("{scheme}-{width}");
            let wide = browser.eval("document.documentElement.scrollWidth").await;
            assert!(wide.as_u64() <= Some(width.into()), "{name}: {wide}");
            browser.shoot(&name).await;
            browser.assert_accessible(&name).await;
        }
    }
    assert_ne!(grounds[0], grounds[1]);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyboard_is_enough() {
    let mut setup = Setup::customers(5);
    setup.klaviyo.job_times = JobTimes::taking(Duration::from_secs(3_000));
    let shop = Shop::open(setup.speed(1.0)).await;
    let Some(browser) = open("keyboard", &shop).await else {
        return;
    };
    browser.type_keys(TOKEN).await;
    browser.type_keys(ENTER).await;
    browser
        .until("document.querySelectorAll('.run').length === 4")
        .await;
    let tab_to = async |what: &str| {
        for _ in 0..60 {
            let is_there = format!("document.activeElement.matches('{what}')");
            if browser.eval(&is_there).await == true {
                let outline = "getComputedStyle(document.activeElement).outlineStyle";
                assert_ne!(browser.eval(outline).await, "none", "{what} shows no focus");
                return;
            }
            browser.type_keys(TAB).await;
        }
        panic!("no way to {what}");
    };
    for resource in ["orders", "categories", "products"] {
        tab_to(&format!("[value={resource}]")).await;
        browser.type_keys(SPACE).await;
    }
    tab_to("#start-button").await;
    browser.type_keys(ENTER).await;
    until_shown(&browser, "customers", "running").await;
    browser
        .until("![...document.querySelectorAll('#customers .actions button')][3].disabled")
        .await;
    tab_to("#customers .actions button.danger:not([hidden])").await;
    browser.type_keys(ENTER).await;
    browser.until("document.getElementById('ask').open").await;
    // the focus is in the dialog, does not leave it, and comes back
    for _ in 0..5 {
        let inside = "document.getElementById('ask').contains(document.activeElement) || document.activeElement === document.body";
        assert_eq!(browser.eval(inside).await, true);
        browser.type_keys(TAB).await;
    }
    browser.type_keys(ESCAPE).await;
    browser
        .until("document.activeElement.matches('#customers .actions button.danger')")
        .await;
    browser.type_keys(ENTER).await;
    tab_to("#ask-yes").await;
    browser.type_keys(ENTER).await;
    until_shown(&browser, "customers", "stopped").await;
    // screen readers are told
    browser.until("document.getElementById('news').textContent.includes('stopped') || document.getElementById('news').textContent.includes('Done')").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_away_for_a_while_is_waited_for() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
    let address = port.expect("a free port");
    let mut options = Options::new(root().join("spin.toml"));
    options.listen = address;
    let mut shop = Shop::open_as(Setup::customers(3).speed(1.0), options).await;
    let Some(browser) = sign_in("away", &shop).await else {
        return;
    };
    shop.kill().await;
    browser
        .until("!document.getElementById('away').hidden")
        .await;
    let away = browser.text("#away").await;
    assert!(
        away.contains("does not answer") && away.contains("Not seen since"),
        "{away}"
    );
    browser.shoot("away").await;
    browser.assert_accessible("away").await;
    // what was seen last stays in sight
    assert_eq!(
        browser
            .eval("document.querySelectorAll('.run').length")
            .await,
        4
    );
    shop.revive().await;
    browser
        .until("document.getElementById('away').hidden")
        .await;
    browser.close().await;
}
