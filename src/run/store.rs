//! The run document's place: a custom object, written with compare-and-set only.

use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::state::{Resource, RunDocument, SCHEMA};
use crate::commercetools::Client;
use crate::commercetools::custom_objects::WriteOutcome;
use crate::error::{Action, Error, Kind};
use crate::ports::Ports;
use crate::time::Deadline;

/// The container of all our custom objects.
pub const CONTAINER: &str = "klaviyo-bulk-import";
/// Tries of an update against others who write at the same time.
const UPDATE_ATTEMPTS: usize = 10;
/// Tries of a write whose answer does not come.
const WRITE_ATTEMPTS: usize = 3;
/// How long to wait after a 429 that does not say.
const UNSAID_WAIT: Duration = Duration::from_secs(1);

/// What is kept in a custom object of its own.
pub trait Persisted: Serialize + DeserializeOwned {
    /// The custom object's key.
    fn key(&self) -> &'static str;
    /// The schema that the document has, and the one that this version of the app knows.
    fn schema(&self) -> (u32, u32);
    /// Names the last write.
    fn write_id(&self) -> &str;
    /// Whether it can be one of ours, as far as its shape does not say so.
    fn is_sound(&self) -> bool {
        true
    }
    /// Forgets moments of the future that cannot be meant. `now` is commercetools' time.
    fn forget_impossible_moments(&mut self, _now: Timestamp) {}
    /// Notes a write that is about to be made.
    fn stamp(&mut self, now: Timestamp, write_id: String);
}

impl Persisted for RunDocument {
    fn key(&self) -> &'static str {
        self.resource.name()
    }

    fn schema(&self) -> (u32, u32) {
        (self.schema, SCHEMA)
    }

    fn write_id(&self) -> &str {
        &self.write_id
    }

    fn is_sound(&self) -> bool {
        self.is_sound()
    }

    fn forget_impossible_moments(&mut self, now: Timestamp) {
        self.forget_impossible_moments(now);
    }

    fn stamp(&mut self, now: Timestamp, write_id: String) {
        self.updated_at = now;
        self.write_id = write_id;
    }
}

/// A document with the version that it has in commercetools.
#[derive(Debug, Clone)]
pub struct Stored<D = RunDocument> {
    /// The document.
    pub document: D,
    /// Its version; 0 where it is not stored yet.
    pub version: u64,
    /// Names of writes of this document of which it is not known whether they took effect.
    pub unsure: Vec<String>,
}

impl<D> Stored<D> {
    /// A document that has this version.
    #[must_use]
    pub fn new(document: D, version: u64) -> Self {
        Self {
            document,
            version,
            unsure: Vec::new(),
        }
    }
}

/// What became of a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// It is stored.
    Done,
    /// Somebody else has written it since: whoever sees this stops.
    Lost,
}

/// What became of an update.
#[derive(Debug)]
pub enum Updated<D = RunDocument> {
    /// It is stored.
    Done(Stored<D>),
    /// There is no document, or none that was to be changed.
    Refused(Option<Stored<D>>),
    /// Others wrote it each time; nothing is changed.
    Contended,
}

/// Reads and writes run documents, and the plan.
#[derive(Clone)]
pub struct Store {
    ports: Ports,
    client: Rc<Client>,
}

impl Store {
    /// A store in the client's project.
    #[must_use]
    pub fn new(ports: Ports, client: Rc<Client>) -> Self {
        Self { ports, client }
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
            .custom_object::<D>(CONTAINER, key, deadline)
            .await?;
        let Some(mut object) = found else {
            return Ok(None);
        };
        let (written, known) = object.value.schema();
        let name = format!("{CONTAINER}/{key}");
        let problem = if written != known {
            format!("{name} has schema {written}, this version of the app knows {known}")
        } else if object.value.key() != key || !object.value.is_sound() {
            format!("{name} is not as this version writes it")
        } else {
            object
                .value
                .forget_impossible_moments(self.client.server_now());
            return Ok(Some(Stored::new(object.value, object.version)));
        };
        Err(Error::unreadable_document("read the run document", problem))
    }

    /// Writes the document if nobody else has since `stored.version`; sets its version, time and write id.
    ///
    /// # Errors
    /// Where commercetools does not answer or refuses. Whether the write took effect is known only where there is an
    /// answer: one that gets lost is looked up by the write id before it is tried again, and where even that is not
    /// answered, the next save finds out.
    pub async fn save<D: Persisted>(
        &self,
        stored: &mut Stored<D>,
        deadline: Deadline,
    ) -> Result<Saved, Error> {
        stored.document.stamp(
            self.client.server_now(),
            format!("{:016x}", fastrand::u64(..)),
        );
        let mut attempts = 0;
        loop {
            attempts += 1;
            let key = stored.document.key();
            let written = self
                .client
                .write_custom_object(CONTAINER, key, &stored.document, stored.version, deadline)
                .await;
            let error = match written {
                Ok(WriteOutcome::Done { version }) => {
                    stored.version = version;
                    stored.unsure.clear();
                    return Ok(Saved::Done);
                }
                // it may be with a write of our own whose answer was lost
                Ok(WriteOutcome::Conflict) if stored.unsure.is_empty() => return Ok(Saved::Lost),
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

    /// Reads the document with this key, changes it and writes it, again and again where others write at the same time.
    /// `change` says whether the document is to be changed as it stands.
    ///
    /// # Errors
    /// As [`Store::load`] and [`Store::save`].
    pub async fn update<D: Persisted>(
        &self,
        key: &str,
        deadline: Deadline,
        mut change: impl FnMut(&mut D) -> bool,
    ) -> Result<Updated<D>, Error> {
        for _ in 0..UPDATE_ATTEMPTS {
            let Some(mut stored) = self.load_key::<D>(key, deadline).await? else {
                return Ok(Updated::Refused(None));
            };
            if !change(&mut stored.document) {
                return Ok(Updated::Refused(Some(stored)));
            }
            if self.save(&mut stored, deadline).await? == Saved::Done {
                return Ok(Updated::Done(stored));
            }
        }
        Ok(Updated::Contended)
    }

    /// Finds out which write took effect, and takes over the version that it made.
    async fn look_up<D: Persisted>(
        &self,
        stored: &mut Stored<D>,
        deadline: Deadline,
    ) -> Result<Written, Error> {
        let found = self.load_key::<D>(stored.document.key(), deadline).await?;
        let version = found.as_ref().map_or(0, |found| found.version);
        if version == stored.version {
            return Ok(Written::Nothing);
        }
        let Some(found) = found else {
            return Ok(Written::ByOthers);
        };
        let write_id = found.document.write_id();
        if write_id == stored.document.write_id() {
            stored.version = version;
            stored.unsure.clear();
            return Ok(Written::This);
        }
        if stored.unsure.iter().any(|unsure| unsure == write_id) {
            stored.version = version;
            return Ok(Written::Earlier);
        }
        Ok(Written::ByOthers)
    }
}

/// The last write that took effect.
enum Written {
    /// The one that is being made.
    This,
    /// An earlier one of ours, whose answer was lost.
    Earlier,
    /// None since the version that is known.
    Nothing,
    /// Somebody else's.
    ByOthers,
}

/// Whether the write may have taken effect although no response says so.
fn is_ambiguous(error: &Error) -> bool {
    match &error.kind {
        Kind::Transport(_) | Kind::Unreadable(_) => true,
        Kind::Refused(refusal) => refusal.status >= 500,
        Kind::UnreadableDocument(_) | Kind::EverythingRefused(_) => false,
    }
}
