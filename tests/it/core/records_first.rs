//! Items do not wait for jobs of variants: where no more of these can be submitted, the items that are left are sent
//! before, and their variants follow.

use std::time::Duration;

use native::{Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::klaviyo::{Action, JobKind, JobTimes, Kind, Klaviyo};
use sim::seed;

use crate::support::described::run;

const ITEMS: JobKind = JobKind::Catalog(Kind::Item, Action::Update);
const VARIANTS: JobKind = JobKind::Catalog(Kind::Variant, Action::Update);

/// Fills the report of a run, so that its document has room for as few jobs as there may be.
fn leave_room_for_few_jobs(document: &mut Value) {
    let record = json!({"id": "1", "outcome": "skipped", "reason": "x".repeat(1_000)});
    document["setAside"] = vec![record; 200].into();
}

#[test]
fn items_are_sent_while_variants_wait_for_room() {
    let mut setup = Setup::catalog(0, 1_500).latency_ms(100).scheduled();
    setup.klaviyo.job_times = JobTimes::taking(Duration::from_secs(30));
    run(setup, async |shop: Shop| {
        shop.carried("products", "").await;
        let before = shop.world.klaviyo(|klaviyo| klaviyo.jobs());
        shop.posted("/sync/products", "", 202).await;
        shop.change_document("products", leave_room_for_few_jobs);
        let status = shop.ticked("products").await.pop().expect("a tick");
        assert_eq!(status["status"], "completed", "{status}");

        let jobs = shop.world.klaviyo(|klaviyo| klaviyo.jobs_after(before));
        let of = |of: JobKind| {
            let jobs = jobs.iter().filter(move |(kind, ..)| *kind == of);
            jobs.map(|&(_, at, _)| at)
        };
        let last_item = of(ITEMS).max().expect("a job of items");
        let variants_after = of(VARIANTS).filter(|&at| at > last_item).count();
        // products are read in their order: without this, the last items come with the last variants
        assert!(
            variants_after > 20,
            "{variants_after} of {} after {} jobs of items",
            of(VARIANTS).count(),
            of(ITEMS).count(),
        );

        // each entry once, although many products were read twice
        let entries = |kind| {
            let of = |klaviyo: &mut Klaviyo| klaviyo.ledger().catalog().entries(kind).len();
            shop.world.klaviyo(of)
        };
        let (products, variants) = (entries(Kind::Item), entries(Kind::Variant));
        assert_eq!(status["counts"]["read"], products, "{status}");
        assert_eq!(status["counts"]["sent"], products, "{status}");
        assert_eq!(status["variants"]["sent"], variants, "{status}");
        assert_eq!(status["variants"]["failed"], 0, "{status}");
        shop.assert_ledger(&[seed::Kind::Product]);
    });
}
