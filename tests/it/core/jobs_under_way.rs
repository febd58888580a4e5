//! How many jobs a run has under way, and how large its document is with them.

use std::time::Duration;

use native::{Operator, Setup, Shop};
use serde_json::Value;
use sim::klaviyo::{JobTimes, Kind as EntryKind};
use sim::seed::{Beside, Kind, Shop as Kept};

use crate::support::described::run;

const CHANGES: &str = r#"{"since": "lastRun"}"#;

/// commercetools advises 100 KB and takes 16 MB; see `MAX_DOCUMENT_BYTES` of a window.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// An import takes jobs of a second; after that, jobs take so long.
async fn imported(shop: &Shop, jobs_take: Duration) {
    shop.complete("products", "").await;
    shop.pass(Duration::from_hours(1)).await;
    shop.world
        .klaviyo(|klaviyo| klaviyo.options_mut().job_times = JobTimes::taking(jobs_take));
}

fn setup(products: u32) -> Setup {
    let mut setup = Setup::catalog(0, products).latency_ms(300);
    setup.klaviyo.job_times = JobTimes::taking(Duration::from_secs(1));
    setup.klaviyo.jobs_a_page = 100;
    setup
}

fn rename(shop: &Shop, product: &str) {
    shop.change_record(Kind::Product, product, |product| {
        product["masterData"]["current"]["name"]["en"] = "another name".into();
    });
}

/// The most jobs that are under way in an import of products that were all modified.
fn most_under_way(body: &str) -> usize {
    run(setup(2_800), async |shop| {
        imported(&shop, Duration::from_mins(1)).await;
        for product in shop.published_products() {
            rename(&shop, &product);
        }
        shop.start("products", body).await;
        let mut most = 0;
        loop {
            let now = shop.world.clock().now();
            let jobs = shop.world.klaviyo(|klaviyo| klaviyo.unfinished_jobs(now));
            most = most.max(jobs.len());
            let document = shop.document("products");
            let bytes = document.to_string().len();
            assert!(bytes < MAX_DOCUMENT_BYTES, "{bytes} B");
            if document["status"] != "running" {
                break;
            }
            shop.pass(Duration::from_millis(500)).await;
        }
        shop.completed("products").await;
        shop.assert_ledger(&[Kind::Product]);
        most
    })
}

#[test]
fn a_run_of_changes_has_as_many_jobs_under_way_as_one_of_everything() {
    let (of_everything, of_changes) = (most_under_way(""), most_under_way(CHANGES));
    assert!(of_everything > 120, "{of_everything}");
    assert!(
        of_changes >= of_everything,
        "{of_changes} jobs under way, and {of_everything} of everything"
    );
}

/// Changes every fortieth standalone price; returns the skus.
fn change_prices(shop: &Shop) -> Vec<String> {
    let now = shop.world.clock().now();
    let mut skus = Vec::new();
    shop.world.commercetools(|project| {
        let prices = project.beside_ids(Beside::StandalonePrice);
        for id in prices.into_iter().step_by(40) {
            let change = |price: &mut Value| {
                price["value"]["centAmount"] = 4_711.into();
                skus.extend(price["sku"].as_str().map(str::to_owned));
            };
            assert!(project.change_beside(Beside::StandalonePrice, id, now, change));
        }
    });
    skus
}

#[test]
fn what_was_modified_and_what_has_another_price_is_found_again_by_a_later_window() {
    run(setup(600).kept_as(Kept::Standalone), async |shop| {
        // longer than a window
        imported(&shop, Duration::from_secs(40)).await;
        let products = shop.published_products();
        products.iter().step_by(2).for_each(|id| rename(&shop, id));
        let skus = change_prices(&shop);
        let has_changed = |(number, id): &(usize, &String)| {
            number % 2 == 0 || shop.skus_of(id).iter().any(|sku| skus.contains(sku))
        };
        let changed: Vec<&String> = products
            .iter()
            .enumerate()
            .filter(has_changed)
            .map(|(_, id)| id)
            .collect();
        let named = changed.len() - products.len().div_ceil(2);
        assert!(named > 20, "{named} by their prices alone");
        // their variants follow when they have been created anew
        shop.world.klaviyo(|klaviyo| {
            for id in &changed {
                assert!(klaviyo.remove_entry(EntryKind::Item, id));
            }
        });
        let status = shop.complete("products", CHANGES).await;
        let windows = status["window"].as_u64();
        assert!(windows > Some(2), "{windows:?}");
        shop.assert_ledger(&[Kind::Product]);
    });
}
