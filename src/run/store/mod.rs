//! Stores documents in custom objects, written with compare-and-set only.
//!
//! A write names the version that it replaces, and commercetools rejects it if another version is stored. That does not
//! say who wrote that version, nor whether it is the same object:
//!
//! - A write whose response was lost, or that arrived twice, is rejected although it took effect. So after a rejection
//!   the document is looked up, and a write of one's own is recognized by its write id.
//! - If a document is deleted and created again, its versions start again, and a write to an object that does not exist
//!   creates it. So the object's id is compared with the one that was read, and each document contains the id of the
//!   object that its writer wrote to. If that is another id, the document was written by an invocation whose own
//!   document has been deleted.

mod failed_records;
mod persisted;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::value::RawValue;

use super::state::{Resource, RunDocument};
use crate::commercetools::Client;
use crate::commercetools::custom_objects::{CustomObject, WriteOutcome};
use crate::config::DEFAULT_CONTAINER;
use crate::error::{Action, Error, Kind};
use crate::ports::Ports;
use crate::time::Deadline;

pub use self::persisted::Persisted;

/// The container of all our custom objects, if the configuration names no other.
pub const CONTAINER: &str = DEFAULT_CONTAINER;
/// Attempts of a write whose response does not come.
const WRITE_ATTEMPTS: usize = 3;
/// The version of a custom object that has just been created.
const FIRST_VERSION: u64 = 1;
/// The wait after a 429 without `Retry-After`.
const UNSAID_WAIT: Duration = Duration::from_secs(1);

/// A document with the version that it has in commercetools.
#[derive(Debug, Clone)]
pub struct Stored<D = RunDocument> {
    /// The document.
    pub document: D,
    /// The id of its custom object; `None` if it is not stored yet.
    pub id: Option<String>,
    /// Its version; 0 if it is not stored yet.
    pub version: u64,
    /// Write ids of writes of this document that may have taken effect.
    pub unsure: Vec<String>,
}

impl<D> Stored<D> {
    /// A document that is to be created.
    #[must_use]
    pub fn new(document: D) -> Self {
        Self {
            document,
            id: None,
            version: 0,
            unsure: Vec::new(),
        }
    }

    /// A document that is to replace a known one, if there is one.
    #[must_use]
    pub fn over(known: Option<&Self>, document: D) -> Self {
        Self {
            id: known.and_then(|known| known.id.clone()),
            version: known.map_or(0, |known| known.version),
            ..Self::new(document)
        }
    }

    /// A write has taken effect.
    fn written(&mut self, id: String, version: u64) {
        self.id = Some(id);
        self.version = version;
        self.unsure.clear();
    }
}

type Found = BTreeMap<String, CustomObject<Box<RawValue>>>;

/// The documents of all resources, in their order, and the plan.
#[derive(Debug)]
pub struct Overview<P> {
    /// The documents of [`Resource::ALL`]; `None` if there is none.
    pub runs: Vec<Option<RunDocument>>,
    /// The plan.
    pub plan: Option<P>,
}

/// The outcome of a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// It is stored.
    Done,
    /// Another invocation has written it since: the caller has to stop.
    Lost,
}

/// Reads and writes run documents, and the plan.
#[derive(Clone)]
pub struct Store {
    ports: Ports,
    client: Rc<Client>,
    container: Rc<str>,
}

impl Store {
    /// A store in this container of the client's project.
    #[must_use]
    pub fn new(ports: Ports, client: Rc<Client>, container: String) -> Self {
        Self {
            ports,
            client,
            container: container.into(),
        }
    }

    /// The container of the documents.
    #[must_use]
    pub fn container(&self) -> &str {
        &self.container
    }

    /// Reads the document of a resource.
    ///
    /// # Errors
    /// If commercetools does not respond, and if this version cannot read the document.
    pub async fn load(
        &self,
        resource: Resource,
        deadline: Deadline,
    ) -> Result<Option<Stored>, Error> {
        self.load_key(resource.name(), deadline).await
    }

