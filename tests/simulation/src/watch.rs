//! What must hold at every moment of a history, looked at call by call.

use std::cell::RefCell;
use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use klaviyo_bulk_import::run::state::{MAX_SET_ASIDE, Resource, RunDocument, SCHEMA};
use native::CONTAINER;
use native::environment::Destination;
use serde_json::Value;

use crate::world::World;

/// What has been seen.
#[derive(Default)]
pub(crate) struct Watch {
    /// Which instance each holder of a lease is.
    holders: RefCell<BTreeMap<String, u64>>,
    /// Runs and plans of which nothing may be sent any more, and since when: their stop has been answered.
    stopped: RefCell<BTreeMap<String, Timestamp>>,
    violations: RefCell<Vec<String>>,
}

impl Watch {
    /// What did not hold.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.violations.borrow().clone()
    }

    pub(crate) fn violation(&self, text: String) {
        self.violations.borrow_mut().push(text);
    }

    /// Whether this instance has the lease with this holder.
    pub(crate) fn is_holder(&self, holder: &str, instance: u64) -> bool {
        self.instance_of(holder) == Some(instance)
    }

    /// The instance that has the lease with this holder.
    pub(crate) fn instance_of(&self, holder: &str) -> Option<u64> {
        self.holders.borrow().get(holder).copied()
    }
}

/// What a run must not fail for: an API that is away comes back.
const OUTAGES: [&str; 4] = [
    "no response in time",
    "connection failed",
    "status 5",
    "status 429",
];

fn is_graphql(request: &Request<Bytes>) -> bool {
    request.uri().path().ends_with("/graphql")
}

/// The resource whose import a write to Klaviyo belongs to.
fn written(request: &Request<Bytes>) -> Option<Resource> {
    if request.method() != Method::POST {
        return None;
    }
    let path = request.uri().path().strip_prefix("/api/")?;
    [
        ("profile-bulk-import-jobs", Resource::Customers),
        ("event-bulk-create-jobs", Resource::Orders),
        ("catalog-category-bulk-", Resource::Categories),
        ("catalog-categories", Resource::Products),
        ("catalog-item-bulk-", Resource::Products),
        ("catalog-variant-bulk-", Resource::Products),
    ]
    .into_iter()
    .find_map(|(prefix, resource)| path.starts_with(prefix).then_some(resource))
}

impl World {
    /// An instance sends a call. Returns the ids of the run and the plan whose documents it carries, if it does.
    pub(crate) fn watch_call(
        &self,
        instance: u64,
        to: Destination,
        request: &Request<Bytes>,
    ) -> Vec<String> {
        if request.uri().to_string().ends_with("/custom-objects") {
            let draft: Value = serde_json::from_slice(request.body()).unwrap_or_default();
            if let Some(holder) = draft["value"]["lease"]["holder"].as_str() {
                let mut holders = self.watch.holders.borrow_mut();
                holders.entry(holder.to_owned()).or_insert(instance);
            }
        }
        let is_write = request.method() != Method::GET && !request.uri().path().ends_with("/token");
        if self.others.borrow().contains(&instance) && is_write && !is_graphql(request) {
            let what = format!("{} {}", request.method(), request.uri().path());
            self.watch
                .violation(format!("i{instance}, another deployment's, sends {what}"));
        }
        if to == Destination::Klaviyo
            && let Some(resource) = written(request)
        {
            if request.uri().path().ends_with("variant-bulk-delete-jobs") {
                self.watch_deletion(instance);
            }
            return self.watch_write(instance, resource);
        }
        Vec::new()
    }

    /// A call with documents arrives: nothing does after a stop of its run has been answered.
    pub(crate) fn watch_arrival(&self, instance: u64, what: &str, sent: &[String]) {
        let stopped = self.watch.stopped.borrow();
        for (id, since) in sent.iter().filter_map(|id| stopped.get_key_value(id)) {
            self.watch.violation(format!(
                "{what} of i{instance} arrives at {}, although the stop of {id} was answered at {since}",
                self.now()
            ));
        }
    }

