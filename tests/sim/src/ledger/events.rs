//! Events, each once by metric, profile and `unique_id`, with a digest of its properties.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The identifiers that an event's profile came with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identifiers {
    /// Klaviyo's own id.
    pub id: Option<Box<str>>,
    /// The `external_id`: a customer's id.
    pub external_id: Option<Box<str>>,
    /// The email address.
    pub email: Option<Box<str>>,
    /// The phone number.
    pub phone_number: Option<Box<str>>,
    /// The `anonymous_id`.
    pub anonymous_id: Option<Box<str>>,
}

impl Identifiers {
    /// What stands for the profile: the first identifier there is, in the order of the fields.
    #[must_use]
    pub fn identity(&self) -> Option<&str> {
        self.id
            .as_deref()
            .or(self.external_id.as_deref())
            .or(self.email.as_deref())
            .or(self.phone_number.as_deref())
            .or(self.anonymous_id.as_deref())
    }
}

/// What makes an event the same event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey {
    /// The metric's name.
    pub metric: Arc<str>,
    /// The profile's [identity](Identifiers::identity).
    pub profile: Box<str>,
    /// The `unique_id`, or the time in seconds where the event had none.
    pub unique_id: Box<str>,
}

/// An event as it first arrived.
#[derive(Debug, Clone)]
pub struct Event {
    /// The identifiers of its profile.
    pub identifiers: Identifiers,
    /// When it happened, cut to the second.
    pub time: Timestamp,
    /// The monetary value.
    pub value: Option<f64>,
    /// The ISO 4217 code of the value.
    pub value_currency: Option<Box<str>>,
    /// Whether it triggers no flows.
    pub backfill: bool,
    /// The digest of its properties, see [`properties_digest`].
    pub properties_digest: u64,
    /// The properties as sent, where `Options::keep_properties` asks for them.
    pub properties: Option<Box<RawValue>>,
    /// How often it arrived: 1, and one more for every repeat.
    pub arrivals: u32,
    /// Whether a repeat had other content (value, time, properties …) than the first, which stays.
    pub contradicted: bool,
}

impl Event {
    fn same_content(&self, other: &Event) -> bool {
        self.time == other.time
            && self.value == other.value
            && self.value_currency == other.value_currency
            && self.backfill == other.backfill
            && self.properties_digest == other.properties_digest
    }
}

/// All events of the account.
#[derive(Debug, Default)]
pub struct Events {
    dropped: u64,
    by_key: HashMap<EventKey, Event>,
    metrics: HashMap<String, Arc<str>>,
    arrivals: u64,
}

impl Events {
    /// How many there are, repeats not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// How many arrived a further time.
    #[must_use]
    pub fn repeats(&self) -> u64 {
        self.arrivals - self.by_key.len() as u64
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&EventKey, &Event)> {
        self.by_key.iter()
    }

    /// The event with this key.
    #[must_use]
    pub fn get(&self, metric: &str, profile: &str, unique_id: &str) -> Option<&Event> {
        self.by_key.get(&EventKey {
            metric: self.metrics.get(metric)?.clone(),
            profile: profile.into(),
            unique_id: unique_id.into(),
        })
    }

    /// The shared name of a metric.
    pub(crate) fn metric(&mut self, name: &str) -> Arc<str> {
        if let Some(metric) = self.metrics.get(name) {
            return metric.clone();
        }
        let metric: Arc<str> = name.into();
        self.metrics.insert(name.to_owned(), metric.clone());
        metric
    }

    /// Counts an event that is dropped after it was accepted, of which nobody is told.
    pub(crate) fn drop_silently(&mut self) {
        self.dropped += 1;
    }

    /// How many events were dropped after they were accepted.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes an event in, or counts a repeat.
    pub(crate) fn record(&mut self, key: EventKey, event: Event) {
        self.arrivals += 1;
        match self.by_key.entry(key) {
            MapEntry::Vacant(vacant) => {
                vacant.insert(event);
            }
            MapEntry::Occupied(mut known) => {
                let known = known.get_mut();
                known.arrivals += 1;
                known.contradicted |= !known.same_content(&event);
            }
        }
    }
}

/// A digest of a JSON text that does not depend on the order of keys or on white space (but tells `1` from
/// `1.0`). The same within one build of the tests; not to be stored.
///
/// # Errors
/// The text is not JSON, or nested more deeply than 128 levels.
pub fn properties_digest(json: &str) -> serde_json::Result<u64> {
    scan_properties(json).map(|scan| scan.digest)
}

