//! The engine: everything that runs need, for as long as the instance lives.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::import::{Import, ImportFactory};
use super::log::{self, LogEvent};
use super::state::RunDocument;
use super::store::Store;
use crate::config::Config;
use crate::klaviyo::accounts::KnownAccount;
use crate::ports::Ports;
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
    /// Windows that this instance works on at the same time.
    windows: Rc<Cell<usize>>,
}

/// A window's share of the instance's memory, for as long as it is worked on.
#[derive(Debug)]
pub struct WindowShare {
    /// All there is, in MiB.
    memory_mib: usize,
    windows: Rc<Cell<usize>>,
}

impl WindowShare {
    /// The share in MiB: it grows and shrinks with the windows that go side by side.
    #[must_use]
    pub fn memory_mib(&self) -> usize {
        self.memory_mib / self.windows.get().max(1)
    }
}

impl Drop for WindowShare {
    fn drop(&mut self) {
        self.windows.set(self.windows.get() - 1);
    }
}

impl Engine {
    /// An engine that makes its imports with this factory.
    #[must_use]
    pub fn new(
        config: Config,
        ports: Ports,
        commercetools: Rc<commercetools::Client>,
        klaviyo: Rc<klaviyo::Client>,
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
            imports,
            windows: Rc::default(),
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

    /// Begins a window. Imports that go side by side may meet in one instance, and the first of them has its buffers
    /// when the next comes along.
    #[must_use]
    pub fn begin_window(&self) -> WindowShare {
        self.windows.set(self.windows.get() + 1);
        WindowShare {
            memory_mib: self.config.memory_mib,
            windows: self.windows.clone(),
        }
    }

    /// Writes a log line; members that are null are left out.
    pub fn log(&self, event: LogEvent, members: &Value) {
        log::write(&self.ports, event, members);
    }
}
