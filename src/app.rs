//! Wiring: makes clients, imports and engine from the configuration, once per instance.

use std::rc::Rc;

use crate::config::Config;
use crate::memory::Memory;
use crate::ports::Ports;
use crate::resources::context::Context;
use crate::resources::shop_catalog::ShopCatalog;
use crate::run::engine::Engine;
use crate::{commercetools, klaviyo};

/// The app, for as long as the instance lives: its clients keep tokens, rate limits and caches from one request to the
/// next.
#[derive(Clone)]
pub struct App {
    /// The engine that works on the runs.
    pub engine: Rc<Engine>,
}

impl App {
    /// An app with this configuration on this platform.
    #[must_use]
    pub fn new(config: Config, ports: Ports) -> Self {
        let commercetools = Rc::new(commercetools::Client::new(
            ports.clone(),
            config.commercetools.clone(),
        ));
        let klaviyo = Rc::new(klaviyo::Client::new(ports.clone(), config.klaviyo.clone()));
        let options = Rc::new(config.mapping.clone());
        let memory = Memory::of(config.memory_mib);
        let catalog = Rc::new(ShopCatalog::new(
            ports.clone(),
            commercetools.clone(),
            options.clone(),
            &memory,
        ));
        let context = Context {
            commercetools: commercetools.clone(),
            klaviyo: klaviyo.clone(),
            catalog,
            shared_emails: Rc::default(),
            missing_categories: Rc::default(),
            options,
        };
        Self {
            engine: Rc::new(Engine::new(
                config,
                ports,
                commercetools,
                klaviyo,
                memory,
                Box::new(context),
            )),
        }
    }
}
