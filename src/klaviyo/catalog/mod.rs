//! The catalog: bulk jobs that create, update and delete entries, 100 per job
//! (<https://developers.klaviyo.com/en/reference/catalogs_api_overview>), and listings of the entries that exist.

pub mod attributes;
pub mod category;
pub mod job;
pub mod listing;
pub mod marks;

use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::bulk::{BulkAction, BulkEndpoint, MAX_REQUEST_BYTES, Shape, never_apart, never_mended};
use super::rate::Endpoint;

/// "Accepts up to 100 catalog items per request"; the same for categories and variants. Also the most ids in a filter
/// and the most entries of a page.
pub const MAX_ENTRIES: usize = 100;
macro_rules! bulk {
    ($name:ident, $does:ident, $action:literal, $kind:literal, $entries:literal, ($burst:literal, $steady:literal)) => {
        #[doc = concat!("The bulk jobs that ", $action, " catalog ", $entries, ".")]
        pub static $name: BulkEndpoint = BulkEndpoint {
            key: concat!($action, " catalog ", $entries),
            action: BulkAction::$does,
            post: &Endpoint {
                name: concat!($action, " catalog ", $entries),
                burst: 75,
                steady: 750,
            },
            path: concat!("/api/catalog-", $kind, "-bulk-", $action, "-jobs"),
            shape: Shape::Flat,
            head: concat!(
                r#"{"data":{"type":"catalog-"#,
                $kind,
                "-bulk-",
                $action,
                r#"-job","attributes":{""#,
                $entries,
                r#"":{"data":["#
            ),
            tail: "]}}}}",
            pointer: concat!("/data/attributes/", $entries, "/data/"),
            max_documents: MAX_ENTRIES,
            max_bytes: MAX_REQUEST_BYTES,
            mend: never_mended,
            apart: never_apart,
            read_job: Some(&Endpoint {
                name: concat!("read a job to ", $action, " catalog ", $entries),
                burst: $burst,
                steady: $steady,
            }),
            names_entries: true,
        };
    };
}

bulk!(
    CREATE_CATEGORIES,
    Create,
    "create",
    "category",
    "categories",
    (350, 3_500)
);
bulk!(
    UPDATE_CATEGORIES,
    Update,
    "update",
    "category",
    "categories",
    (350, 3_500)
);
bulk!(
    DELETE_CATEGORIES,
    Delete,
    "delete",
    "category",
    "categories",
    (350, 3_500)
);
bulk!(CREATE_ITEMS, Create, "create", "item", "items", (75, 750));
bulk!(UPDATE_ITEMS, Update, "update", "item", "items", (75, 750));
bulk!(
    DELETE_ITEMS,
    Delete,
    "delete",
    "item",
    "items",
    (350, 3_500)
);
bulk!(
    CREATE_VARIANTS,
    Create,
    "create",
    "variant",
    "variants",
    (75, 750)
);
bulk!(
    UPDATE_VARIANTS,
    Update,
    "update",
    "variant",
    "variants",
    (75, 750)
);
bulk!(
    DELETE_VARIANTS,
    Delete,
    "delete",
    "variant",
    "variants",
    (350, 3_500)
);

/// The deletion of variants that are then created under another item: a variant's item cannot be changed.
pub static MOVE_VARIANTS: BulkEndpoint = BulkEndpoint {
    key: "move catalog variants",
    action: BulkAction::Move,
    ..DELETE_VARIANTS
};

/// The creation of items that were there when they were read, and are gone: their variants went with them, and follow.
pub static CREATE_ITEMS_ANEW: BulkEndpoint = BulkEndpoint {
    key: "create catalog items anew",
    ..CREATE_ITEMS
};

/// The endpoints of the jobs of categories: a list of jobs each.
pub static CATEGORY_JOBS: [&BulkEndpoint; 3] =
    [&CREATE_CATEGORIES, &UPDATE_CATEGORIES, &DELETE_CATEGORIES];

/// The endpoints of the jobs of products: a list of jobs each.
pub static PRODUCT_JOBS: [&BulkEndpoint; 6] = [
    &CREATE_ITEMS,
    &UPDATE_ITEMS,
    &DELETE_ITEMS,
    &CREATE_VARIANTS,
    &UPDATE_VARIANTS,
    &DELETE_VARIANTS,
];

/// The entry of a delete job.
#[must_use]
pub fn identifier(kind: &str, compound_id: &str) -> Box<RawValue> {
    to_raw_value(&json!({ "type": kind, "id": compound_id })).expect("two strings always serialize")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_does_what_its_key_says() {
        for (endpoint, key, action) in [
            (&CREATE_ITEMS, "create catalog items", BulkAction::Create),
            (&UPDATE_ITEMS, "update catalog items", BulkAction::Update),
            (&DELETE_ITEMS, "delete catalog items", BulkAction::Delete),
            (
                &CREATE_VARIANTS,
                "create catalog variants",
                BulkAction::Create,
            ),
            (
                &UPDATE_VARIANTS,
                "update catalog variants",
                BulkAction::Update,
            ),
            (
                &DELETE_VARIANTS,
                "delete catalog variants",
                BulkAction::Delete,
            ),
            (
                &CREATE_CATEGORIES,
                "create catalog categories",
                BulkAction::Create,
            ),
            (
                &UPDATE_CATEGORIES,
                "update catalog categories",
                BulkAction::Update,
            ),
            (
                &DELETE_CATEGORIES,
                "delete catalog categories",
                BulkAction::Delete,
            ),
        ] {
            assert_eq!((endpoint.key, endpoint.action), (key, action));
        }
    }
}
