//! What a dry run shows: the first documents of each kind as Klaviyo would get them, with personal data masked.
//!
//! Everything about a person is masked, except what is known to be harmless, because custom fields can have any name
//! and any type. Structure, keys, ids, amounts and quantities are not masked, so that a mapping can be judged.

use serde_json::Value;

use crate::commercetools::query::is_id;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::run::documents::{Document, Documents};
use crate::run::state::Sample;

/// Documents kept of each kind.
const OF_A_KIND: usize = 2;
/// Documents kept in all.
const MAX_SAMPLES: usize = 12;
/// The most bytes of one sample; a document that is larger even after shortening is left out. Limits the run document.
const MAX_BYTES: usize = 8_000;
/// Elements of a list that are shown.
const SHOWN_ELEMENTS: usize = 2;
/// Characters of a text that are shown.
const SHOWN_CHARS: usize = 200;
/// The text in place of a masked value.
const MASK: &str = "***";
/// Texts that are shown outside of `properties`, by their key. `id`s and `external_id`s are commercetools' own.
const SHOWN: [&str; 6] = [
    "type",
    "id",
    "external_id",
    "unique_id",
    "time",
    "value_currency",
];

/// Numbers that are shown, by their key.
const SHOWN_NUMBERS: [&str; 7] = [
    "value",
    "centAmount",
    "preciseAmount",
    "fractionDigits",
    "quantity",
    "amount",
    "version",
];

/// Keeps the documents of a record, as far as there is room for more of their kind.
pub(super) fn take(
    samples: &mut Vec<Sample>,
    endpoints: &[&'static BulkEndpoint],
    documents: &Documents,
) {
    for document in &documents.list {
        if samples.len() == MAX_SAMPLES {
            return;
        }
        let endpoint = endpoints[document.endpoint].key;
        // most kinds are known by their endpoint: a document that is not kept need not be parsed
        if document.profile.is_none() && is_full(samples, endpoint) {
            continue;
        }
        if let Some(sample) = sample(endpoint, document, &documents.bytes)
            && !is_full(samples, &sample.kind)
        {
            samples.push(sample);
        }
    }
}

fn is_full(samples: &[Sample], kind: &str) -> bool {
    samples.iter().filter(|sample| sample.kind == kind).count() >= OF_A_KIND
}

fn sample(endpoint: &str, document: &Document, bytes: &[u8]) -> Option<Sample> {
    let mut value: Value = serde_json::from_slice(&document.pieces.join(bytes)).ok()?;
    let metric = value
        .pointer("/attributes/metric/data/attributes/name")
        .and_then(Value::as_str);
    let kind = metric.map_or_else(
        || endpoint.to_owned(),
        |metric| format!("{endpoint}: {metric}"),
    );
    let is_of_a_person = value["type"]
        .as_str()
        .is_none_or(|kind| !kind.starts_with("catalog-"));
    let metric = metric.map(str::to_owned);
    shorten(&mut value);
    if is_of_a_person {
        mask(&mut value, "", false);
        if let (Some(metric), Some(name)) = (
            metric,
            value.pointer_mut("/attributes/metric/data/attributes/name"),
        ) {
            *name = metric.into();
        }
    }
    let profile = document
        .profile
        .as_deref()
        .and_then(|profile| serde_json::from_str(profile).ok());
    let profile = profile.map(|mut profile: Value| {
        mask(&mut profile, "", false);
        profile
    });
    let sample = Sample {
        kind,
        profile,
        document: value,
    };
    (serde_json::to_vec(&sample).ok()?.len() <= MAX_BYTES).then_some(sample)
}

fn shorten(value: &mut Value) {
    match value {
        Value::Array(elements) => {
            elements.truncate(SHOWN_ELEMENTS);
            elements.iter_mut().for_each(shorten);
        }
        Value::Object(members) => members.values_mut().for_each(shorten),
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(SHOWN_CHARS) {
                text.truncate(end);
                text.push('…');
            }
        }
        _ => {}
    }
}

