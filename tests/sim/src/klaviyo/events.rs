//! Events in batches: a batch is taken in whole or refused whole, and cannot be asked about later.

use std::borrow::Cow;
use std::collections::HashSet;

use bytes::Bytes;
use http::Response;
use jiff::{Timestamp, ToSpan};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::{Fault, Refusal, accepted, refuse_if_any};
use super::bodies;
use super::call::Call;
use super::options::Options;
use super::profiles::{is_e164, is_email};
use super::shape;
use crate::ledger::{Event, EventKey, Identifiers, Ledger, Scan, Written, scan_properties};

const MAX_EVENTS: usize = 1_000;
const MAX_BODY: usize = 5_000_000;
const MAX_STRING: usize = 100_000;
const MAX_PROPERTIES: usize = 400;
const MAX_LEVELS: usize = 10;
const MAX_ENTRIES: usize = 4_000;
const MAX_ID: usize = 255;
const MAX_EMAIL: usize = 100;
/// "The time must be after the year 1990": the first moment that is, in seconds since 1970.
const EARLIEST: i64 = 662_688_000;
/// "… and can only be up to 1 year in the future."
const LATEST_AHEAD_HOURS: i64 = 365 * 24;

const GROUPS: &str = "/data/attributes/events-bulk-create/data";

// Event batches are what load tests send by the gigabyte, so they are read into borrowed structs, and the
// properties are passed over once. Whatever does not fit goes through the shapes, which say where and why.

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resource<'a, T> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    attributes: T,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch<'a> {
    #[serde(borrow, rename = "events-bulk-create")]
    groups: Data<Vec<Resource<'a, Group<'a>>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group<'a> {
    backfill: Option<bool>,
    #[serde(borrow)]
    events: Data<Vec<Resource<'a, NewEvent<'a>>>>,
    /// Small, and with many optional parts: checked by its shape.
    #[serde(borrow)]
    profile: Data<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewEvent<'a> {
    backfill: Option<bool>,
    #[serde(borrow)]
    metric: Data<Resource<'a, Metric<'a>>>,
    #[serde(borrow)]
    properties: &'a RawValue,
    time: Option<Cow<'a, str>>,
    unique_id: Option<Cow<'a, str>>,
    value: Option<f64>,
    value_currency: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metric<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default, rename = "service")]
    _service: Option<Cow<'a, str>>,
}

/// `POST event-bulk-create-jobs`
pub(super) fn create(
    call: &Call<'_>,
    options: &Options,
    ledger: &mut Ledger,
) -> Result<Response<Bytes>, Refusal> {
    call.query.allow(&[])?;
    call.check_size(MAX_BODY)?;
    let batch = read(call)?;
    let groups = &batch.groups.data;
    let count: usize = groups
        .iter()
        .map(|group| group.attributes.events.data.len())
        .sum();
    if count == 0 || count > MAX_EVENTS {
        let detail = format!("A batch takes from 1 to {MAX_EVENTS} events.");
        return Err(Fault::invalid(GROUPS, detail).into());
    }
    let mut check = Check {
        now: call.now,
        options,
        faults: Vec::new(),
        seen: HashSet::new(),
    };
    let mut events = Vec::with_capacity(count);
    for (g, group) in groups.iter().enumerate() {
        let identifiers = check.profile(g, group);
        for (e, event) in group.attributes.events.data.iter().enumerate() {
            let at = format!("{GROUPS}/{g}/attributes/events/data/{e}");
            if let Some(event) = check.event(ledger, &at, event, group, &identifiers) {
                events.push(event);
            }
        }
    }
    refuse_if_any(check.faults)?;
    for (key, event) in events {
        ledger.events.record(key, event);
    }
    ledger.note_write(Written::Events, call.now);
    Ok(accepted())
}

