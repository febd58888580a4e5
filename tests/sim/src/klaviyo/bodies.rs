//! The shapes of the request bodies, as the API's reference lists their fields.

use super::operation::{Action, Kind};
use super::shape::{Field, Shape, data, fields, object};

const LOCATION: Shape = object! {
    Nullable "address1": Shape::Text,
    Nullable "address2": Shape::Text,
    Nullable "city": Shape::Text,
    Nullable "country": Shape::Text,
    Nullable "ip": Shape::Text,
    Nullable "latitude": Shape::TextOrNumber,
    Nullable "longitude": Shape::TextOrNumber,
    Nullable "region": Shape::Text,
    Nullable "timezone": Shape::Text,
    Nullable "zip": Shape::Text,
};

const PROFILE_ATTRIBUTES: &[Field] = fields! {
    Nullable "_kx": Shape::Text,
    Nullable "email": Shape::Text,
    Nullable "external_id": Shape::Text,
    Nullable "first_name": Shape::Text,
    Nullable "image": Shape::Text,
    Nullable "last_name": Shape::Text,
    Nullable "locale": Shape::Text,
    // The contract takes an object only, the Node plugin sends null: the stricter reading.
    Optional "location": LOCATION,
    Nullable "organization": Shape::Text,
    Nullable "phone_number": Shape::Text,
    Nullable "properties": Shape::AnyObject,
    Nullable "title": Shape::Text,
};

const PROFILE_META: Shape = object! {
    Optional "patch_properties": object! {
        Nullable "append": Shape::AnyObject,
        Nullable "unappend": Shape::AnyObject,
        Optional "unset": Shape::TextOrTexts,
    },
};

const PROFILE: Shape = object! {
    Required "type": Shape::OneOf(&["profile"]),
    Nullable "id": Shape::Text,
    Required "attributes": Shape::Object(&[PROFILE_ATTRIBUTES]),
    Optional "meta": PROFILE_META,
};

/// The profile that a group of events belongs to.
pub(super) const EVENT_PROFILE: Shape = object! {
    Required "type": Shape::OneOf(&["profile"]),
    Nullable "id": Shape::Text,
    Required "attributes": Shape::Object(&[
        PROFILE_ATTRIBUTES,
        fields! { Nullable "anonymous_id": Shape::Text },
    ]),
    Optional "meta": PROFILE_META,
};

/// One profile: `POST profiles`, `POST profile-import`.
pub(super) const ONE_PROFILE: Shape = data!(PROFILE);

/// `PATCH profiles/{id}`: the id is required.
pub(super) const PROFILE_PATCH: Shape = data!(object! {
    Required "type": Shape::OneOf(&["profile"]),
    Required "id": Shape::Text,
    Required "attributes": Shape::Object(&[PROFILE_ATTRIBUTES]),
    Optional "meta": PROFILE_META,
});

/// `POST profile-bulk-import-jobs`. Lists are not simulated, so the relationship is unknown.
pub(super) const PROFILE_IMPORT: Shape = data!(object! {
    Required "type": Shape::OneOf(&["profile-bulk-import-job"]),
    Required "attributes": object! {
        Required "profiles": data!(Shape::ListOf(&PROFILE)),
    },
});

const EVENT: Shape = object! {
    Required "type": Shape::OneOf(&["event"]),
    Required "attributes": object! {
        Nullable "backfill": Shape::Flag,
        Required "metric": data!(object! {
            Required "type": Shape::OneOf(&["metric"]),
            Required "attributes": object! {
                Required "name": Shape::Text,
                Nullable "service": Shape::Text,
            },
        }),
        Required "properties": Shape::AnyObject,
        Nullable "time": Shape::Text,
        Nullable "unique_id": Shape::Text,
        Nullable "value": Shape::Number,
        Nullable "value_currency": Shape::Text,
    },
};

/// `POST event-bulk-create-jobs`.
pub(super) const EVENT_BATCH: Shape = data!(object! {
    Required "type": Shape::OneOf(&["event-bulk-create-job"]),
    Required "attributes": object! {
        Required "events-bulk-create": data!(Shape::ListOf(&object! {
            Required "type": Shape::OneOf(&["event-bulk-create"]),
            Required "attributes": object! {
                Nullable "backfill": Shape::Flag,
                Required "events": data!(Shape::ListOf(&EVENT)),
                Required "profile": data!(EVENT_PROFILE),
            },
        })),
    },
});

const CATALOG_KEYS: &[Field] = fields! {
    Required "external_id": Shape::Text,
    Nullable "integration_type": Shape::OneOf(&["$custom"]),
    Nullable "catalog_type": Shape::OneOf(&["$default"]),
};

/// What items and variants have in common beside their texts.
const SHOWN: &[Field] = fields! {
    Nullable "custom_metadata": Shape::AnyObject,
    Nullable "image_full_url": Shape::Text,
    Nullable "image_thumbnail_url": Shape::Text,
    Nullable "images": Shape::ListOf(&Shape::Text),
    Nullable "published": Shape::Flag,
};

const TEXTS: &[Field] = fields! {
    Required "title": Shape::Text,
    Required "description": Shape::Text,
    Required "url": Shape::Text,
};

