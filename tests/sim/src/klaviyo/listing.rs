//! Listings of the catalog: filters, pages, and variants included with their items.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::answer::{Fault, Refusal, document, moment};
use super::call::{Call, page};
use super::catalog::{compound, external};
use super::operation::Kind;
use super::options::Options;
use super::query::{Filter, Operator};
use crate::ledger::{Catalog, Entry};

const DEFAULT_PAGE: usize = 100;

impl Kind {
    fn fields(self) -> &'static [&'static str] {
        match self {
            Kind::Category => &["external_id", "id", "name", "updated"],
            Kind::Item => &[
                "created",
                "custom_metadata",
                "description",
                "external_id",
                "id",
                "image_full_url",
                "image_thumbnail_url",
                "images",
                "price",
                "published",
                "title",
                "updated",
                "url",
            ],
            Kind::Variant => &[
                "created",
                "custom_metadata",
                "description",
                "external_id",
                "id",
                "image_full_url",
                "image_thumbnail_url",
                "images",
                "inventory_policy",
                "inventory_quantity",
                "price",
                "published",
                "sku",
                "title",
                "updated",
                "url",
            ],
        }
    }

    fn filters(self) -> &'static [(&'static str, &'static [Operator])] {
        match self {
            Kind::Category => &[
                ("ids", &[Operator::Any]),
                ("item.id", &[Operator::Equals]),
                ("name", &[Operator::Contains]),
            ],
            Kind::Item => &[
                ("ids", &[Operator::Any]),
                ("category.id", &[Operator::Equals]),
                ("title", &[Operator::Contains]),
                ("published", &[Operator::Equals]),
            ],
            Kind::Variant => &[
                ("ids", &[Operator::Any]),
                ("item.id", &[Operator::Equals]),
                ("sku", &[Operator::Equals]),
                ("title", &[Operator::Contains]),
                ("published", &[Operator::Equals]),
            ],
        }
    }
}

/// `GET catalog-categories`, `catalog-items`, `catalog-variants`
pub(super) fn list(
    call: &Call<'_>,
    kind: Kind,
    options: &Options,
    catalog: &Catalog,
) -> Result<Response<Bytes>, Refusal> {
    let fields = format!("fields[{}]", kind.resource());
    let mut known = vec![
        fields.as_str(),
        "filter",
        "page[cursor]",
        "page[size]",
        "sort",
    ];
    if kind == Kind::Item {
        known.extend(["include", "fields[catalog-variant]"]);
    }
    call.query.allow(&known)?;
    let include = kind == Kind::Item && call.query.includes("variants")?;
    let filters = call.query.filters(kind.filters())?;
    let include = include.then_some(options);
    answer(call, kind, catalog, &filters, include)
}

/// `GET catalog-items/{id}/variants`
pub(super) fn list_variants_of_item(
    call: &Call<'_>,
    catalog: &Catalog,
) -> Result<Response<Bytes>, Refusal> {
    call.query.allow(&[
        "fields[catalog-variant]",
        "filter",
        "page[cursor]",
        "page[size]",
        "sort",
    ])?;
    let known = external(call.id).is_some_and(|id| catalog.entries(Kind::Item).contains_key(id));
    if !known {
        return Err(Refusal::not_found(format!(
            "An item with id {} does not exist.",
            call.id
        )));
    }
    let mut filters = call.query.filters(Kind::Variant.filters())?;
    filters.push(Filter {
        field: "item.id".to_owned(),
        operator: Operator::Equals,
        values: vec![call.id.to_owned()],
    });
    answer(call, Kind::Variant, catalog, &filters, None)
}

fn answer(
    call: &Call<'_>,
    kind: Kind,
    catalog: &Catalog,
    filters: &[Filter],
    include: Option<&Options>,
) -> Result<Response<Bytes>, Refusal> {
    let order = call.query.sort("created")?;
    let cursor = call.query.cursor()?;
    let size = call.query.page_size(DEFAULT_PAGE)?;
    let found = candidates(catalog, kind, filters).filter(|(id, entry)| {
        filters
            .iter()
            .all(|filter| passes(catalog, kind, filter, id, entry))
    });
    // Without `sort` the key of a page is the id, with it the time of creation comes first.
    let (entries, next) = match order {
        None => {
            let rest = found.filter(|(id, _)| cursor.as_deref().is_none_or(|cursor| *id > cursor));
            page(rest.map(|(id, entry)| (id.to_owned(), (id, entry))), size)
        }
        Some(order) => {
            let mut keyed: Vec<_> = found
                .map(|(id, entry)| (sort_key(id, entry), (id, entry)))
                .collect();
            keyed.sort_by(|(a, _), (b, _)| order.apply(a.cmp(b)));
            let rest = keyed.into_iter().filter(|(key, _)| {
                cursor
                    .as_ref()
                    .is_none_or(|cursor| order.apply(key.cmp(cursor)).is_gt())
            });
            page(rest, size)
        }
    };
    let mut data = Vec::new();
    let mut included = Vec::new();
    for (_, (id, entry)) in entries {
        let mut resource = resource(call, kind, id, entry)?;
        if let Some(options) = include {
            let mut linkage = Vec::new();
            for (n, variant) in catalog.variants_of(id).enumerate() {
                let within = n < options.included_variants;
                if within && let Some(entry) = catalog.entries(Kind::Variant).get(variant) {
                    included.push(self::resource(call, Kind::Variant, variant, entry)?);
                }
                if within || options.complete_linkage {
                    linkage.push(json!({ "type": "catalog-variant", "id": compound(variant) }));
                }
            }
            resource["relationships"]["variants"]["data"] = linkage.into();
        }
        data.push(resource);
    }
    let mut body = json!({ "data": data, "links": call.page_links(next.as_deref()) });
    if include.is_some() {
        body["included"] = included.into();
    }
    Ok(document(StatusCode::OK, &body))
}

