//! What can be stored: what the store has to know of a document.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::run::state::{Destination, OLDEST_SCHEMA, RunDocument, SCHEMA};

/// What is kept in a custom object of its own.
pub trait Persisted: Serialize + DeserializeOwned {
    /// The custom object's key.
    fn key(&self) -> &'static str;
    /// The schema that the document has.
    fn schema(&self) -> u32;
    /// The schemas that this version of the app reads. It writes the last of them.
    fn readable() -> RangeInclusive<u32>;
    /// Brings a document of an earlier schema to the one that is written.
    fn upgrade(&mut self);
    /// Names the last write.
    fn write_id(&self) -> &str;
    /// The id of the custom object that the last writer took the document to be in; `None` where it was created by that
    /// write.
    fn object_id(&self) -> Option<&str>;
    /// The Klaviyo account that it names.
    fn destination(&self) -> Option<&Destination>;
    /// Whether it can be one of ours, as far as its shape does not say so.
    fn is_sound(&self) -> bool {
        true
    }
    /// Forgets moments of the future that cannot be meant. `now` is commercetools' time.
    fn forget_impossible_moments(&mut self, _now: Timestamp) {}
    /// Ends what the document tells of: it was written by somebody whose own document has been deleted.
    fn disown(&mut self);
    /// Notes a write that is about to be made.
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
        self.schema = SCHEMA;
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
