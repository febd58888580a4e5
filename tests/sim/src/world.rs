//! Both APIs together, over HTTP on 127.0.0.1.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use clock::Clock;
use serde_json::json;

use crate::commercetools::{Commercetools, SCOPES};
use crate::comparison::{self, Differences, Summary};
use crate::contract::{Api, Contract};
use crate::faults::Faults;
use crate::klaviyo::{self, Klaviyo};
use crate::seed::expected::Rules;
use crate::seed::{Kind, Seed};
use crate::server::{Latency, ServeOptions, Server, serve};

/// The project's key in a world.
pub const PROJECT_KEY: &str = "sim-shop";

/// The token that the component asks of its own callers in a world.
pub const API_TOKEN: &str = "sim-api-token-of-this-world";

/// What a world is like.
pub struct WorldOptions {
    /// What the commercetools project holds.
    pub seed: Seed,
    /// How long commercetools takes to answer.
    pub commercetools_latency: Latency,
    /// How long Klaviyo takes to answer.
    pub klaviyo_latency: Latency,
    /// Klaviyo's options, its rate limits among them.
    pub klaviyo: klaviyo::Options,
    /// The world's time.
    pub clock: Clock,
    /// What the expectations depend on.
    pub rules: Rules,
    /// Whether requests and answers are checked against the contracts, where those are to be had.
    pub check_contract: bool,
    /// The port of commercetools; 0 lets the system choose.
    pub commercetools_port: u16,
    /// The port of Klaviyo; 0 lets the system choose.
    pub klaviyo_port: u16,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            seed: Seed::default(),
            commercetools_latency: Latency::default(),
            klaviyo_latency: Latency::default(),
            klaviyo: klaviyo::Options::default(),
            clock: Clock::new(1.0),
            rules: Rules::default(),
            check_contract: true,
            commercetools_port: 0,
            klaviyo_port: 0,
        }
    }
}

/// A running commercetools and a running Klaviyo; dropping the world stops both.
pub struct World {
    clock: Clock,
    rules: Rules,
    klaviyo_key: String,
    commercetools: Arc<Mutex<Commercetools>>,
    klaviyo: Arc<Mutex<Klaviyo>>,
    commercetools_faults: Faults,
    klaviyo_faults: Faults,
    commercetools_server: Server,
    klaviyo_server: Server,
}

