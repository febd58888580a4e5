//! A product with ten thousand variants, as a Modular project may have it, in small instances.

use native::{Operator, Setup};
use sim::seed::{Kind, Shop as Kept};

use crate::support::component::{IntoHosted, Shop};
use crate::support::many_variants::grow;

/// commercetools' limit of a Modular project (<https://docs.commercetools.com/api/limits>).
const VARIANTS: u64 = 10_000;

/// A description of the length that long ones have, which each variant is sent with.
const DESCRIPTION_BYTES: usize = 6_000;

/// Imports them so often: the first time they are created, then updated.
async fn import(memory_mib: usize, times: usize) {
    let mut setup = Setup::catalog(5, 4).kept_as(Kept::Modular);
    setup.check_contract = false;
    let hosted = setup
        .scheduled()
        .variable("memory_mib", memory_mib)
        .latency_ms(100)
        .hosted();
    let hosted = hosted.platform(move |options| options.memory_limit = memory_mib << 20);
    let shop = Shop::open(hosted).await;
    let product = shop.world.commercetools(|project| grow(project, VARIANTS));
    shop.change_record(Kind::Product, &product, |product| {
        let long = "ten thousand variants, and each is described at length. ";
        let text = long.repeat(DESCRIPTION_BYTES / long.len());
        product["masterData"]["current"]["description"] = serde_json::json!({"en": text});
    });
    shop.complete("categories", "").await;
    for _ in 0..times {
        let status = shop.complete("products", "").await;
        let variants = &status["variants"];
        assert_eq!(variants["failed"], 0, "{status}");
        assert!(variants["read"].as_u64() >= Some(VARIANTS), "{status}");
        shop.assert_ledger(&[Kind::Category, Kind::Product]);
        let stats = shop.host().stats();
        assert_eq!((stats.refused_growths, stats.traps), (0, 0), "{stats:?}");
        let peak = stats.peak_memory as f64 / 1_048_576.0;
        println!("{VARIANTS} variants: {peak:.1} of {memory_mib} MiB");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_variants_fit_into_128_mib() {
    import(128, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_variants_fit_into_48_mib() {
    import(48, 2).await;
}
