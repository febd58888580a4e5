//! Which of many ids commercetools still has, in as few bytes as the API client's scopes allow.

use std::cell::Cell;
use std::collections::HashSet;

use crate::commercetools::query::IDS_A_QUERY;
use crate::commercetools::scope::VIEW_PRODUCTS;
use crate::error::{Error, Peer};
use crate::json::{Json, Part};
use crate::klaviyo::catalog::listing::CatalogCollection;
use crate::mapping;
use crate::resources::lookup::{Lookup, Lookups, Source};
use crate::time::Deadline;

/// The most ids of one query of whole projections, which are large.
const WHOLE_A_QUERY: usize = 50;
/// The assumed size of a whole record in bytes, before any has been read.
const UNSEEN_WHOLE: usize = 40_000;
/// The assumed size of the selected members in bytes, before any has been read.
const UNSEEN_MEMBERS: usize = 200;

/// Whether products are published. Scope: `view_products`.
const PRODUCT_MEMBERS: Lookup = Lookup {
    operation: "query which products are published",
    source: Source::Graphql {
        field: "products",
        selection: "id masterData {published}",
    },
    ids_a_query: IDS_A_QUERY,
    unseen_bytes: UNSEEN_MEMBERS,
};
/// Published products whole. Scope: `view_published_products`.
const PROJECTIONS: Lookup = Lookup {
    operation: "query which products are published",
    source: Source::Endpoint {
        path: "product-projections",
        parameters: &[("staged", "false")],
    },
    ids_a_query: WHOLE_A_QUERY,
    unseen_bytes: UNSEEN_WHOLE,
};
/// The ids of categories.
const CATEGORY_MEMBERS: Lookup = Lookup {
    operation: "query which categories exist",
    source: Source::Graphql {
        field: "categories",
        selection: "id",
    },
    ids_a_query: IDS_A_QUERY,
    unseen_bytes: UNSEEN_MEMBERS,
};
/// Categories whole.
const CATEGORIES: Lookup = Lookup {
    operation: "query which categories exist",
    source: Source::Endpoint {
        path: "categories",
        parameters: &[],
    },
    ids_a_query: IDS_A_QUERY,
    unseen_bytes: UNSEEN_WHOLE,
};

/// The ways to ask for them, the one with the fewest bytes first.
fn ways(of: CatalogCollection) -> [&'static Lookup; 2] {
    match of {
        CatalogCollection::Categories => [&CATEGORY_MEMBERS, &CATEGORIES],
        CatalogCollection::Items | CatalogCollection::Variants => [&PRODUCT_MEMBERS, &PROJECTIONS],
    }
}

/// Those of these ids that are to be in Klaviyo: of published products, or of categories. `way` is the index of the way
/// that was answered last. A record that is too large to be looked up is there.
///
/// # Errors
/// If commercetools does not respond or rejects the request: what is not known is never taken for gone.
pub(super) async fn present(
    lookups: &Lookups,
    of: CatalogCollection,
    way: &Cell<usize>,
    ids: &[String],
    deadline: Deadline,
) -> Result<HashSet<String>, Error> {
    let ways = ways(of);
    if of == CatalogCollection::Items && !lookups.client.may(VIEW_PRODUCTS, deadline).await? {
        way.set(1);
    }
    loop {
        let tried = way.get().min(1);
        let lookup = ways[tried];
        let mut found = HashSet::new();
        let taken = lookups.run(lookup, ids, deadline, |record| {
            found.extend(id_of_present(lookup, record)?);
            Ok(())
        });
        match taken.await {
            Ok(too_large) => {
                found.extend(too_large);
                return Ok(found);
            }
            // a token that is refused (401) is no matter of the way; another look-up may have found it closed meanwhile
            Err(error) if tried == 0 && (error.is_rejection() || error.status() == Some(403)) => {
                way.set(1);
            }
            Err(error) => return Err(error),
        }
    }
}

/// The id of a record, if it is published or need not be.
fn id_of_present(lookup: &Lookup, record: &Json) -> Result<Option<String>, Error> {
    let unreadable = || {
        let expected = "records with their ids and whether they are published";
        Error::unreadable(Peer::Commercetools, lookup.operation, expected)
    };
    let id = mapping::id(record.part()).ok_or_else(unreadable)?;
    let says_whether_published =
        matches!(lookup.source, Source::Graphql { field, .. } if field == "products");
    if !says_whether_published {
        return Ok(Some(id));
    }
    match published(record.part()).map(Part::get) {
        Some("true") => Ok(Some(id)),
        Some("false") => Ok(None),
        _ => Err(unreadable()),
    }
}

fn published(record: Part<'_>) -> Option<Part<'_>> {
    let [data] = record.pick(["masterData"])?;
    let [published] = data?.pick(["published"])?;
    published
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn present(lookup: &Lookup, record: &str) -> Option<Option<String>> {
        let record = RawValue::from_string(record.to_owned()).unwrap();
        id_of_present(lookup, &Json::from(record)).ok()
    }

    #[test]
    fn a_product_is_present_only_if_it_says_that_it_is_published() {
        let of = |data: &str| present(&PRODUCT_MEMBERS, &format!(r#"{{"id":"p"{data}}}"#));
        let id = || Some("p".to_owned());
        assert_eq!(of(r#","masterData":{"published":true}"#), Some(id()));
        assert_eq!(of(r#","masterData":{"published":false}"#), Some(None));
        // neither published nor not: nothing is concluded from that
        for unknown in ["", r#","masterData":null"#, r#","masterData":{}"#] {
            assert_eq!(of(unknown), None, "{unknown}");
        }
        assert_eq!(present(&PROJECTIONS, r#"{"id":"p"}"#), Some(id()));
        assert_eq!(present(&CATEGORY_MEMBERS, r#"{"id":"p"}"#), Some(id()));
        assert_eq!(present(&CATEGORY_MEMBERS, "{}"), None);
    }
}
