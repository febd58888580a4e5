//! The picture of the page in the README.

use native::{Operator, Setup};
use serde_json::json;
use sim::klaviyo::JobTimes;
use sim::klaviyo::Recorded;
use sim::seed::Sizes;

use super::visit::{sign_in, until_shown};
use crate::support::component::{IntoHosted, Shop};
use crate::support::root;

/// The largest that it may be: it is loaded with the README.
const MOST_BYTES: u64 = 100_000;
/// Where it is.
const PICTURE: &str = "docs/page.png";

/// A shop in the middle of its import, with a minute behind it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes the picture of the README anew, for which it imports for a minute"]
async fn the_readme_shows_an_import_that_is_going_on() {
    let mut setup = Setup::of(Sizes {
        customers: 3_000,
        orders: 40_000,
        categories: 60,
        products: 1_200,
    });
    setup.check_contract = false;
    setup.klaviyo.job_times = JobTimes::Recorded {
        which: Recorded::Usual,
        scale: 1.0,
    };
    let shop = Shop::open(setup.latency_ms(600).variable("id_ranges", 2).speed(1.0)).await;
    let Some(browser) = sign_in("picture", &shop).await else {
        return;
    };
    browser.resize(1_120, 760).await;
    shop.post("/sync", json!({})).await;
    until_shown(&browser, "customers", "completed").await;
    until_shown(&browser, "orders", "running").await;
    browser
        .until("/[5-9][0-9] %/.test(document.getElementById('orders').innerText)")
        .await;
    browser.shoot_window("running").await;
    let taken = root().join("target/screenshots/picture-running.png");
    std::fs::copy(&taken, root().join(PICTURE)).expect("it is copied");
    browser.close().await;
}

#[test]
fn the_picture_of_the_readme_is_small() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README");
    let picture = std::fs::read(root().join(PICTURE)).expect("the picture");
    assert!(picture.starts_with(b"\x89PNG"));
    assert!(picture.len() as u64 <= MOST_BYTES, "{}", picture.len());
    let (first, _) = readme.split_once("\n## ").expect("a first screen");
    assert!(
        first.contains(&format!("({PICTURE})")),
        "it is not on the first screen"
    );
}
