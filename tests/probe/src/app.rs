//! In place of the component's app.

use crate::config::Config;
use crate::ports::Ports;

/// As in the component.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) ports: Ports,
}

impl App {
    pub(crate) fn new(config: Config, ports: Ports) -> Self {
        Self { config, ports }
    }
}
