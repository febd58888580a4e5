//! What reading entries again costs, once a job of an earlier window is finished: few reads, whatever the job is of.

use std::time::Duration;

use native::{Operator, Setup, Shop};
use sim::klaviyo::{JobTimes, Kind as EntryKind};
use sim::seed::Kind;

use crate::support::described::run;

/// The pages of products that an import reads, and how long it takes.
async fn imported(shop: &Shop) -> (u64, Duration) {
    let server = shop.world.commercetools_server();
    let pages = || server.calls_of("GET /sim-shop/product-projections");
    let (before, begun) = (pages(), shop.world.clock().elapsed());
    let status = shop.complete("products", "").await;
    assert_eq!(status["counts"]["failed"], 0, "{status}");
    assert_eq!(status["variants"]["failed"], 0, "{status}");
    shop.assert_ledger(&[Kind::Product]);
    (pages() - before, shop.world.clock().elapsed() - begun)
}

/// The same for a catalog of which every so-manieth product is new, while jobs take longer than a window.
fn with_new_products(products: u32, every: usize) -> (u64, Duration) {
    let mut setup = Setup::catalog(0, products).latency_ms(300);
    setup.klaviyo.job_times = JobTimes::taking(Duration::from_secs(1));
    setup.klaviyo.jobs_a_page = 100;
    run(setup, async |shop| {
        imported(&shop).await;
        shop.pass(Duration::from_mins(2)).await;
        let published = shop.published_products();
        let mut new = published.iter().step_by(every);
        shop.world.klaviyo(|klaviyo| {
            assert!(new.all(|id| klaviyo.remove_entry(EntryKind::Item, id)));
            klaviyo.options_mut().job_times = JobTimes::taking(Duration::from_secs(30));
        });
        imported(&shop).await
    })
}

#[test]
fn new_products_among_many_others_are_read_again_in_few_pages() {
    let (pages_of_one, took_for_one) = with_new_products(1_500, 2_000);
    for every in [3, 10, 50] {
        let (pages, took) = with_new_products(1_500, every);
        assert!(
            pages <= 3 * pages_of_one,
            "every {every}th is new: {pages} pages, and {pages_of_one} where one is"
        );
        assert!(
            took <= took_for_one + Duration::from_secs(5),
            "every {every}th is new: {took:?}, and {took_for_one:?} where one is"
        );
    }
}
