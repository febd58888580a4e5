//! What the store has to know of a document.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::run::state::{
    Destination, FAILED_RECORDS_SCHEMA, FailedRecords, OLDEST_SCHEMA, Resource, RunDocument, SCHEMA,
};

/// A document that is stored in a custom object of its own.
pub trait Persisted: Serialize + DeserializeOwned {
    /// The custom object's key.
    fn key(&self) -> &'static str;
    /// The schema that the document has.
    fn schema(&self) -> u32;
    /// The schemas that this version of the app reads. It writes the last of them.
    fn readable() -> RangeInclusive<u32>;
    /// Converts a document of an earlier schema to the current one.
    fn upgrade(&mut self);
    /// Names the last write.
    fn write_id(&self) -> &str;
    /// The id of the custom object that the last write was meant for; `None` if that write created it.
    fn object_id(&self) -> Option<&str>;
    /// The Klaviyo account that it names.
    fn destination(&self) -> Option<&Destination>;
    /// Whether its values are possible, beyond what its types say.
    fn is_sound(&self) -> bool {
        true
    }
    /// Removes timestamps so far in the future that no run writes them. `now` is commercetools' time.
    fn forget_impossible_moments(&mut self, _now: Timestamp) {}
    /// Ends the run or plan of the document: it was written by an invocation whose own document has been deleted.
    fn disown(&mut self);
    /// Sets the members that change with every write.
    fn stamp(&mut self, now: Timestamp, write_id: String, object_id: Option<String>);
}

impl Persisted for RunDocument {
    fn key(&self) -> &'static str {
        self.resource.name()
    }

    fn schema(&self) -> u32 {
        self.schema
    }

    fn readable() -> RangeInclusive<u32> {
        OLDEST_SCHEMA..=SCHEMA
    }

    fn upgrade(&mut self) {
        self.upgrade();
    }

    fn write_id(&self) -> &str {
        &self.write_id
    }

    fn object_id(&self) -> Option<&str> {
        self.object_id.as_deref()
    }

    fn destination(&self) -> Option<&Destination> {
        self.destination.as_ref()
    }

    fn is_sound(&self) -> bool {
        self.is_sound()
    }

    fn forget_impossible_moments(&mut self, now: Timestamp) {
        self.forget_impossible_moments(now);
    }

    fn disown(&mut self) {
        self.disown();
    }

    fn stamp(&mut self, now: Timestamp, write_id: String, object_id: Option<String>) {
        self.updated_at = now;
        self.write_id = write_id;
        self.object_id = object_id;
    }
}

impl Persisted for FailedRecords {
    fn key(&self) -> &'static str {
        failed_records_key(self.resource)
    }

    fn schema(&self) -> u32 {
        self.schema
    }

    fn readable() -> RangeInclusive<u32> {
        FAILED_RECORDS_SCHEMA..=FAILED_RECORDS_SCHEMA
    }

    fn upgrade(&mut self) {}

    fn write_id(&self) -> &str {
        &self.write_id
    }

    fn object_id(&self) -> Option<&str> {
        self.object_id.as_deref()
    }

    fn destination(&self) -> Option<&Destination> {
        None
    }

    fn is_sound(&self) -> bool {
        self.is_sound()
    }

    /// What somebody else knew of failed records is so all the same.
    fn disown(&mut self) {}

    fn stamp(&mut self, now: Timestamp, write_id: String, object_id: Option<String>) {
        self.updated_at = now;
        self.write_id = write_id;
        self.object_id = object_id;
    }
}

/// The key of the custom object with the failed records of a resource.
pub(super) fn failed_records_key(resource: Resource) -> &'static str {
    match resource {
        Resource::Customers => "customers-failures",
        Resource::Orders => "orders-failures",
        Resource::Categories => "categories-failures",
        Resource::Products => "products-failures",
    }
}