/// Whether an event is dropped after the 202, and nobody told: for what exceeds a documented limit that the request is not
/// refused for, and for addresses that are for tests only
/// (<https://developers.klaviyo.com/en/reference/events_api_overview#limitations>).
fn is_dropped(scan: &Scan, identifiers: &Identifiers, unique_id: Option<&str>) -> bool {
    let is_of_tests = |email: &str| {
        let domain = email.rsplit('@').next().unwrap_or_default();
        ["example.com", "test.com"].contains(&domain.to_lowercase().as_str())
    };
    scan.levels > MAX_LEVELS
        || scan.entries > MAX_ENTRIES
        || scan.has_large_integer
        || unique_id.is_some_and(|id| id.chars().count() > MAX_ID)
        || identifiers
            .email
            .as_deref()
            .is_some_and(|email| is_of_tests(email) || email.chars().count() >= MAX_EMAIL)
}

/// Reads a batch, or says what is wrong with its shape.
fn read<'a>(call: &Call<'a>) -> Result<Batch<'a>, Refusal> {
    let read: Result<Data<Resource<'a, Batch<'a>>>, _> = serde_json::from_slice(call.body);
    match read {
        Ok(job) if job.has_sound_types() => Ok(job.data.attributes),
        other => {
            refuse_if_any(shape::faults(&call.any_json()?, &bodies::EVENT_BATCH))?;
            let detail = other.err().map(|error| error.to_string());
            Err(Fault::invalid("/data", detail.unwrap_or_default()).into())
        }
    }
}

impl Data<Resource<'_, Batch<'_>>> {
    fn has_sound_types(&self) -> bool {
        self.data.r#type == "event-bulk-create-job"
            && self.data.attributes.groups.data.iter().all(|group| {
                group.r#type == "event-bulk-create"
                    && group.attributes.events.data.iter().all(|event| {
                        event.r#type == "event"
                            && event.attributes.metric.data.r#type == "metric"
                            && event.attributes.properties.get().starts_with('{')
                    })
            })
    }
}

/// What has been found out about a batch so far.
struct Check<'a> {
    now: Timestamp,
    options: &'a Options,
    faults: Vec<Fault>,
    seen: HashSet<EventKey>,
}

