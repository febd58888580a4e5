//! Shops of each kind, imported whole by the built component, as `cargo demo --shop` does: with customers of stores who share
//! an email, imported orders and refunds.

use native::{Operator, Setup};
use sim::seed::{Kind, Shop as Kept, Sizes};

use crate::support::component::Shop;

async fn arrives_whole(kept: Kept) {
    let mut setup = Setup::of(Sizes {
        customers: 120,
        orders: 60,
        categories: 10,
        products: 40,
    });
    setup.refunds = true;
    let shop = Shop::open(setup.kept_as(kept).variable("refunds", true)).await;
    let sharing = sim::stores::open(&shop.world);
    assert!(sharing > 0, "some customers share an email");
    shop.posted("/sync", "", 202).await;
    let status = shop.plan_over(false).await;
    assert_eq!(status["plan"]["status"], "completed", "{kept:?}: {status}");
    for resource in ["customers", "orders", "categories", "products"] {
        assert_eq!(
            status[resource]["counts"]["failed"], 0,
            "{kept:?}: {status}"
        );
    }
    let skipped = &status["customers"]["counts"]["skipped"]["shared-email"];
    assert_eq!(*skipped, sharing, "{kept:?}: {status}");
    shop.assert_ledger(&Kind::ALL);
    let refunds = shop.world.klaviyo(|klaviyo| {
        let events = klaviyo.ledger().events().iter();
        events
            .filter(|(key, _)| &*key.metric == "Refunded Order")
            .count()
    });
    assert!(refunds > 0, "{kept:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_usual_shop_arrives_whole() {
    arrives_whole(Kept::Usual).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_with_standalone_prices_arrives_whole() {
    arrives_whole(Kept::Standalone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modular_shop_arrives_whole() {
    arrives_whole(Kept::Modular).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_migrates_arrives_whole() {
    arrives_whole(Kept::Mixed).await;
}
