//! What must hold at every moment of a history, looked at call by call.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request, Response};
use jiff::Timestamp;
use klaviyo_bulk_import::run::state::{MAX_SET_ASIDE, Resource, RunDocument, SCHEMA};
use klaviyo_bulk_import::run::store::CONTAINER;
use serde_json::Value;

use crate::world::{KLAVIYO, World};

/// What has been seen.
#[derive(Default)]
pub(crate) struct Watch {
    /// Which instance each holder of a lease is.
    holders: RefCell<BTreeMap<String, u64>>,
    /// Since when nothing of a resource may be sent any more: its stop has been answered.
    quiet: RefCell<BTreeMap<Resource, Timestamp>>,
    /// Starts that may still arrive.
    pub(crate) starts_under_way: Cell<u32>,
    violations: RefCell<Vec<String>>,
}

impl Watch {
    /// What did not hold.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.violations.borrow().clone()
    }

    fn violation(&self, text: String) {
        self.violations.borrow_mut().push(text);
    }

    /// Somebody starts imports: they may send from now on.
    pub(crate) fn allow_all(&self) {
        self.quiet.borrow_mut().clear();
    }
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
        ("catalog-item-bulk-", Resource::Products),
        ("catalog-variant-bulk-", Resource::Products),
    ]
    .into_iter()
    .find_map(|(prefix, resource)| path.starts_with(prefix).then_some(resource))
}

impl World {
    /// An instance sends a call.
    pub(crate) fn watch_call(&self, instance: u64, request: &Request<Bytes>) {
        let url = request.uri().to_string();
        if url.ends_with("/custom-objects") {
            let draft: Value = serde_json::from_slice(request.body()).unwrap_or_default();
            if let Some(holder) = draft["value"]["lease"]["holder"].as_str() {
                let mut holders = self.watch.holders.borrow_mut();
                holders.entry(holder.to_owned()).or_insert(instance);
            }
        }
        if !url.starts_with(KLAVIYO) {
            return;
        }
        if let Some(resource) = written(request) {
            self.watch_write(instance, resource);
        }
    }

    /// Only the holder of the lease sends, and nobody does after a stop has been answered.
    fn watch_write(&self, instance: u64, resource: Resource) {
        let now = self.now();
        if let Some(since) = self.watch.quiet.borrow().get(&resource) {
            self.watch.violation(format!(
                "i{instance} sends {resource} at {now}, although their stop was answered at {since}"
            ));
        }
        let project = self.project.borrow();
        let lease = project
            .custom_object(CONTAINER, resource.name())
            .map(|object| object.value["lease"].clone())
            .unwrap_or_default();
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
        let Some(path) = what.strip_prefix("POST /sync") else {
            return;
        };
        if self.watch.starts_under_way.get() > 0 || response.status().as_u16() != 200 {
            return;
        }
        let stopped: Vec<Resource> = match path.strip_suffix("/stop") {
            Some("") => {
                let answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
                let runs = answer["runs"].as_object().into_iter().flatten();
                runs.filter_map(|(name, _)| Resource::named(name)).collect()
            }
            Some(name) => Resource::named(name.trim_start_matches('/'))
                .into_iter()
                .collect(),
            None => Vec::new(),
        };
        for resource in stopped {
            self.watch.quiet.borrow_mut().insert(resource, self.now());
        }
    }
}