    /// A run has failed: not because an API was away.
    pub(crate) fn watch_failure(&self, status: &Value) {
        let message = status["lastError"]["message"].as_str().unwrap_or_default();
        if OUTAGES.iter().any(|outage| message.contains(outage)) {
            self.watch
                .violation(format!("a run has failed for an outage: {message}"));
        }
    }

    /// Only the holder of the lease sends, and nobody does after a stop has been answered.
    fn watch_write(&self, instance: u64, resource: Resource) -> Vec<String> {
        let now = self.now();
        let project = self.project.borrow();
        let object = project.custom_object(CONTAINER, resource.name());
        let document = object.map(|object| &object.value).unwrap_or(&Value::Null);
        // who works on a run whose document is gone knows it when it saves; what it saves does not count
        let is_strange = object.is_some_and(|object| {
            let meant = document["objectId"].as_str();
            meant.is_some_and(|meant| meant != object.id.to_string())
        });
        if is_strange || self.is_orphaned(instance, now) {
            return Vec::new();
        }
        let ids = [&document["runId"], &document["plan"]];
        let ids = ids.into_iter().filter_map(Value::as_str);
        let ids: Vec<String> = ids.map(str::to_owned).collect();
        for id in &ids {
            if let Some(since) = self.watch.stopped.borrow().get(id) {
                self.watch.violation(format!(
                    "i{instance} sends {resource} at {now}, although the stop of {id} was answered at {since}"
                ));
            }
        }
        let lease = &document["lease"];
        let holder = lease["holder"].as_str().unwrap_or_default();
        let is_holder = self.watch.holders.borrow().get(holder) == Some(&instance);
        let until = lease["until"]
            .as_str()
            .and_then(|until| until.parse::<Timestamp>().ok());
        if !is_holder || until.is_none_or(|until| now > until) {
            self.watch.violation(format!(
                "i{instance} sends {resource} at {now} without their lease, which is {lease}"
            ));
        }
        ids
    }

    /// commercetools has answered a call: what it has stored is sound.
    pub(crate) fn watch_stored(&self, request: &Request<Bytes>, response: &Response<Bytes>) {
        let is_write = request.method() == Method::POST
            && request.uri().path().ends_with("/custom-objects")
            && response.status().is_success();
        if !is_write {
            return;
        }
        let object: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        let key = object["key"].as_str().unwrap_or_default();
        if Resource::named(key).is_none() {
            return;
        }
        self.watch_up_to_date(&object["value"]);
        self.watch_dead_windows(key, &object["value"]);
        match serde_json::from_value::<RunDocument>(object["value"].clone()) {
            Err(error) => self
                .watch
                .violation(format!("{key}: not a run document: {error}")),
            Ok(document) => {
                let variants = document.variants.clone().unwrap_or_default();
                if !document.counts.add_up() || !variants.add_up() {
                    let counts = (&document.counts, variants);
                    self.watch
                        .violation(format!("{key}: counts do not add up: {counts:?}"));
                }
                let is_bounded = document.set_aside.len() <= MAX_SET_ASIDE;
                if document.schema != SCHEMA || !is_bounded || document.resource.name() != key {
                    self.watch.violation(format!("{key}: not a sound document"));
                }
            }
        }
    }

    /// The app has answered a call.
    pub(crate) fn watch_answer(&self, what: &str, response: &Response<Bytes>) {
        self.watch_deleted(what, response);
        let Some(path) = what.strip_prefix("POST /sync") else {
            return;
        };
        let Some(resource) = path.strip_suffix("/stop") else {
            return;
        };
        if response.status() != StatusCode::OK {
            return;
        }
        let answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        let runs = match resource {
            "" => answer["runs"]
                .as_object()
                .map_or(Vec::new(), |runs| runs.values().collect()),
            _ => vec![&answer],
        };
        let runs = runs.into_iter().map(|run| &run["runId"]);
        let ids = runs.chain([&answer["plan"]["planId"]]);
        for id in ids.filter_map(Value::as_str) {
            let mut stopped = self.watch.stopped.borrow_mut();
            stopped.insert(id.to_owned(), self.now());
        }
    }
}