impl World {
    /// Starts both APIs in the current Tokio runtime.
    ///
    /// # Errors
    /// When a port cannot be listened on.
    pub async fn start(options: WorldOptions) -> Result<Self> {
        let clock = options.clock;
        let contract = options.check_contract.then(Contract::shared).flatten();
        let klaviyo_key = options.klaviyo.api_key.clone();
        let commercetools = Commercetools::new(PROJECT_KEY, options.seed);
        let commercetools = Arc::new(Mutex::new(commercetools));
        let klaviyo = Arc::new(Mutex::new(Klaviyo::new(options.klaviyo)));
        let commercetools_faults = Faults::new(options.seed.number);
        let klaviyo_faults = Faults::new(options.seed.number + 1);
        let serve_options = |api, latency, faults: &Faults, port| ServeOptions {
            api,
            clock: clock.clone(),
            latency,
            faults: faults.clone(),
            contract: contract.clone(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        };
        let commercetools_server = serve(
            Arc::clone(&commercetools),
            serve_options(
                Api::Commercetools,
                options.commercetools_latency,
                &commercetools_faults,
                options.commercetools_port,
            ),
        )
        .await?;
        let klaviyo_server = serve(
            Arc::clone(&klaviyo),
            serve_options(
                Api::Klaviyo,
                options.klaviyo_latency,
                &klaviyo_faults,
                options.klaviyo_port,
            ),
        )
        .await?;
        Ok(Self {
            clock,
            rules: options.rules,
            klaviyo_key,
            commercetools,
            klaviyo,
            commercetools_faults,
            klaviyo_faults,
            commercetools_server,
            klaviyo_server,
        })
    }

    /// The world's time.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// commercetools as a server: its URL (also of its authorization server), calls and violations.
    pub fn commercetools_server(&self) -> &Server {
        &self.commercetools_server
    }

    /// Klaviyo as a server: its URL, calls and violations.
    pub fn klaviyo_server(&self) -> &Server {
        &self.klaviyo_server
    }

    /// What goes wrong on the way to commercetools.
    pub fn commercetools_faults(&self) -> &Faults {
        &self.commercetools_faults
    }

    /// What goes wrong on the way to Klaviyo.
    pub fn klaviyo_faults(&self) -> &Faults {
        &self.klaviyo_faults
    }

    /// Looks at commercetools or changes it, while no call is being answered.
    pub fn commercetools<R>(&self, act: impl FnOnce(&mut Commercetools) -> R) -> R {
        act(&mut lock(&self.commercetools))
    }

    /// Looks at Klaviyo or changes it, while no call is being answered.
    pub fn klaviyo<R>(&self, act: impl FnOnce(&mut Klaviyo) -> R) -> R {
        act(&mut lock(&self.klaviyo))
    }

    /// The component's variables, by which it works in this world.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let url = self.commercetools_server.url();
        let scope: Vec<_> = SCOPES
            .iter()
            .map(|scope| format!("{scope}:{PROJECT_KEY}"))
            .collect();
        let client = self.commercetools(|project| {
            let (client_id, secret) = project.client();
            json!({"clientId": client_id, "secret": secret}).to_string()
        });
        [
            ("ct_api_url", url.clone()),
            ("ct_auth_url", url),
            ("ct_project_id", PROJECT_KEY.to_owned()),
            ("ct_scope", scope.join(" ")),
            ("ct_api_client", client),
            ("klaviyo_auth_key", self.klaviyo_key.clone()),
            ("klaviyo_api_url", self.klaviyo_server.url()),
            (
                "product_url_template",
                "https://shop.example.com/p/{{productSlug}}".to_owned(),
            ),
            ("preferred_locale", self.rules.preferred_locale.clone()),
            ("preferred_currency", self.rules.preferred_currency.clone()),
            ("api_token", API_TOKEN.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Compares all that Klaviyo got with all that the project holds.
    ///
    /// # Errors
    /// What is missing, different or too much.
    pub fn check_ledger(&self) -> Result<Summary, Differences> {
        self.check_ledger_of(&Kind::ALL)
    }

    /// As [`World::check_ledger`], of some kinds of records only.
    ///
    /// # Errors
    /// What is missing, different or too much.
    pub fn check_ledger_of(&self, kinds: &[Kind]) -> Result<Summary, Differences> {
        let (project, klaviyo) = (lock(&self.commercetools), lock(&self.klaviyo));
        let now = self.clock.now();
        comparison::compare(&project, klaviyo.ledger(), &self.rules, now, kinds)
    }

    /// Where calls or answers of either API broke its contract; empty is as it should be.
    pub fn violations(&self) -> Vec<String> {
        let mut violations = self.commercetools_server.violations();
        violations.extend(self.klaviyo_server.violations());
        violations
    }
}

/// What a thread that panicked left behind is as good as what it found.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Sizes;

    #[tokio::test]
    async fn a_klaviyo_that_got_nothing_lacks_everything() {
        let options = WorldOptions {
            seed: Seed {
                sizes: Sizes {
                    customers: 3,
                    orders: 0,
                    categories: 2,
                    products: 0,
                },
                ..Seed::default()
            },
            ..WorldOptions::default()
        };
        let world = World::start(options).await.unwrap();
        assert_eq!(world.check_ledger().unwrap_err().count, 5);
        assert!(world.check_ledger_of(&[Kind::Order]).is_ok());
        world.commercetools(|project| {
            for id in project.ids(Kind::Category) {
                project.delete(Kind::Category, id);
            }
        });
        assert_eq!(world.check_ledger().unwrap_err().count, 3);
        assert!(world.variables()["ct_api_url"].starts_with("http://127.0.0.1:"));
    }
}
