//! Checks how the shop keeps its catalog: the catalog model, and whether standalone prices can be read.

use super::line::Line;
use crate::commercetools::query::Query;
use crate::commercetools::scope::{VIEW_PROJECT_SETTINGS, VIEW_STANDALONE_PRICES, is_granted};
use crate::error::Error;
use crate::mapping::product::Product;
use crate::run::engine::Engine;
use crate::time::Deadline;

/// The largest response that is read, in bytes: one product can have megabytes.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Whether standalone prices can be read. A shop without them needs no scope for them.
pub(super) fn standalone_prices(granted: &str, project: &str) -> Line {
    let what = "commercetools: scope for standalone prices";
    if is_granted(granted, VIEW_STANDALONE_PRICES, project) {
        return Line::ok(what, format!("{VIEW_STANDALONE_PRICES} is granted"));
    }
    let detail = format!(
        "{VIEW_STANDALONE_PRICES}:{project} is not granted: of products with standalone prices no price is sent, and none \
         is overwritten; their new variants are skipped, as Klaviyo creates none without a price"
    );
    Line::unknown(what, detail)
}

/// The catalog model: what the project says of itself, or else what its first published product is like. Every product is
/// imported as it is, whatever the model.
pub(super) async fn model(engine: &Engine, granted: &str, deadline: Deadline) -> Line {
    const WHAT: &str = "commercetools: catalog model";
    let project = &engine.config.commercetools.project;
    let says = match is_granted(granted, VIEW_PROJECT_SETTINGS, project) {
        true => engine.commercetools.catalog_model(deadline).await,
        false => Ok(None),
    };
    match says {
        Ok(Some(model)) => Line::ok(WHAT, format!("the project says {}", known(&model))),
        Ok(None) => first_product(engine, deadline).await.map_or_else(
            |error| Line::unknown(WHAT, error.to_string()),
            |detail| Line::ok(WHAT, detail),
        ),
        Err(error) => Line::of(WHAT, &error),
    }
}

/// The model's name, if it is one that commercetools' documentation has.
fn known(model: &str) -> &'static str {
    match model {
        "Classic" => "Classic",
        "Modular" => "Modular",
        "InMigration" => "InMigration: the records tell what is migrated",
        _ => "something else: the records tell",
    }
}

async fn first_product(engine: &Engine, deadline: Deadline) -> Result<&'static str, Error> {
    let query = Query {
        limit: 1,
        parameters: &[("staged", "false")],
        ..Query::all("read a product", "product-projections", MAX_BYTES)
    };
    let products = engine.commercetools.page(&query, deadline).await?;
    let Some(product) = products.first() else {
        return Ok("there is no published product that would tell");
    };
    Ok(match Product::read(product.part()) {
        Ok(product) if product.is_without_variants() => {
            "Modular: the first product's variants are resources of their own"
        }
        _ => "Classic: the first product has its variants in it",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::check::line::State;

    #[test]
    fn what_happens_without_the_scope_for_standalone_prices_is_said() {
        let line = standalone_prices("view_products:shop", "shop");
        assert_eq!(line.state, State::Unknown);
        assert!(line.detail.contains("view_standalone_prices:shop"));
        let line = standalone_prices("view_standalone_prices:shop", "shop");
        assert_eq!(line.state, State::Ok);
    }
}
