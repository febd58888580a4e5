//! Gives a product of a Modular shop as many variants as commercetools allows.

use serde_json::json;
use sim::commercetools::Commercetools;
use sim::seed::Beside;

/// Adds variants to the product of the first variant that the project has, until there are so many, each with two prices
/// and stock. Returns the product's id.
pub(crate) fn grow(project: &mut Commercetools, variants: u64) -> String {
    let known = project.beside_ids(Beside::VariantProjection);
    let of_id = |id| project.beside(Beside::VariantProjection, id);
    let like = of_id(known[0]).expect("a variant");
    let product = like["product"]["id"].clone();
    let has = known.iter().filter_map(|id| of_id(*id));
    let has = has.filter(|variant| variant["product"]["id"] == product);
    let first = 1_000_000;
    for number in first..first + variants - has.count() as u64 {
        let sku = format!("many-{number}");
        let made = |kind: u8| {
            json!({
                "id": format!("{:08x}-0000-4000-800{kind}-{number:012}", number.wrapping_mul(2_654_435_761) as u32),
                "version": 1, "createdAt": like["createdAt"], "lastModifiedAt": like["createdAt"], "sku": sku,
            })
        };
        let mut variant = like.clone();
        variant["id"] = made(1)["id"].clone();
        variant["variantId"] = number.into();
        variant["default"] = false.into();
        variant["sku"] = sku.clone().into();
        project.put_beside(Beside::VariantProjection, &variant);
        for (kind, currency) in [(2, "EUR"), (3, "DKK")] {
            let mut price = made(kind);
            price["active"] = true.into();
            price["value"] = json!({
                "type": "centPrecision", "currencyCode": currency, "centAmount": number % 10_000 + 100,
                "fractionDigits": 2,
            });
            project.put_beside(Beside::StandalonePrice, &price);
        }
        let mut stock = made(4);
        for quantity in ["quantityOnStock", "availableQuantity"] {
            stock[quantity] = (number % 7).into();
        }
        project.put_beside(Beside::InventoryEntry, &stock);
    }
    product.as_str().expect("an id").to_owned()
}
