//! The app: configuration, ports and clients, for as long as the instance lives.

use std::cell::Cell;
use std::rc::Rc;

use serde_json::Value;

use crate::config::Config;
use crate::ports::Ports;
use crate::resources::catalogue::Catalogue;
use crate::run::store::Store;
use crate::{commercetools, klaviyo, mapping};

/// Everything that a request needs.
pub struct App {
    /// The configuration.
    pub config: Config,
    /// The world.
    pub ports: Ports,
    /// The client of the commercetools project.
    pub commercetools: Rc<commercetools::Client>,
    /// The client of the Klaviyo account.
    pub klaviyo: Rc<klaviyo::Client>,
    /// What is known of the catalogue, for the events of orders.
    pub catalogue: Rc<Catalogue>,
    /// What the mappings read of the configuration.
    pub options: Rc<mapping::Options>,
    /// Windows that this instance works on at the same time.
    windows: Rc<Cell<usize>>,
}

/// A window that is being worked on, for as long as it lives.
#[derive(Debug)]
pub struct Working(Rc<Cell<usize>>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl App {
    /// An app with this configuration in this world.
    #[must_use]
    pub fn new(config: Config, ports: Ports) -> Self {
        let commercetools = Rc::new(commercetools::Client::new(
            ports.clone(),
            config.commercetools.clone(),
        ));
        let options = Rc::new(config.mapping.clone());
        Self {
            catalogue: Rc::new(Catalogue::new(
                ports.clone(),
                commercetools.clone(),
                options.clone(),
                config.memory_mib,
            )),
            commercetools,
            klaviyo: Rc::new(klaviyo::Client::new(ports.clone(), config.klaviyo.clone())),
            options,
            config,
            ports,
            windows: Rc::default(),
        }
    }

    /// Begins a window: gives its share of the instance's memory in MiB. Imports that go side by side may meet in one
    /// instance, and the first of them has its buffers when the next comes along.
    #[must_use]
    pub fn begin_window(&self) -> (usize, Working) {
        self.windows.set(self.windows.get() + 1);
        (
            self.config.memory_mib / self.windows.get(),
            Working(self.windows.clone()),
        )
    }

    /// The place of the run documents.
    #[must_use]
    pub fn store(&self) -> Store {
        Store::new(self.ports.clone(), self.commercetools.clone())
    }

    /// Writes a log line: one JSON object with the time first.
    pub fn log(&self, event: &Value) {
        let mut line = serde_json::Map::new();
        line.insert("time".to_owned(), self.ports.clock.now().to_string().into());
        if let Value::Object(fields) = event {
            line.extend(
                fields
                    .iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(k, v)| (k.clone(), v.clone())),
            );
        }
        self.ports.log.line(&Value::Object(line).to_string());
    }
}