impl Check<'_> {
    fn fault(&mut self, at: &str, place: &str, detail: impl Into<String>) {
        self.faults
            .push(Fault::invalid(format!("{at}{place}"), detail));
    }

    /// The identifiers of a group's profile.
    fn profile(&mut self, g: usize, group: &Resource<'_, Group<'_>>) -> Identifiers {
        let at = format!("{GROUPS}/{g}/attributes/profile/data");
        let profile: Value = match serde_json::from_str(group.attributes.profile.data.get()) {
            Ok(profile) => profile,
            Err(error) => {
                self.fault(&at, "", format!("Invalid JSON: {error}"));
                return Identifiers::default();
            }
        };
        let faults = shape::faults(&profile, &bodies::EVENT_PROFILE);
        self.faults
            .extend(faults.into_iter().map(|fault| fault.under(&at)));
        let text = |value: &Value| {
            value
                .as_str()
                .filter(|text| !text.is_empty())
                .map(Box::from)
        };
        let attributes = &profile["attributes"];
        let identifiers = Identifiers {
            id: text(&profile["id"]),
            external_id: text(&attributes["external_id"]),
            email: text(&attributes["email"]),
            phone_number: text(&attributes["phone_number"]),
            anonymous_id: text(&attributes["anonymous_id"]),
        };
        if identifiers.identity().is_none() {
            self.fault(
                &at,
                "/attributes",
                "A profile needs at least one identifier.",
            );
        }
        if identifiers
            .email
            .as_deref()
            .is_some_and(|email| !is_email(email))
        {
            self.fault(&at, "/attributes/email", "Invalid email address.");
        }
        if identifiers
            .phone_number
            .as_deref()
            .is_some_and(|phone| !is_e164(phone))
        {
            let detail = "Invalid phone number: it has to be in E.164 format.";
            self.fault(&at, "/attributes/phone_number", detail);
        }
        identifiers
    }

    /// Checks one event; what is fit for the ledger comes back unless its key has been seen.
    fn event(
        &mut self,
        ledger: &mut Ledger,
        at: &str,
        event: &Resource<'_, NewEvent<'_>>,
        group: &Resource<'_, Group<'_>>,
        identifiers: &Identifiers,
    ) -> Option<(EventKey, Event)> {
        let event = &event.attributes;
        let metric = &event.metric.data.attributes.name;
        if metric.is_empty() {
            self.fault(
                at,
                "/attributes/metric/data/attributes/name",
                "The metric has no name.",
            );
        }
        let scan = self.properties(at, event.properties);
        let time = self.time(at, event.time.as_deref());
        if let Some(currency) = event.value_currency.as_deref()
            && !(currency.len() == 3 && currency.bytes().all(|c| c.is_ascii_uppercase()))
        {
            let detail = format!("'{currency}' is not an ISO 4217 currency code.");
            self.fault(at, "/attributes/value_currency", detail);
        }
        let unique_id = event.unique_id.as_deref().filter(|id| !id.is_empty());
        if let Some(id) = unique_id
            && self.options.refuse_events.picks(id)
        {
            let fault = Fault::invalid(at, "This event was chosen to be refused.");
            self.faults.push(fault.pointing(self.options.pointers));
        }
        let key = EventKey {
            metric: ledger.events.metric(metric),
            profile: identifiers.identity().unwrap_or_default().into(),
            unique_id: match unique_id {
                Some(id) => id.into(),
                None => time.as_second().to_string().into(),
            },
        };
        if !self.seen.insert(key.clone()) {
            let detail = "The batch has this event (metric, profile, unique_id) twice.";
            self.fault(at, "/attributes/unique_id", detail);
            return None;
        }
        if is_dropped(&scan, identifiers, unique_id) {
            ledger.events.drop_silently();
            return None;
        }
        let backfill = event
            .backfill
            .or(group.attributes.backfill)
            .unwrap_or(false);
        let event = Event {
            identifiers: identifiers.clone(),
            time,
            value: event.value,
            value_currency: event.value_currency.as_deref().map(Box::from),
            backfill,
            properties_digest: scan.digest,
            properties: self
                .options
                .keep_properties
                .then(|| event.properties.to_owned()),
            arrivals: 1,
            contradicted: false,
        };
        Some((key, event))
    }

    /// Checks the properties.
    fn properties(&mut self, at: &str, properties: &RawValue) -> Scan {
        const PLACE: &str = "/attributes/properties";
        match scan_properties(properties.get()) {
            Ok(scan) => {
                if scan.keys > MAX_PROPERTIES {
                    let detail = format!("An event may have {MAX_PROPERTIES} properties at most.");
                    self.fault(at, PLACE, detail);
                }
                if scan.longest > MAX_STRING {
                    let detail = format!("A string may have {MAX_STRING} bytes at most.");
                    self.fault(at, PLACE, detail);
                }
                scan
            }
            Err(error) => {
                self.fault(at, PLACE, format!("Invalid JSON: {error}"));
                Scan::default()
            }
        }
    }

    /// The event's time cut to the second: now where it has none.
    fn time(&mut self, at: &str, time: Option<&str>) -> Timestamp {
        const PLACE: &str = "/attributes/time";
        let second = |time: Timestamp| Timestamp::from_second(time.as_second()).unwrap_or(time);
        let Some(text) = time else {
            return second(self.now);
        };
        match text.parse::<Timestamp>() {
            Ok(time) => {
                let latest = self
                    .now
                    .saturating_add(LATEST_AHEAD_HOURS.hours())
                    .unwrap_or(self.now);
                if time.as_second() < EARLIEST || time > latest {
                    let detail = "The time has to be after 1990 and at most a year ahead.";
                    self.fault(at, PLACE, detail);
                }
                second(time)
            }
            Err(_) => {
                self.fault(at, PLACE, format!("'{text}' is not a date and time."));
                second(self.now)
            }
        }
    }
}
