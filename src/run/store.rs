//! The run document's place: a custom object, written with compare-and-set only.

use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::state::{Resource, RunDocument, SCHEMA};
use crate::commercetools::Client;
use crate::commercetools::custom_objects::Write;
use crate::error::{Action, Error, Kind};
use crate::ports::{Deadline, Ports};

/// The container of all our custom objects.
pub const CONTAINER: &str = "klaviyo-bulk-import";
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
}

/// What became of a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// It is stored.
    Done,
    /// Somebody else has written it since: whoever sees this stops.
    Lost,
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
    /// Where commercetools does not answer, and where the document is not one that this version can read.
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
        let Some(object) = found else { return Ok(None) };
        let (written, known) = object.value.schema();
        let name = format!("{CONTAINER}/{key}");
        let problem = if written != known {
            format!("{name} has schema {written}, this version of the app knows {known}")
        } else if object.value.key() != key || !object.value.is_sound() {
            format!("{name} is not as this version writes it")
        } else {
            return Ok(Some(Stored {
                document: object.value,
                version: object.version,
            }));
        };
        Err(Error::foreign("read the run document", problem))
    }

    /// Writes the document if nobody else has since `stored.version`; sets its version, time and write id.
    ///
    /// # Errors
    /// Where commercetools does not answer or refuses. Whether the write took effect is known only where there is an
    /// answer: one that gets lost is looked up by the write id before it is tried again.
    pub async fn save<D: Persisted>(
        &self,
        stored: &mut Stored<D>,
        deadline: Deadline,
    ) -> Result<Saved, Error> {
        stored.document.stamp(
            self.client.server_now(),
            format!("{:016x}", fastrand::u64(..)),
        );
        let key = stored.document.key();
        let mut attempts = 0;
        let mut answer_lost = false;
        loop {
            attempts += 1;
            let written = self
                .client
                .write_custom_object(CONTAINER, key, &stored.document, stored.version, deadline)
                .await;
            let may_be_ours = match written {
                Ok(Write::Done { version }) => {
                    stored.version = version;
                    return Ok(Saved::Done);
                }
                // a conflict after a try whose answer was lost may be with our own write
                Ok(Write::Conflict) if !answer_lost => return Ok(Saved::Lost),
                Ok(Write::Conflict) => None,
                Err(error) if is_ambiguous(&error) => Some(error),
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
            answer_lost = true;
            let found = self.load_key::<D>(key, deadline).await?;
            match (found, may_be_ours) {
                (Some(found), _) if found.document.write_id() == stored.document.write_id() => {
                    stored.version = found.version;
                    return Ok(Saved::Done);
                }
                (Some(found), Some(_))
                    if found.version == stored.version && attempts < WRITE_ATTEMPTS => {}
                (None, Some(_)) if stored.version == 0 && attempts < WRITE_ATTEMPTS => {}
                (Some(found), Some(error)) if found.version == stored.version => return Err(error),
                (None, Some(error)) if stored.version == 0 => return Err(error),
                _ => return Ok(Saved::Lost),
            }
        }
    }
}

/// Whether the write may have taken effect although there is no answer that says so.
fn is_ambiguous(error: &Error) -> bool {
    match &error.kind {
        Kind::Transport(_) | Kind::Unreadable(_) => true,
        Kind::Refused(refusal) => refusal.status >= 500,
        Kind::Foreign(_) => false,
    }
}
