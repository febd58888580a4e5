//! Variants that move from product to product, and the jobs that take them along.

use std::time::Duration;

use native::{Operator, Shop};
use serde_json::Value;
use sim::klaviyo::JobTimes;

/// Moves the last variant of a product, if it has one beside its master variant, to another product. Returns its sku.
pub(crate) fn give_a_variant(shop: &Shop, giver: &str, taker: &str) -> Option<String> {
    let mut given = Value::Null;
    shop.change_published(giver, |data| {
        let variants = data["variants"].as_array_mut().expect("variants");
        given = variants.pop().unwrap_or_default();
    });
    let sku = given["sku"].as_str().map(str::to_owned)?;
    given["id"] = 77.into();
    shop.change_published(taker, |data| {
        let variants = data["variants"].as_array_mut().expect("variants");
        variants.push(given);
    });
    Some(sku)
}

/// Jobs that are submitted from now on take so long.
pub(crate) fn jobs_take(shop: &Shop, seconds: u64) {
    shop.world.klaviyo(|klaviyo| {
        klaviyo.options_mut().job_times = JobTimes::taking(Duration::from_secs(seconds));
    });
}

/// Until this call has been made once more than by now.
pub(crate) fn until_called(shop: &Shop, call: impl AsRef<str>) -> impl Future<Output = ()> {
    let calls = move || shop.world.klaviyo_server().calls_of(call.as_ref());
    let before = calls();
    async move {
        while calls() == before {
            shop.pass(Duration::from_millis(1)).await;
        }
    }
}
