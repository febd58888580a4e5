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
use crate::server::{Latency, ServeOptions, Server};

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

/// Where commercetools is within the process.
pub const COMMERCETOOLS: &str = "https://commercetools.test";

/// Where Klaviyo is within the process.
pub const KLAVIYO: &str = "https://klaviyo.test";

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
    /// Both APIs without sockets, to be called within the process.
    pub fn in_process(options: WorldOptions) -> Self {
        let contract = options.check_contract.then(Contract::shared).flatten();
        let klaviyo_key = options.klaviyo.api_key.clone();
        let commercetools = Commercetools::new(PROJECT_KEY, options.seed);
        let commercetools = Arc::new(Mutex::new(commercetools));
        let klaviyo = Arc::new(Mutex::new(Klaviyo::new(options.klaviyo)));
        let commercetools_faults = Faults::new(options.seed.number);
        let klaviyo_faults = Faults::new(options.seed.number + 1);
        let serve_options = |api, latency, faults: &Faults| ServeOptions {
            api,
            clock: options.clock.clone(),
            latency,
            faults: faults.clone(),
            contract: contract.clone(),
        };
        let (ct_latency, klaviyo_latency) =
            (options.commercetools_latency, options.klaviyo_latency);
        Self {
            commercetools_server: Server::new(
                commercetools.clone(),
                serve_options(Api::Commercetools, ct_latency, &commercetools_faults),
                COMMERCETOOLS,
            ),
            klaviyo_server: Server::new(
                klaviyo.clone(),
                serve_options(Api::Klaviyo, klaviyo_latency, &klaviyo_faults),
                KLAVIYO,
            ),
            clock: options.clock,
            rules: options.rules,
            klaviyo_key,
            commercetools,
            klaviyo,
            commercetools_faults,
            klaviyo_faults,
        }
    }

    /// Starts both APIs in the current Tokio runtime.
    ///
    /// # Errors
    /// When a port cannot be listened on.
    pub async fn start(options: WorldOptions) -> Result<Self> {
        let ports = (options.commercetools_port, options.klaviyo_port);
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut world = Self::in_process(options);
        world.commercetools_server.listen(local(ports.0)).await?;
        world.klaviyo_server.listen(local(ports.1)).await?;
        Ok(world)
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
        let urls = [self.commercetools_server.url(), self.klaviyo_server.url()];
        self.commercetools(|project| variables(project, &self.klaviyo_key, &self.rules, urls))
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

/// The component's variables, where both APIs are at these URLs, commercetools first.
pub fn variables(
    project: &Commercetools,
    klaviyo_key: &str,
    rules: &Rules,
    [commercetools_url, klaviyo_url]: [String; 2],
) -> BTreeMap<String, String> {
    let key = project.project_key();
    let scope: Vec<_> = SCOPES
        .iter()
        .map(|scope| format!("{scope}:{key}"))
        .collect();
    let (client_id, secret) = project.client();
    [
        ("ct_api_url", commercetools_url.clone()),
        ("ct_auth_url", commercetools_url),
        ("ct_project_id", key.to_owned()),
        ("ct_scope", scope.join(" ")),
        (
            "ct_api_client",
            json!({"clientId": client_id, "secret": secret}).to_string(),
        ),
        ("klaviyo_auth_key", klaviyo_key.to_owned()),
        ("klaviyo_api_url", klaviyo_url),
        (
            "product_url_template",
            "https://shop.example.com/p/{{productSlug}}".to_owned(),
        ),
        ("preferred_locale", rules.preferred_locale.clone()),
        ("preferred_currency", rules.preferred_currency.clone()),
        ("api_token", API_TOKEN.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
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
