//! One entry of a catalog bulk job: how it identifies its record, and the document around its attributes.

use serde::Serialize;

/// The only integration type that Klaviyo's catalog API accepts.
const INTEGRATION_TYPE: &str = "$custom";
/// The only catalog type that it accepts.
const CATALOG_TYPE: &str = "$default";

/// Whether an entry is for a bulk create job or for a bulk update job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// Identifies the record by its external id.
    Create,
    /// Identifies it by its compound id, and leaves out what cannot change.
    Update,
}

impl Write {
    /// The value of a member that may be absent: `null` clears what an update finds, a create leaves the member out.
    pub(in crate::mapping) fn or_clear<T>(self, value: Option<T>) -> Option<Option<T>> {
        match self {
            Self::Create => value.map(Some),
            Self::Update => Some(value),
        }
    }
}

/// An entry that has been written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The external id: a category's or product's id, or a variant's sku. [`compound_id`] makes Klaviyo's id from it.
    pub id: String,
}

/// Klaviyo's id of a catalog category, item or variant: `$custom:::$default:::<external id>`.
#[must_use]
pub fn compound_id(external_id: &str) -> String {
    format!("{INTEGRATION_TYPE}:::{CATALOG_TYPE}:::{external_id}")
}

/// The external id in a compound id; the whole text if it is not a compound id.
#[must_use]
pub fn external_id(compound_id: &str) -> &str {
    let parts = compound_id.splitn(3, ":::");
    parts.last().unwrap_or(compound_id)
}

/// A JSON:API resource identifier by compound id.
#[derive(Serialize)]
pub(in crate::mapping) struct Reference {
    r#type: &'static str,
    id: String,
}

impl Reference {
    pub(in crate::mapping) fn to(kind: &'static str, external_id: &str) -> Self {
        Self {
            r#type: kind,
            id: compound_id(external_id),
        }
    }
}

/// A JSON:API relationship: one [`Reference`] or a list of them.
#[derive(Serialize)]
pub(in crate::mapping) struct Relationship<R> {
    pub(in crate::mapping) data: R,
}

#[derive(Serialize)]
struct Document<A, R> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    attributes: A,
    #[serde(skip_serializing_if = "Option::is_none")]
    relationships: Option<R>,
}

#[derive(Serialize)]
struct Named<'a, A> {
    #[serde(flatten)]
    identity: Option<Identity<'a>>,
    #[serde(flatten)]
    attributes: A,
}

#[derive(Serialize)]
struct Identity<'a> {
    external_id: &'a str,
    integration_type: &'static str,
    catalog_type: &'static str,
}

/// Appends the entry to `out` as JSON text, identified by its external id for a create, by its compound id for an
/// update.
pub(in crate::mapping) fn write(
    kind: &'static str,
    op: Write,
    external_id: &str,
    attributes: impl Serialize,
    relationships: Option<impl Serialize>,
    out: &mut Vec<u8>,
) -> Entry {
    let (id, identity) = match op {
        Write::Create => (
            None,
            Some(Identity {
                external_id,
                integration_type: INTEGRATION_TYPE,
                catalog_type: CATALOG_TYPE,
            }),
        ),
        Write::Update => (Some(compound_id(external_id)), None),
    };
    let document = Document {
        r#type: kind,
        id,
        attributes: Named {
            identity,
            attributes,
        },
        relationships,
    };
    serde_json::to_writer(out, &document)
        .expect("structs with string keys always serialize into memory");
    Entry {
        id: external_id.to_owned(),
    }
}
