//! Orders as commercetools answers them.

use serde_json::{Value, json};

/// An order with so many line items of about 1.4 KB, as JSON text.
pub(crate) fn order(number: usize, line_items: usize) -> String {
    let line_items: Vec<_> = (0..line_items)
        .map(|place| line_item(number, place))
        .collect();
    json!({
        "type": "Order",
        "id": id(number, 0),
        "version": 7,
        "createdAt": "2024-05-06T13:51:19.123Z",
        "lastModifiedAt": "2024-05-08T07:02:55.901Z",
        "orderNumber": format!("{}", 100_000 + number),
        "customerId": id(number / 3, 1),
        "customerEmail": format!("clara.{}@example.com", number / 3),
        "orderState": "Complete",
        "shipmentState": "Shipped",
        "paymentState": "Paid",
        "totalPrice": money(3_998),
        "taxedPrice": {"totalNet": money(3_360), "totalGross": money(3_998), "taxPortions": []},
        "syncInfo": [],
        "returnInfo": [],
        "taxMode": "Platform",
        "shippingAddress": address(),
        "billingAddress": address(),
        "lineItems": line_items,
        "customLineItems": [],
        "custom": {
            "type": {"typeId": "type", "id": id(1, 2)},
            "fields": {"gift": true, "note": "ring \"twice\""},
        },
    })
    .to_string()
}

fn line_item(order: usize, place: usize) -> Value {
    let product = (order * 7 + place) % 500;
    let attributes: Vec<_> = (0..8)
        .map(|number| json!({"name": format!("attribute-{number}"), "value": {"key": "k", "label": "Länge \"42\""}}))
        .collect();
    json!({
        "id": id(order, 100 + place),
        "productId": id(product, 3),
        "productKey": format!("product-{product}"),
        "name": {"en-US": format!("Product {product}"), "de-DE": format!("Produkt {product}")},
        "productType": {"typeId": "product-type", "id": id(2, 2), "version": 3},
        "productSlug": {"en-US": format!("product-{product}"), "de-DE": format!("produkt-{product}")},
        "variant": {
            "id": 1,
            "sku": format!("SKU-{product}"),
            "prices": [{"id": id(product, 4), "value": money(1_999)}],
            "images": [{
                "url": format!("https://images.example.com/products/{product}.jpg"),
                "dimensions": {"w": 1400, "h": 1400},
            }],
            "attributes": attributes,
            "assets": [],
        },
        "price": {"id": id(product, 4), "value": money(1_999)},
        "quantity": 1,
        "discountedPricePerQuantity": [],
        "state": [{"quantity": 1, "state": {"typeId": "state", "id": id(3, 2)}}],
        "priceMode": "Platform",
        "lineItemMode": "Standard",
        "totalPrice": money(1_999),
        "taxedPrice": {"totalNet": money(1_680), "totalGross": money(1_999), "taxPortions": []},
    })
}

fn id(number: usize, kind: usize) -> String {
    format!("{number:08x}-0000-4000-8000-{kind:012x}")
}

fn money(cents: u32) -> Value {
    json!({"type": "centPrecision", "currencyCode": "EUR", "centAmount": cents, "fractionDigits": 2})
}

fn address() -> Value {
    json!({
        "firstName": "Clara",
        "lastName": "Durán",
        "streetName": "Calle Mayor",
        "streetNumber": "143",
        "postalCode": "28013",
        "city": "Madrid",
        "country": "ES",
    })
}
