//! The engine: everything that runs need, for as long as the instance lives.

use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::import::{Import, ImportFactory};
use super::log::{self, LogEvent};
use super::state::{Resource, RunDocument};
use super::store::Store;
use crate::config::Config;
use crate::error::Error;
use crate::klaviyo::accounts::KnownAccount;
use crate::memory::Memory;
use crate::ports::{LocalFuture, Ports};
use crate::time::Deadline;
use crate::{commercetools, klaviyo};

/// Configuration, ports, clients, the documents' store and the factory of imports.
pub struct Engine {
    /// The configuration.
    pub config: Config,
    /// The platform.
    pub ports: Ports,
    /// The client of the commercetools project.
    pub commercetools: Rc<commercetools::Client>,
    /// The client of the Klaviyo account.
    pub klaviyo: Rc<klaviyo::Client>,
    /// The store of run documents and of the plan.
    pub store: Store,
    /// The account that is fed, as far as this instance knows it.
    pub account: KnownAccount,
    imports: Box<dyn ImportFactory>,
    /// The memory of the instance.
    pub memory: Memory,
}

impl Engine {
    /// An engine that makes its imports with this factory.
    #[must_use]
    pub fn new(
        config: Config,
        ports: Ports,
        commercetools: Rc<commercetools::Client>,
        klaviyo: Rc<klaviyo::Client>,
        memory: Memory,
        imports: Box<dyn ImportFactory>,
    ) -> Self {
        Self {
            store: Store::new(
                ports.clone(),
                commercetools.clone(),
                config.container.clone(),
            ),
            account: KnownAccount::default(),
            config,
            ports,
            commercetools,
            klaviyo,
            memory,
            imports,
        }
    }

    /// commercetools' time now: what all invocations share.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.commercetools.server_now()
    }

    /// Time on this instance's monotonic clock.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        self.ports.clock.monotonic()
    }

    /// The deadline this long from now.
    #[must_use]
    pub fn deadline(&self, duration: Duration) -> Deadline {
        Deadline::after(&*self.ports.clock, duration)
    }

    /// How much time is left until a deadline.
    #[must_use]
    pub fn remaining(&self, deadline: Deadline) -> Duration {
        deadline.remaining(&*self.ports.clock)
    }

    /// What a run does, in the phase that it is in.
    #[must_use]
    pub fn import(&self, run: &RunDocument) -> Rc<dyn Import> {
        self.imports.import(run)
    }

    /// Whether Klaviyo has unfinished jobs of this resource, whoever submitted them.
    pub fn has_jobs(
        &self,
        resource: Resource,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<bool, Error>> {
        self.imports.has_jobs(resource, deadline)
    }

    /// Writes a log line; members that are null are left out.
    pub fn log(&self, event: LogEvent, members: &Value) {
        log::write(&self.ports, event, members);
    }
}