    /// Reads the document with this key.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub async fn load_key<D: Persisted>(
        &self,
        key: &str,
        deadline: Deadline,
    ) -> Result<Option<Stored<D>>, Error> {
        let found = self
            .client
            .custom_object::<D>(&self.container, key, deadline)
            .await?;
        found.map(|object| self.read(key, object)).transpose()
    }

    /// Reads the documents of all resources and the plan, in one request.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub async fn load_all<P: Persisted>(
        &self,
        plan_key: &str,
        deadline: Deadline,
    ) -> Result<Overview<P>, Error> {
        let keys: Vec<&str> = Resource::ALL
            .iter()
            .map(|resource| resource.name())
            .collect();
        let keys = [&keys[..], &[plan_key]].concat();
        let found = self.client.custom_objects(&self.container, &keys, deadline);
        let mut found = found.await?;
        let mut runs = Vec::new();
        for resource in Resource::ALL {
            runs.push(self.take(&mut found, resource.name())?);
        }
        Ok(Overview {
            runs,
            plan: self.take(&mut found, plan_key)?,
        })
    }

    fn take<D: Persisted>(&self, found: &mut Found, key: &str) -> Result<Option<D>, Error> {
        let Some(object) = found.remove(key) else {
            return Ok(None);
        };
        let object = object.parse(&self.container, key)?;
        Ok(Some(self.read(key, object)?.document))
    }

    /// Checks a document, and converts it to what this version writes.
    fn read<D: Persisted>(
        &self,
        key: &str,
        mut object: CustomObject<D>,
    ) -> Result<Stored<D>, Error> {
        let (written, readable) = (object.value.schema(), D::readable());
        let name = format!("{}/{key}", self.container);
        let problem = if !readable.contains(&written) {
            let (first, last) = (readable.start(), readable.end());
            format!("{name} has schema {written}, this version of the app knows {first} to {last}")
        } else if object.value.key() != key || !object.value.is_sound() {
            format!("{name} is not as this version writes it")
        } else {
            let now = self.client.server_now();
            object.value.upgrade();
            object.value.forget_impossible_moments(now);
            if is_strange(&object.value, &object.id) {
                object.value.disown();
            }
            return Ok(Stored {
                document: object.value,
                id: Some(object.id),
                version: object.version,
                unsure: Vec::new(),
            });
        };
        Err(Error::unreadable_document("read the run document", problem))
    }

    /// Writes the document if no other invocation has written it since `stored.version`; sets its id, version, time and
    /// write id.
    ///
    /// # Errors
    /// If commercetools does not respond or rejects the request. Without a response it is not known whether the write
    /// took effect: then the document is looked up before the write is retried, and if the look-up fails too, the next
    /// save finds out.
    pub async fn save<D: Persisted>(
        &self,
        stored: &mut Stored<D>,
        deadline: Deadline,
    ) -> Result<Saved, Error> {
        stored.document.stamp(
            self.client.server_now(),
            format!("{:016x}", fastrand::u64(..)),
            stored.id.clone(),
        );
        let mut attempts = 0;
        loop {
            attempts += 1;
            let key = stored.document.key();
            let written = self
                .client
                .write_custom_object(
                    &self.container,
                    key,
                    &stored.document,
                    stored.version,
                    deadline,
                )
                .await;
            let error = match written {
                Ok(WriteOutcome::Done { id, version }) if is_same(stored, &id) => {
                    stored.written(id, version);
                    return Ok(Saved::Done);
                }
                Ok(WriteOutcome::Done { version, .. }) => {
                    self.withdraw(key, version, deadline).await;
                    return Ok(Saved::Lost);
                }
                // the conflict may be with a write of our own, this one included
                Ok(WriteOutcome::Conflict) => None,
                Err(error) if is_ambiguous(&error) => {
                    stored.unsure.push(stored.document.write_id().to_owned());
                    Some(error)
                }
                Err(error) if error.action() == Action::Wait && attempts < WRITE_ATTEMPTS => {
                    let wait = error
                        .refusal()
                        .and_then(|refusal| refusal.retry_after)
                        .unwrap_or(UNSAID_WAIT);
                    self.ports
                        .clock
                        .sleep(wait.min(deadline.remaining(&*self.ports.clock)))
                        .await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            match self.look_up(stored, deadline).await? {
                Written::This => return Ok(Saved::Done),
                Written::ByOthers => return Ok(Saved::Lost),
                Written::Earlier | Written::Nothing if attempts < WRITE_ATTEMPTS => {}
                Written::Earlier | Written::Nothing => {
                    return error.map_or(Ok(Saved::Lost), Err);
                }
            }
        }
    }

    /// Finds out which write took effect, and sets the version that it made.
    async fn look_up<D: Persisted>(
        &self,
        stored: &mut Stored<D>,
        deadline: Deadline,
    ) -> Result<Written, Error> {
        let key = stored.document.key();
        let found = self.load_key::<D>(key, deadline).await?;
        let Some(Stored {
            document,
            id: Some(id),
            version,
            ..
        }) = found
        else {
            return Ok(match stored.version {
                0 => Written::Nothing,
                _ => Written::ByOthers,
            });
        };
        let is_this = document.write_id() == stored.document.write_id();
        if !is_same(stored, &id) {
            if is_this {
                self.withdraw(key, version, deadline).await;
            }
            return Ok(Written::ByOthers);
        }
        if version == stored.version {
            return Ok(Written::Nothing);
        }
        if is_this {
            stored.written(id, version);
            return Ok(Written::This);
        }
        let is_earlier = stored
            .unsure
            .iter()
            .any(|unsure| unsure == document.write_id());
        // a write by an invocation whose own document has been deleted does not count
        if is_earlier || is_strange(&document, &id) {
            stored.version = version;
            return Ok(Written::Earlier);
        }
        Ok(Written::ByOthers)
    }

    /// Deletes a document that a write has created although it was meant for one that has been deleted. If that fails,
    /// a reader recognizes the document by its object id.
    async fn withdraw(&self, key: &str, version: u64, deadline: Deadline) {
        if version == FIRST_VERSION {
            let deleted = self
                .client
                .delete_custom_object(&self.container, key, version, deadline);
            _ = deleted.await;
        }
    }
}

/// The last write that took effect.
enum Written {
    /// The one that is being made.
    This,
    /// One that may be replaced: an earlier one of ours, whose response was lost.
    Earlier,
    /// None since the version that is known.
    Nothing,
    /// Another invocation's.
    ByOthers,
}

/// Whether this is the object that the document is known to be in; any object is if it is not stored yet.
fn is_same<D>(stored: &Stored<D>, id: &str) -> bool {
    stored.id.as_deref().is_none_or(|known| known == id)
}

/// Whether the document in this object was meant for another.
fn is_strange<D: Persisted>(document: &D, id: &str) -> bool {
    document.object_id().is_some_and(|meant| meant != id)
}

/// Whether the write may have taken effect although no response says so.
fn is_ambiguous(error: &Error) -> bool {
    match &error.kind {
        Kind::Transport(_) | Kind::Unreadable(_) => true,
        Kind::Refused(refusal) => refusal.status >= 500,
        Kind::UnreadableDocument(_) | Kind::Contended(_) | Kind::EverythingRefused(_) => false,
    }
}
