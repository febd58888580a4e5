//! What mapping orders and packing them costs against merely parsing them. `cargo bench-mapping` runs it natively,
//! `cargo bench-mapping-wasm` in WebAssembly.

mod orders;

use std::collections::{HashSet, VecDeque};
use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use klaviyo_bulk_import::commercetools::query::records;
use klaviyo_bulk_import::config::MappingOptions;
use klaviyo_bulk_import::json::{Json, Part};
use klaviyo_bulk_import::klaviyo::batch::Batch;
use klaviyo_bulk_import::klaviyo::bulk::BulkEndpoint;
use klaviyo_bulk_import::klaviyo::events::BULK_CREATE;
use klaviyo_bulk_import::mapping::order::{self, CategoryPaths};
use klaviyo_bulk_import::resources::orders::documents;
use klaviyo_bulk_import::run::documents::Documents;
use klaviyo_bulk_import::run::state::IdRange;
use klaviyo_bulk_import::run::window::group::Origin;
use klaviyo_bulk_import::run::window::packer::Packer;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// How long each work is measured.
const MEASURED: Duration = Duration::from_secs(1);

/// About how many bytes a page has: few enough that a pass takes no longer than the system lets one process run.
const PAGE_BYTES: usize = 1_000_000;

/// Batches that are on their way while the next one is packed.
const ON_THE_WAY: usize = 3;

static ENDPOINTS: [&BulkEndpoint; 1] = [&BULK_CREATE];

/// All products are in the same categories.
struct Catalog(Vec<String>);

impl CategoryPaths for Catalog {
    fn paths(&self, _product_id: &str) -> Option<&[String]> {
        Some(&self.0)
    }
}

/// A page of orders, as commercetools answers it.
struct Page {
    answer: Bytes,
    orders: Vec<Json>,
}

impl Page {
    fn of_orders_with(line_items: usize) -> Self {
        let bytes = orders::order(0, line_items).len();
        let numbers = 0..PAGE_BYTES / bytes;
        let orders: Vec<_> = numbers
            .map(|number| orders::order(number, line_items))
            .collect();
        let answer = format!(
            r#"{{"limit":500,"offset":0,"count":{},"results":[{}]}}"#,
            orders.len(),
            orders.join(",")
        );
        let answer = Bytes::from(answer);
        Self {
            orders: records(answer.clone()).expect("a page of orders"),
            answer,
        }
    }

    fn bytes(&self) -> usize {
        self.orders.iter().map(|order| order.get().len()).sum()
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
            "  {name:<26}{:>8.0} records/s{:>8.0} MB/s{:>8.2}",
            self.orders.len() as f64 / seconds,
            self.bytes() as f64 / 1e6 / seconds,
            seconds / parsing.unwrap_or(fastest).as_secs_f64(),
        );
        fastest
    }
}

/// Maps and packs orders as the import of orders does.
struct Import {
    catalog: Catalog,
    options: MappingOptions,
    mapped: Documents,
    on_the_way: VecDeque<Batch>,
}

impl Import {
    fn map(&mut self, order: Part<'_>) -> String {
        self.mapped.clear();
        let (catalog, options) = (&self.catalog, &self.options);
        documents(order, catalog, options, false, None, &mut self.mapped)
            .expect("the order has all that its events need")
    }

    fn map_and_pack(&mut self, orders: &[Json]) {
        let mut packer = Packer::new(&ENDPOINTS, 4, None);
        let range = IdRange::default();
        for order in orders {
            let id = self.map(black_box(order.part()));
            let place = Origin {
                range: 0,
                before: &range,
                id: Some(&id),
                reached: Some(&id),
            };
            packer.add(place, &self.mapped, Duration::ZERO);
        }
        packer.close();
        while let Some((_, batch)) = packer.take(|_| true) {
            self.on_the_way.push_back(batch);
        }
        while self.on_the_way.len() > ON_THE_WAY {
            self.on_the_way.pop_front();
        }
    }
}

fn product_ids(orders: &[Json]) -> HashSet<String> {
    let orders = orders.iter().map(Json::part);
    orders.flat_map(order::product_ids).collect()
}

fn main() {
    let target = if cfg!(target_family = "wasm") {
        "in WebAssembly"
    } else {
        "natively"
    };
    for line_items in [4, 90] {
        let page = Page::of_orders_with(line_items);
        let bytes = page.bytes() / page.orders.len();
        println!("orders of {bytes} bytes, {line_items} line items, {target}");
        measure(&page);
    }
}

fn measure(page: &Page) {
    let mut import = Import {
        catalog: Catalog(vec!["Women".to_owned(), "Women > Pants".to_owned()]),
        options: MappingOptions::default(),
        mapped: Documents::default(),
        on_the_way: VecDeque::new(),
    };
    let parsing = page.measure("parse as IgnoredAny", None, || {
        for order in &page.orders {
            let parsed = serde_json::from_str::<IgnoredAny>(black_box(order.get()));
            black_box(parsed.is_ok());
        }
    });
    page.measure("parse as &RawValue", Some(parsing), || {
        for order in &page.orders {
            let parsed = serde_json::from_str::<&RawValue>(black_box(order.get()));
            black_box(parsed.is_ok());
        }
    });
    page.measure("find the products", Some(parsing), || {
        black_box(product_ids(black_box(&page.orders)));
    });
    page.measure("map", Some(parsing), || {
        for order in &page.orders {
            black_box(import.map(black_box(order.part())));
        }
    });
    page.measure("map and pack", Some(parsing), || {
        import.map_and_pack(black_box(&page.orders));
    });
    page.measure("all, from answer to batch", Some(parsing), || {
        let orders = records(black_box(&page.answer).clone()).expect("a page of orders");
        black_box(product_ids(&orders));
        import.map_and_pack(&orders);
    });
}
