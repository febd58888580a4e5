//! The run document's place: a custom object, written with compare-and-set only.

use std::rc::Rc;
use std::time::Duration;

use super::state::{Resource, RunDocument, SCHEMA};
use crate::commercetools::Client;
use crate::commercetools::custom_objects::Write;
use crate::error::{Action, Error, Kind, Peer};
use crate::ports::{Deadline, Ports};

/// The container of all our custom objects.
pub const CONTAINER: &str = "klaviyo-bulk-import";
/// Tries of a write whose answer does not come.
const WRITE_ATTEMPTS: usize = 3;
/// How long to wait after a 429 that does not say.
const UNSAID_WAIT: Duration = Duration::from_secs(1);

/// A document with the version that it has in commercetools.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The document.
    pub document: RunDocument,
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

/// Reads and writes run documents.
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
    pub async fn load(&self, resource: Resource, deadline: Deadline) -> Result<Option<Stored>, Error> {
        let found = self.client.custom_object::<RunDocument>(CONTAINER, resource.name(), deadline).await?;
        let stored = found.map(|object| Stored { document: object.value, version: object.version });
        if let Some(stored) = &stored
            && stored.document.schema != SCHEMA
        {
            return Err(Error::unreadable(
                Peer::Commercetools,
                "read the run document",
                format!(
                    "custom object {CONTAINER}/{resource} has schema {}, this version of the app knows {SCHEMA}: \
                     deploy the version that wrote it, or delete the object",
                    stored.document.schema
                ),
            ));
        }
        Ok(stored)
    }

    /// Writes the document if nobody else has since `stored.version`; sets its version, time and write id.
    ///
    /// # Errors
    /// Where commercetools does not answer or refuses. Whether the write took effect is known only where there is an
    /// answer: one that gets lost is looked up by the write id before it is tried again.
    pub async fn save(&self, stored: &mut Stored, deadline: Deadline) -> Result<Saved, Error> {
        stored.document.updated_at = self.client.server_now();
        stored.document.write_id = format!("{:016x}", fastrand::u64(..));
        let resource = stored.document.resource;
        let mut attempts = 0;
        let mut answer_lost = false;
        loop {
            attempts += 1;
            let written = self
                .client
                .write_custom_object(CONTAINER, resource.name(), &stored.document, stored.version, deadline)
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
                    let wait = error.refusal().and_then(|refusal| refusal.retry_after).unwrap_or(UNSAID_WAIT);
                    self.ports.clock.sleep(wait.min(deadline.remaining(&*self.ports.clock))).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            answer_lost = true;
            let found = self.load(resource, deadline).await?;
            match (found, may_be_ours) {
                (Some(found), _) if found.document.write_id == stored.document.write_id => {
                    stored.version = found.version;
                    return Ok(Saved::Done);
                }
                (Some(found), Some(_)) if found.version == stored.version && attempts < WRITE_ATTEMPTS => {}
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
    }
}