fn mask(value: &mut Value, key: &str, in_properties: bool) {
    match value {
        Value::String(text) => {
            let is_shown = if in_properties {
                is_id(text)
            } else {
                SHOWN.contains(&key)
            };
            if !is_shown {
                MASK.clone_into(text);
            }
        }
        Value::Number(_) if !SHOWN_NUMBERS.contains(&key) => *value = MASK.into(),
        Value::Bool(_) if in_properties => *value = MASK.into(),
        Value::Array(elements) => elements
            .iter_mut()
            .for_each(|element| mask(element, key, in_properties)),
        Value::Object(members) => {
            for (key, value) in members {
                mask(value, key, in_properties || key == "properties");
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::klaviyo::{events, profiles};

    fn documents(values: &[Value], profile: Option<&str>) -> Documents {
        let mut documents = Documents::default();
        for value in values {
            let start = documents.bytes.len();
            documents
                .bytes
                .extend_from_slice(value.to_string().as_bytes());
            let pieces = (start..documents.bytes.len()).into();
            documents.list.push(Document {
                endpoint: 0,
                profile: profile.map(Into::into),
                pieces,
                part: None,
                part_note: None,
            });
        }
        documents
    }

    #[test]
    fn a_profile_keeps_its_structure_and_loses_what_is_personal() {
        let profile = json!({"type": "profile", "attributes": {
            "email": "jane@example.com", "external_id": "e", "first_name": "Jane", "title": "Dr.",
            "location": {"city": "Ulm", "latitude": 48.4},
            "properties": {
                "id": "00000000-0000-4000-8000-000000000000", "type": "secret", "born": 1984, "smokes": true,
                "pets": ["Rex", "Bo", "Al"], "total": {"centAmount": 500, "taxed": [7]},
            },
        }});
        let mut samples = Vec::new();
        take(
            &mut samples,
            &[&profiles::BULK_IMPORT],
            &documents(&[profile], None),
        );
        let masked = json!({"type": "profile", "attributes": {
            "email": "***", "external_id": "e", "first_name": "***", "title": "***",
            "location": {"city": "***", "latitude": "***"},
            "properties": {
                "id": "00000000-0000-4000-8000-000000000000", "type": "***", "born": "***", "smokes": "***",
                "pets": ["***", "***"], "total": {"centAmount": 500, "taxed": ["***"]},
            },
        }});
        assert_eq!(
            samples,
            [Sample {
                kind: "import profiles".to_owned(),
                profile: None,
                document: masked
            }]
        );
    }

    #[test]
    fn events_are_kept_by_metric_with_their_masked_profile() {
        let event = |name: &str| {
            json!({"type": "event", "attributes": {
                "metric": {"data": {"type": "metric", "attributes": {"name": name}}},
                "properties": {"note": "call Jane"}, "value": 1.5,
            }})
        };
        let profile =
            json!({"type": "profile", "attributes": {"email": "jane@example.com"}}).to_string();
        let mut samples = Vec::new();
        let events = [
            "Placed Order",
            "Ordered Product",
            "Ordered Product",
            "Ordered Product",
        ]
        .map(event);
        take(
            &mut samples,
            &[&events::BULK_CREATE],
            &documents(&events, Some(&profile)),
        );
        let kinds: Vec<&str> = samples.iter().map(|sample| sample.kind.as_str()).collect();
        let ordered = "create events: Ordered Product";
        assert_eq!(kinds, ["create events: Placed Order", ordered, ordered]);
        assert!(!serde_json::to_string(&samples).unwrap().contains("ane"));
    }

    #[test]
    fn what_is_too_large_is_passed_over_and_lists_and_texts_are_cut() {
        let large: serde_json::Map<String, Value> = (0..2_000)
            .map(|number| (format!("key-{number}"), number.into()))
            .collect();
        let long = json!({"type": "catalog-item", "attributes": {"title": "ü".repeat(10_000), "images": [1, 2, 3]}});
        let mut samples = Vec::new();
        take(
            &mut samples,
            &[&profiles::BULK_IMPORT],
            &documents(&[Value::Object(large), long], None),
        );
        assert_eq!(samples.len(), 1);
        let attributes = &samples[0].document["attributes"];
        assert_eq!(
            attributes["title"]
                .as_str()
                .map(|title| title.chars().count()),
            Some(SHOWN_CHARS + 1)
        );
        assert_eq!(attributes["images"], json!([1, 2]));
    }
}
