//! Records of every size in instances of every size: nothing traps, what Klaviyo takes arrives, and what exceeds its
//! limits is skipped with the reason, whatever else is on its page.

use std::collections::HashSet;

use host::Wasi;
use native::{Operator, Setup};
use serde_json::{Value, json};
use sim::comparison::compare_except;
use sim::faults::{Fault, Rule};
use sim::seed::expected::Rules;
use sim::seed::{Kind, Sizes};

use crate::support::component::{IntoHosted, Shop};

/// A kind of records of which some are large.
struct Case {
    resource: &'static str,
    kind: Kind,
    /// How many records there are, and how many of them are large.
    records: u32,
    large: usize,
    /// How large these are, in bytes.
    bytes: usize,
    /// The reason for which the large ones are skipped, if they are.
    skipped: Option<&'static str>,
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

const fn case(
    kind: Kind,
    records: u32,
    large: usize,
    bytes: usize,
    skipped: Option<&'static str>,
) -> Case {
    let resource = match kind {
        Kind::Customer => "customers",
        Kind::Order => "orders",
        Kind::Category => "categories",
        Kind::Product => "products",
    };
    Case {
        resource,
        kind,
        records,
        large,
        bytes,
        skipped,
    }
}

const CASES: [Case; 12] = [
    case(Kind::Order, 300, 0, 8 * KIB, None),
    case(Kind::Order, 100, 60, 420 * KIB, None),
    case(Kind::Order, 30, 10, 2 * MIB, None),
    case(Kind::Order, 20, 3, 12 * MIB, Some("event-too-large")),
    case(Kind::Product, 300, 0, KIB, None),
    case(Kind::Product, 200, 100, 80 * KIB, None),
    case(Kind::Product, 200, 100, 150 * KIB, None),
    case(Kind::Product, 60, 20, MIB, None),
    case(Kind::Product, 30, 3, 10 * MIB, None),
    case(Kind::Product, 40, 8, 12 * MIB, None),
    case(Kind::Product, 40, 8, 15 * MIB, None),
    case(Kind::Customer, 60, 20, MIB, Some("too-large")),
];

/// Makes a record so large: in what of it is sent, or, of a product, in what is read and not sent.
fn enlarge(kind: Kind, record: &mut Value, bytes: usize) {
    // texts of an ordinary length, as none may have more than 100 KB
    let text = "x".repeat(50 * KIB);
    let texts = || vec![text.clone(); bytes.div_ceil(text.len())];
    match kind {
        Kind::Product => {
            record["masterData"]["current"]["metaDescription"] = json!({"en": "x".repeat(bytes)});
        }
        Kind::Customer => record["custom"]["fields"]["notes"] = json!(texts()),
        Kind::Order => record["custom"]["fields"]["notes"] = json!(texts()),
        Kind::Category => {}
    }
}

async fn import(case: &Case, memory_mib: usize, is_length_told: bool) -> usize {
    let mut setup = match case.kind {
        Kind::Order => Setup::orders(case.records),
        Kind::Customer => Setup::customers(case.records),
        _ => Setup::catalog(10, case.records),
    };
    setup.check_contract = false;
    let hosted = setup
        .scheduled()
        .variable("memory_mib", memory_mib)
        .latency_ms(100)
        .hosted();
    let hosted = hosted.platform(move |options| options.memory_limit = memory_mib << 20);
    let shop = Shop::open(hosted).await;
    if case.kind == Kind::Product {
        shop.complete("categories", "").await;
    }
    let ids = shop.ids(case.kind);
    let large = &ids[..case.large];
    for id in large {
        shop.change_record(case.kind, id, |record| {
            enlarge(case.kind, record, case.bytes);
        });
    }
    if !is_length_told {
        let unannounced = Rule::always(Fault::Unannounced);
        shop.world.commercetools_faults().add(unannounced);
    }
    let status = shop.complete(case.resource, "").await;
    assert_eq!(status["counts"]["failed"], 0, "{status}");
    if let Some(reason) = case.skipped {
        assert_eq!(status["counts"]["skipped"][reason], case.large, "{status}");
        assert_arrived(&shop, case.kind, large);
    } else {
        shop.assert_ledger(&[case.kind]);
    }
    let stats = shop.host().stats();
    assert_eq!((stats.refused_growths, stats.traps), (0, 0), "{stats:?}");
    stats.peak_memory
}

/// Asserts that Klaviyo has everything but what these large records are skipped for: of an order that is its own events,
/// while those of its line items may be sent.
fn assert_arrived(shop: &Shop, kind: Kind, large: &[String]) {
    let mut left_out: HashSet<String> = HashSet::new();
    let now = shop.world.clock().now();
    let compared = shop.world.commercetools(|project| {
        for id in large {
            let record = project.record(kind, id.parse().expect("an id"));
            let lines = record.expect("it is there")["lineItems"].take();
            let lines = lines.as_array().cloned().unwrap_or_default();
            left_out.extend(
                lines
                    .iter()
                    .filter_map(|line| Some(line["id"].as_str()?.to_owned())),
            );
        }
        left_out.extend(large.iter().cloned());
        shop.world.klaviyo(|klaviyo| {
            let is_left_out = |name: &str| left_out.contains(name);
            let (ledger, rules) = (klaviyo.ledger(), Rules::default());
            compare_except(project, ledger, &rules, now, &[kind], &is_left_out)
        })
    });
    if let Err(differences) = compared {
        panic!("Klaviyo does not have what the seed asks for: {differences}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_every_size_fit_into_instances_of_every_size() {
    for case in &CASES {
        let mut peaks = Vec::new();
        for memory_mib in [48, 64, 128] {
            let peak = import(case, memory_mib, true).await;
            peaks.push(format!(
                "{:.1} of {memory_mib} MiB",
                peak as f64 / MIB as f64
            ));
        }
        let size = case.bytes / KIB;
        println!("{} of {size} KiB: {}", case.resource, peaks.join(", "));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_every_size_fit_where_answers_do_not_tell_their_length() {
    for case in &CASES {
        // the buffer of an answer that does not tell its length grows as it comes
        let memory_mib = if case.bytes > 10 * MIB { 64 } else { 48 };
        let peak = import(case, memory_mib, false).await;
        let (size, peak) = (case.bytes / KIB, peak as f64 / MIB as f64);
        println!(
            "{} of {size} KiB: {peak:.1} of {memory_mib} MiB",
            case.resource
        );
    }
}

/// Imports of everything in one instance at the same time, each with large records.
async fn import_side_by_side(memory_mib: usize) -> f64 {
    let sizes = Sizes {
        customers: 300,
        orders: 90,
        categories: 20,
        products: 90,
    };
    let mut setup = Setup::of(sizes);
    setup.check_contract = false;
    let hosted = setup
        .variable("memory_mib", memory_mib)
        .latency_ms(100)
        .wasi(Wasi::V0_3);
    let hosted = hosted.platform(move |options| options.memory_limit = memory_mib << 20);
    let shop = Shop::open(hosted).await;
    shop.start("categories", "").await;
    assert_eq!(shop.over("categories").await["status"], "completed");
    let enlarged = |kind: Kind, large: usize, bytes: usize| {
        let ids = shop.ids(kind);
        for id in &ids[ids.len() / 2..][..large] {
            shop.change_record(kind, id, |record| enlarge(kind, record, bytes));
        }
    };
    enlarged(Kind::Order, 30, 420 * KIB);
    enlarged(Kind::Product, 30, MIB);
    for (kind, large) in [(Kind::Order, 3), (Kind::Product, 3)] {
        let ids = shop.ids(kind);
        for id in &ids[..large] {
            shop.change_record(kind, id, |record| enlarge(kind, record, 12 * MIB));
        }
    }
    let resources = ["customers", "orders", "products"];
    for resource in resources {
        shop.start(resource, "").await;
    }
    for resource in resources {
        let status = shop.over(resource).await;
        assert_eq!(status["status"], "completed", "{status}");
        assert_eq!(status["counts"]["failed"], 0, "{status}");
    }
    assert_arrived(&shop, Kind::Order, &shop.ids(Kind::Order)[..3]);
    shop.assert_ledger(&[Kind::Customer, Kind::Product]);
    let stats = shop.host().stats();
    assert_eq!((stats.refused_growths, stats.traps), (0, 0), "{stats:?}");
    stats.peak_memory as f64 / MIB as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_that_go_side_by_side_share_the_memory_of_their_instance() {
    for memory_mib in [48, 64, 128] {
        let peak = import_side_by_side(memory_mib).await;
        println!("side by side: {peak:.1} of {memory_mib} MiB");
    }
}