/// Entries in the order of their ids, as few as a filter lets us look at.
fn candidates<'a>(
    catalog: &'a Catalog,
    kind: Kind,
    filters: &[Filter],
) -> Box<dyn Iterator<Item = (&'a str, &'a Entry)> + 'a> {
    let entries = catalog.entries(kind);
    let filter = |field: &str| filters.iter().find(|filter| filter.field == field);
    let mut of_ids = filters.iter().filter(|filter| filter.field == "ids");
    let ids: Vec<&str> = if let Some(ids) = of_ids.next() {
        let mut ids: Vec<&str> = ids.values.iter().filter_map(|id| external(id)).collect();
        ids.sort_unstable();
        ids.dedup();
        for others in of_ids {
            ids.retain(|id| others.passes(&compound(id)));
        }
        ids
    } else if let (Kind::Variant, Some(item)) = (kind, filter("item.id")) {
        let item = item.values.first().and_then(|id| external(id));
        catalog.variants_of(item.unwrap_or_default()).collect()
    } else {
        return Box::new(entries.iter().map(|(id, entry)| (id.as_str(), entry)));
    };
    let found: Vec<_> = ids
        .into_iter()
        .filter_map(|id| entries.get_key_value(id))
        .map(|(id, entry)| (id.as_str(), entry))
        .collect();
    Box::new(found.into_iter())
}

fn passes(catalog: &Catalog, kind: Kind, filter: &Filter, id: &str, entry: &Entry) -> bool {
    let text = |name: &str| entry.attributes.get(name).and_then(Value::as_str);
    match filter.field.as_str() {
        // the candidates are chosen by it
        "ids" => true,
        "item.id" if kind == Kind::Category => filter
            .values
            .iter()
            .filter_map(|item| catalog.entries(Kind::Item).get(external(item)?))
            .any(|item| item.belongs_to.contains(id)),
        "item.id" | "category.id" => entry
            .belongs_to
            .iter()
            .any(|related| filter.passes(&compound(related))),
        "published" => {
            let published = entry.attributes.get("published").and_then(Value::as_bool);
            filter.passes(if published.unwrap_or(true) {
                "true"
            } else {
                "false"
            })
        }
        name => text(name).is_some_and(|text| filter.passes(text)),
    }
}

/// Time of creation, then id, as a text that sorts in that order.
fn sort_key(id: &str, entry: &Entry) -> String {
    format!("{:020}|{id}", entry.created.as_microsecond())
}

/// An entry as it is read: fields that were not sent are there, empty.
pub(super) fn resource(
    call: &Call<'_>,
    kind: Kind,
    id: &str,
    entry: &Entry,
) -> Result<Value, Fault> {
    let wanted = call.query.fields(kind.resource(), kind.fields())?;
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| wanted.contains(&name));
    // what is not wanted is not copied: ids are looked up by the ten thousand
    let sent = entry.attributes.iter().filter(|(name, _)| is_wanted(name));
    let mut attributes: Map<String, Value> = sent
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if kind != Kind::Category {
        for (name, unsent) in [
            ("image_full_url", json!("")),
            ("image_thumbnail_url", json!("")),
            ("images", json!([])),
            ("custom_metadata", json!({})),
            ("published", json!(true)),
        ] {
            attributes.entry(name).or_insert(unsent);
        }
    }
    attributes.insert("external_id".to_owned(), id.into());
    attributes.insert("updated".to_owned(), moment(entry.updated).into());
    if kind != Kind::Category {
        attributes.insert("created".to_owned(), moment(entry.created).into());
    }
    attributes.retain(|name, _| is_wanted(name));
    let compound_id = compound(id);
    let relationship = match kind {
        Kind::Category => "items",
        Kind::Item => "variants",
        Kind::Variant => "item",
    };
    let base = format!("{}/api/{}/{compound_id}", call.origin, kind.collection());
    let mut resource = call.resource(kind.resource(), kind.collection(), &compound_id, attributes);
    resource["relationships"] = json!({
        relationship: {
            "links": {
                "self": format!("{base}/relationships/{relationship}/"),
                "related": format!("{base}/{relationship}/"),
            },
        },
    });
    Ok(resource)
}