const CHANGED_TEXTS: &[Field] = fields! {
    Nullable "title": Shape::Text,
    Nullable "description": Shape::Text,
    Nullable "url": Shape::Text,
    Nullable "price": Shape::Number,
};

const CATEGORY_TYPE: Shape = Shape::OneOf(&["catalog-category"]);
const ITEM_TYPE: Shape = Shape::OneOf(&["catalog-item"]);
const VARIANT_TYPE: Shape = Shape::OneOf(&["catalog-variant"]);

const ITEM_ID: Shape = object! { Required "type": ITEM_TYPE, Required "id": Shape::Text };
const CATEGORY_ID: Shape = object! { Required "type": CATEGORY_TYPE, Required "id": Shape::Text };
const VARIANT_ID: Shape = object! { Required "type": VARIANT_TYPE, Required "id": Shape::Text };

const ITEMS: Shape = object! {
    Optional "items": object! { Optional "data": Shape::ListOf(&ITEM_ID) },
};
const CATEGORIES: Shape = object! {
    Optional "categories": object! { Optional "data": Shape::ListOf(&CATEGORY_ID) },
};

const NEW_CATEGORY: Shape = object! {
    Required "type": CATEGORY_TYPE,
    Required "attributes": Shape::Object(&[
        CATALOG_KEYS,
        fields! { Required "name": Shape::Text },
    ]),
    Optional "relationships": ITEMS,
};

/// `POST catalog-categories`.
pub(super) const ONE_CATEGORY: Shape = data!(NEW_CATEGORY);

const CHANGED_CATEGORY: Shape = object! {
    Required "type": CATEGORY_TYPE,
    Required "id": Shape::Text,
    Required "attributes": object! { Nullable "name": Shape::Text },
    Optional "relationships": ITEMS,
};

const NEW_ITEM: Shape = object! {
    Required "type": ITEM_TYPE,
    Required "attributes": Shape::Object(&[
        CATALOG_KEYS,
        TEXTS,
        SHOWN,
        fields! { Nullable "price": Shape::Number },
    ]),
    Optional "relationships": CATEGORIES,
};

const CHANGED_ITEM: Shape = object! {
    Required "type": ITEM_TYPE,
    Required "id": Shape::Text,
    Required "attributes": Shape::Object(&[CHANGED_TEXTS, SHOWN]),
    Optional "relationships": CATEGORIES,
};

const NEW_VARIANT: Shape = object! {
    Required "type": VARIANT_TYPE,
    Required "attributes": Shape::Object(&[
        CATALOG_KEYS,
        TEXTS,
        SHOWN,
        fields! {
            Required "sku": Shape::Text,
            Required "price": Shape::Number,
            Required "inventory_quantity": Shape::Number,
            Nullable "inventory_policy": Shape::Integer,
        },
    ]),
    Required "relationships": object! { Required "item": data!(ITEM_ID) },
};

const CHANGED_VARIANT: Shape = object! {
    Required "type": VARIANT_TYPE,
    Required "id": Shape::Text,
    Required "attributes": Shape::Object(&[
        CHANGED_TEXTS,
        SHOWN,
        fields! {
            Nullable "sku": Shape::Text,
            Nullable "inventory_quantity": Shape::Number,
            Nullable "inventory_policy": Shape::Integer,
        },
    ]),
};

/// The body of a catalog job: type, and a list of entries of the kind under its key.
macro_rules! catalog_job {
    ($resource:literal, $entries:literal, $entry:expr) => {{
        const SHAPE: &Shape = &data!(object! {
            Required "type": Shape::OneOf(&[$resource]),
            Required "attributes": object! {
                Required $entries: data!(Shape::ListOf(&$entry)),
            },
        });
        SHAPE
    }};
}

/// `POST catalog-{kind}-bulk-{action}-jobs`.
pub(super) fn catalog_job(kind: Kind, action: Action) -> &'static Shape {
    use {Action::*, Kind::*};
    match (kind, action) {
        (Category, Create) => catalog_job!(
            "catalog-category-bulk-create-job",
            "categories",
            NEW_CATEGORY
        ),
        (Category, Update) => catalog_job!(
            "catalog-category-bulk-update-job",
            "categories",
            CHANGED_CATEGORY
        ),
        (Category, Delete) => catalog_job!(
            "catalog-category-bulk-delete-job",
            "categories",
            CATEGORY_ID
        ),
        (Item, Create) => catalog_job!("catalog-item-bulk-create-job", "items", NEW_ITEM),
        (Item, Update) => catalog_job!("catalog-item-bulk-update-job", "items", CHANGED_ITEM),
        (Item, Delete) => catalog_job!("catalog-item-bulk-delete-job", "items", ITEM_ID),
        (Variant, Create) => {
            catalog_job!("catalog-variant-bulk-create-job", "variants", NEW_VARIANT)
        }
        (Variant, Update) => catalog_job!(
            "catalog-variant-bulk-update-job",
            "variants",
            CHANGED_VARIANT
        ),
        (Variant, Delete) => {
            catalog_job!("catalog-variant-bulk-delete-job", "variants", VARIANT_ID)
        }
    }
}
