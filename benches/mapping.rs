//! What mapping orders costs against merely reading them: `cargo bench --bench mapping`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use klaviyo_bulk_import::mapping::Options;
use klaviyo_bulk_import::mapping::order::{self, CategoryPaths};
use serde::de::IgnoredAny;
use serde_json::json;
use serde_json::value::RawValue;

/// How long each is measured.
const MEASURED: Duration = Duration::from_secs(1);

struct Catalogue(Vec<String>);

impl CategoryPaths for Catalogue {
    fn paths(&self, _product_id: &str) -> Option<&[String]> {
        Some(&self.0)
    }
}

/// An order as commercetools answers it, with so many line items of about 1.3 KB.
fn order(lines: usize) -> String {
    let money = |cents: usize| json!({"type": "centPrecision", "currencyCode": "EUR", "centAmount": cents, "fractionDigits": 2});
    let line = |n: usize| {
        let attributes: Vec<_> = (0..8).map(|a| json!({"name": format!("attribute-{a}"), "value": {"key": "k", "label": "Länge \"42\""}})).collect();
        json!({
            "id": format!("5b1d0c9a-0000-4000-8000-{n:012}"), "productId": format!("9c2e7f10-0000-4000-8000-{n:012}"),
            "productKey": "key", "name": {"en-US": format!("Product {n}"), "de-DE": format!("Produkt {n}")},
            "productType": {"typeId": "product-type", "id": "7f1d", "version": 3},
            "variant": {"id": 1, "sku": "SKU-1", "prices": [{"id": "p", "value": money(1999)}], "images": [], "attributes": attributes, "assets": []},
            "price": {"id": "p", "value": money(1999)}, "quantity": 1, "discountedPricePerQuantity": [], "state": [{"quantity": 1, "state": {"typeId": "state", "id": "s"}}],
            "priceMode": "Platform", "totalPrice": money(1999), "taxedPrice": {"totalNet": money(1680), "totalGross": money(1999)},
        })
    };
    json!({
        "type": "Order", "id": "3f0c5f57-0000-4000-8000-000000000001", "version": 7, "createdAt": "2024-05-06T13:51:19.123Z",
        "orderNumber": "1001", "customerId": "8b5e0c1a", "customerEmail": "clara@example.com", "orderState": "Complete",
        "totalPrice": money(3998), "taxedPrice": null, "syncInfo": [], "returnInfo": [],
        "shippingAddress": {"firstName": "Clara", "streetName": "Calle Mayor", "city": "Madrid", "country": "ES"},
        "lineItems": (0..lines).map(line).collect::<Vec<_>>(), "customLineItems": [],
        "custom": {"type": {"typeId": "type", "id": "t"}, "fields": {"gift": true, "note": "ring twice"}},
    })
    .to_string()
}

fn measure(name: &str, order: &str, mut work: impl FnMut(&str)) -> f64 {
    for _ in 0..100 {
        work(order);
    }
    let start = Instant::now();
    let mut records = 0_u32;
    while start.elapsed() < MEASURED {
        for _ in 0..100 {
            work(black_box(order));
        }
        records += 100;
    }
    let rate = f64::from(records) / start.elapsed().as_secs_f64();
    println!(
        "  {name:<28}{rate:>12.0} records/s{:>10.0} MB/s",
        rate * order.len() as f64 / 1e6
    );
    rate
}

fn main() {
    let catalogue = Catalogue(vec!["Women".to_owned(), "Women > Pants".to_owned()]);
    let options = Options::default();
    for lines in [5, 150] {
        let order = order(lines);
        println!("order of {} bytes, {lines} line items", order.len());
        measure("parse as IgnoredAny", &order, |order| {
            black_box(serde_json::from_str::<IgnoredAny>(order).is_ok());
        });
        let parsed = measure("parse as RawValue", &order, |order| {
            black_box(serde_json::from_str::<&RawValue>(order).is_ok());
        });
        let raw: &RawValue = serde_json::from_str(&order).expect("written above");
        let mut out = Vec::new();
        let mapped = measure("map to events", &order, |_| {
            out.clear();
            black_box(order::events(raw, &catalogue, &options, false, &mut out).is_ok());
        });
        println!(
            "  mapping costs {:.1} times what parsing does and writes {} bytes",
            parsed / mapped,
            out.len()
        );
    }
}