/// As [`properties_digest`], of the object that has these members, each with the digest of its value.
pub(crate) fn object_digest<'a>(members: impl IntoIterator<Item = (&'a str, u64)>) -> u64 {
    let sum = members.into_iter().fold(0u64, |sum, (name, value)| {
        sum.wrapping_add(member_digest(digest(5, name), value))
    });
    digest(8, sum)
}

/// A sum of these does not depend on the order of the members.
fn member_digest(name: u64, value: u64) -> u64 {
    digest(7, (name, value))
}

/// What one pass over a JSON text tells.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scan {
    pub(crate) digest: u64,
    /// Keys of the outermost object.
    pub(crate) keys: usize,
    /// Bytes of the longest string in it.
    pub(crate) longest: usize,
    /// Objects and arrays within one another.
    pub(crate) levels: usize,
    /// Elements of the longest array in it.
    pub(crate) entries: usize,
    /// Whether it has an integer that 64 bits with a sign cannot hold.
    pub(crate) has_large_integer: bool,
}

impl Scan {
    /// Takes in what is within an array or an object.
    fn within(&mut self, inner: &Self) {
        self.longest = self.longest.max(inner.longest);
        self.levels = self.levels.max(inner.levels + 1);
        self.entries = self.entries.max(inner.entries);
        self.has_large_integer |= inner.has_large_integer;
    }
}

pub(crate) fn scan_properties(json: &str) -> serde_json::Result<Scan> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let scan = Scanner.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(scan)
}

struct Scanner;

/// The digest of a value: its kind and its content.
fn digest(kind: u8, content: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u8(kind);
    content.hash(&mut hasher);
    hasher.finish()
}

fn leaf<E>(kind: u8, content: impl Hash) -> Result<Scan, E> {
    Ok(Scan {
        digest: digest(kind, content),
        ..Scan::default()
    })
}

impl<'de> DeserializeSeed<'de> for Scanner {
    type Value = Scan;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Scan, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scanner {
    type Value = Scan;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Scan, E> {
        leaf(0, ())
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scan, E> {
        leaf(1, value)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scan, E> {
        Ok(Scan {
            has_large_integer: i64::try_from(value).is_err(),
            ..leaf(2, value)?
        })
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scan, E> {
        leaf(3, value)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scan, E> {
        leaf(4, value.to_bits())
    }

    fn visit_str<E>(self, value: &str) -> Result<Scan, E> {
        Ok(Scan {
            digest: digest(5, value),
            longest: value.len(),
            ..Scan::default()
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scan, A::Error> {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(6);
        let mut scan = Scan {
            levels: 1,
            ..Scan::default()
        };
        let mut entries = 0;
        while let Some(element) = seq.next_element_seed(Scanner)? {
            hasher.write_u64(element.digest);
            entries += 1;
            scan.within(&element);
        }
        scan.entries = scan.entries.max(entries);
        scan.digest = hasher.finish();
        Ok(scan)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scan, A::Error> {
        let mut sum = 0u64;
        let mut scan = Scan {
            levels: 1,
            ..Scan::default()
        };
        while let Some(name) = map.next_key_seed(Scanner)? {
            let value = map.next_value_seed(Scanner)?;
            sum = sum.wrapping_add(member_digest(name.digest, value.digest));
            scan.keys += 1;
            scan.within(&value);
        }
        scan.digest = digest(8, sum);
        Ok(scan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> u64 {
        properties_digest(json).expect("JSON")
    }

    #[test]
    fn a_digest_knows_content_not_layout() {
        assert_eq!(
            of(r#"{"a": [1, "x", null], "b": {"c": 1.5}}"#),
            of(r#"{"b":{"c":1.5},"a":[1,"x",null]}"#)
        );
        for other in [
            r#"{"a":["x",1,null],"b":{"c":1.5}}"#,
            r#"{"a":[1,"x",null],"b":{"c":1.25}}"#,
            r#"{"a":[1,"x",null],"b":{"d":1.5}}"#,
            r#"{"a":[1,"x"],"b":{"c":1.5}}"#,
            r#"{"a":[1.0,"x",null],"b":{"c":1.5}}"#,
        ] {
            assert_ne!(
                of(r#"{"a":[1,"x",null],"b":{"c":1.5}}"#),
                of(other),
                "{other}"
            );
        }
        assert!(properties_digest(r#"{"a":1} x"#).is_err());
    }

    #[test]
    fn a_scan_counts_keys_and_finds_the_longest_string() {
        let scan = scan_properties(r#"{"a":{"x":1,"y":2},"b":["12345"],"c":"1"}"#).expect("JSON");
        assert_eq!((scan.keys, scan.longest), (3, 5));
    }
}
