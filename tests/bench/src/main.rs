//! What mapping orders and packing them costs against merely parsing them. `cargo bench-mapping` runs it natively,
//! `cargo bench-mapping-wasm` in WebAssembly.

mod orders;

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

use klaviyo_bulk_import::klaviyo::batch::Lane;
use klaviyo_bulk_import::klaviyo::events::LANE;
use klaviyo_bulk_import::mapping::Options;
use klaviyo_bulk_import::mapping::order::{self, CategoryPaths};
use klaviyo_bulk_import::resources::orders::documents;
use klaviyo_bulk_import::run::cursor::IdRange;
use klaviyo_bulk_import::run::group::{Documents, Packer, Place};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// How long each work is measured.
const MEASURED: Duration = Duration::from_secs(1);

/// About how many bytes a page has.
const PAGE_BYTES: usize = 4_000_000;

/// Batches that are on their way while others are packed.
const ON_THE_WAY: usize = 3;

static LANES: [&Lane; 1] = [&LANE];

/// All products are in the same categories.
struct Catalogue(Vec<String>);

impl CategoryPaths for Catalogue {
    fn paths(&self, _product_id: &str) -> Option<&[String]> {
        Some(&self.0)
    }
}

/// The orders of a page.
struct Page(Vec<String>);

impl Page {
    fn of_orders_with(line_items: usize) -> Self {
        let bytes = orders::order(0, line_items).len();
        let numbers = 0..PAGE_BYTES / bytes;
        Self(
            numbers
                .map(|number| orders::order(number, line_items))
                .collect(),
        )
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(String::len).sum()
    }

    /// Prints how fast `work` goes through the page and how its time compares to that of `parsing`. What counts is the
    /// fastest pass, which whatever else the machine does has disturbed least.
    fn measure(&self, name: &str, parsing: Option<Duration>, mut work: impl FnMut()) -> Duration {
        let start = Instant::now();
        let mut fastest = Duration::MAX;
        while start.elapsed() < MEASURED {
            let pass = Instant::now();
            work();
            fastest = fastest.min(pass.elapsed());
        }
        let seconds = fastest.as_secs_f64();
        println!(
            "  {name:<22}{:>10.0} records/s{:>8.0} MB/s{:>8.2}",
            self.0.len() as f64 / seconds,
            self.bytes() as f64 / 1e6 / seconds,
            seconds / parsing.unwrap_or(fastest).as_secs_f64(),
        );
        fastest
    }
}

fn main() {
    let target = if cfg!(target_family = "wasm") {
        "in WebAssembly"
    } else {
        "natively"
    };
    for line_items in [4, 90] {
        let page = Page::of_orders_with(line_items);
        let bytes = page.bytes() / page.0.len();
        println!("orders of {bytes} bytes, {line_items} line items, {target}");
        measure(&page);
    }
}

fn measure(page: &Page) {
    let catalogue = Catalogue(vec!["Women".to_owned(), "Women > Pants".to_owned()]);
    let options = Options::default();
    let orders: Vec<&RawValue> = page
        .0
        .iter()
        .map(|order| serde_json::from_str(order).expect("an order is JSON"))
        .collect();
    let mut mapped = Documents::default();
    let map = |order, mapped: &mut Documents| {
        mapped.clear();
        documents(order, &catalogue, &options, false, mapped)
            .expect("the order has all that its events need")
    };

    let parsing = page.measure("parse as IgnoredAny", None, || {
        for order in &page.0 {
            black_box(serde_json::from_str::<IgnoredAny>(black_box(order)).is_ok());
        }
    });
    page.measure("parse as &RawValue", Some(parsing), || {
        for order in &page.0 {
            black_box(serde_json::from_str::<&RawValue>(black_box(order)).is_ok());
        }
    });
    page.measure("find the products", Some(parsing), || {
        for &order in &orders {
            black_box(order::product_ids(black_box(order)));
        }
    });
    page.measure("map", Some(parsing), || {
        for &order in &orders {
            black_box(map(black_box(order), &mut mapped));
        }
    });
    let mut on_the_way = VecDeque::new();
    page.measure("map and pack", Some(parsing), || {
        let mut packer = Packer::new(&LANES, 4, None);
        let range = IdRange::default();
        for &order in &orders {
            let id = map(black_box(order), &mut mapped);
            let place = Place {
                range: 0,
                before: &range,
                id: Some(&id),
                reached: Some(&id),
            };
            packer.add(place, &mapped, Duration::ZERO);
            while let Some(full) = packer.take() {
                on_the_way.push_back(full);
                if on_the_way.len() > ON_THE_WAY {
                    on_the_way.pop_front();
                }
            }
        }
    });
}
