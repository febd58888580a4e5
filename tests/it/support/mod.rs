//! What the end-to-end tests share: a simulated world, and the built component in the host.

pub(crate) mod gates;
pub(crate) mod native;
pub(crate) mod operator;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clock::Clock;
use host::{Host, Options, Outbound, PassAll, Wasi};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use sim::commercetools::CustomObject;
use sim::seed::{Kind, Seed, Sizes};
use sim::server::Latency;
use sim::world::{World, WorldOptions};

/// Tests that concern the guest: each function is one of the component for WASI 0.2, and one of that for 0.3.
macro_rules! on_each_wasi {
    ($($test:ident),* $(,)?) => {
        mod wasi_0_2 {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    super::$test(host::Wasi::V0_2).await;
                }
            )*
        }

        mod wasi_0_3 {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    super::$test(host::Wasi::V0_3).await;
                }
            )*
        }
    };
}
pub(crate) use on_each_wasi;

/// The token that the component asks for.
pub(crate) const TOKEN: &str = "it-api-token-0123456789";
/// When virtual worlds begin.
const BEGINNING: &str = "2026-07-15T10:00:20Z";
/// How long a test waits for something to become true, in the world's time: far more than it takes.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);
/// How often it looks.
pub(crate) const LOOK: Duration = Duration::from_millis(500);
/// The longest that a test goes on, in the world's time.
pub(crate) const LONGEST_TEST: Duration = Duration::from_secs(24 * 3_600);
/// How long an answer may take in real time: more than any machine needs, so that only a hang fails.
const HANG: Duration = Duration::from_secs(600);

/// What a test's world and app are like.
pub(crate) struct Setup {
    pub(crate) sizes: Sizes,
    /// About how long an order is on average, in bytes.
    pub(crate) order_bytes: usize,
    /// Milliseconds that each call takes on average.
    pub(crate) latency_ms: u64,
    /// How many times as fast as the real time a test's time passes; a [`Shop`] without it has virtual time.
    pub(crate) speed: Option<f64>,
    pub(crate) klaviyo: sim::klaviyo::Options,
    /// Variables that differ from the world's.
    pub(crate) variables: BTreeMap<&'static str, String>,
    pub(crate) outbound: Arc<dyn Outbound>,
    /// What is otherwise than Spin's defaults.
    pub(crate) platform: fn(&mut Options),
    /// What the component is built for.
    pub(crate) wasi: Wasi,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            sizes: Sizes {
                customers: 0,
                orders: 0,
                categories: 0,
                products: 0,
            },
            order_bytes: Seed::default().order_mean_bytes,
            latency_ms: 0,
            speed: None,
            klaviyo: sim::klaviyo::Options::default(),
            variables: BTreeMap::new(),
            outbound: Arc::new(PassAll),
            platform: |_| {},
            wasi: Wasi::default(),
        }
    }
}

impl Setup {
    pub(crate) fn customers(count: u32) -> Self {
        Self {
            sizes: Sizes {
                customers: count,
                orders: 0,
                categories: 0,
                products: 0,
            },
            ..Self::default()
        }
    }

    /// Some of everything.
    pub(crate) fn everything() -> Self {
        Self {
            sizes: Sizes {
                customers: 30,
                orders: 40,
                categories: 8,
                products: 12,
            },
            ..Self::default()
        }
    }

    pub(crate) fn orders(count: u32) -> Self {
        Self {
            sizes: Sizes {
                customers: 50,
                orders: count,
                categories: 40,
                products: 60,
            },
            ..Self::default()
        }
    }

    pub(crate) fn variable(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.insert(name, value.into());
        self
    }

    pub(crate) fn latency_ms(mut self, latency: u64) -> Self {
        self.latency_ms = latency;
        self
    }

    pub(crate) fn wasi(mut self, wasi: Wasi) -> Self {
        self.wasi = wasi;
        self
    }

    pub(crate) fn speed(mut self, speed: f64) -> Self {
        self.speed = Some(speed);
        self
    }

    pub(crate) fn outbound(mut self, outbound: impl Outbound + 'static) -> Self {
        self.outbound = Arc::new(outbound);
        self
    }

    /// The world in real time, or as fast as was asked for.
    pub(crate) async fn world(&mut self) -> World {
        let clock = Clock::new(self.speed.unwrap_or(1.0));
        self.world_in(clock).await
    }

    async fn world_in(&mut self, clock: Clock) -> World {
        let mean = Duration::from_millis(self.latency_ms);
        let latency = |seed| Latency {
            mean,
            jitter: mean / 2,
            seed,
        };
        World::start(WorldOptions {
            seed: Seed {
                sizes: self.sizes,
                order_mean_bytes: self.order_bytes,
                ..Seed::default()
            },
            commercetools_latency: latency(1),
            klaviyo_latency: latency(2),
            klaviyo: std::mem::take(&mut self.klaviyo),
            clock,
            ..WorldOptions::default()
        })
        .await
        .expect("the simulators start")
    }

    /// The variables of the app in this world.
    pub(crate) fn values(&self, world: &World) -> BTreeMap<String, String> {
        let mut values = world.variables();
        values.insert("api_token".to_owned(), TOKEN.to_owned());
        values.extend(
            self.variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );
        values
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// An answer of the app.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A simulated world with the built component in it.
///
/// Its time is virtual: it passes while the test waits for an answer, and where the test lets it pass, as fast as
/// everything that is to happen in it has happened. So nothing depends on how fast the machine is: a run does not go on
/// while the test looks at it, and no timeout strikes because the machine stalls.
pub(crate) struct Shop {
    pub(crate) world: World,
    host: Option<Host>,
    options: Options,
    client: reqwest::Client,
    log: Arc<Mutex<Vec<String>>>,
}

impl Shop {
    pub(crate) async fn open(setup: Setup) -> Self {
        let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("spin.toml");
        Self::open_as(setup, Options::new(manifest)).await
    }

    /// As [`Shop::open`], with another manifest.
    pub(crate) async fn open_as(mut setup: Setup, mut options: Options) -> Self {
        let clock = match setup.speed {
            Some(speed) => Clock::new(speed),
            None => Clock::virtual_from(BEGINNING.parse().expect("a moment")),
        };
        let world = setup.world_in(clock).await;
        let log = Arc::new(Mutex::new(Vec::new()));
        options.variables = setup.values(&world);
        options.clock = world.clock().clone();
        options.outbound = setup.outbound;
        options.wasi = setup.wasi;
        let lines = log.clone();
        options.log = Arc::new(move |line| {
            lines
                .lock()
                .expect("no test panics while logging")
                .push(line.to_owned());
        });
        (setup.platform)(&mut options);
        let host = Host::start(options.clone()).await.expect("the host starts");
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(HANG)
            .build();
        Self {
            world,
            host: Some(host),
            options,
            client: client.expect("an HTTP client"),
            log,
        }
    }

    /// The host that the component is in.
    pub(crate) fn host(&self) -> &Host {
        self.host.as_ref().expect("the host runs")
    }

    /// Kills the host as SIGKILL would.
    pub(crate) async fn kill(&mut self) {
        self.host.take().expect("the host runs").kill().await;
    }

    /// Stops listening and lets everything that is going on come to its end.
    pub(crate) async fn finish(&mut self) {
        self.host.take().expect("the host runs").shutdown().await;
    }

    /// Starts the host again.
    pub(crate) async fn revive(&mut self) {
        self.host = Some(
            Host::start(self.options.clone())
                .await
                .expect("the host starts again"),
        );
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log
            .lock()
            .expect("no test panics while logging")
            .clone()
    }

    /// As [`Shop::send`] with the token; `None` where the connection broke, as it does when the instance is killed.
    pub(crate) async fn try_send(&self, method: Method, path: &str, body: &str) -> Option<Answer> {
        let bearer = bearer(TOKEN);
        let headers = [("authorization", bearer.as_str())];
        self.exchange(method, path, &headers, body).await.ok()
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: &str,
    ) -> Answer {
        let bearer = token.map(bearer);
        let headers = bearer
            .iter()
            .map(|bearer| ("authorization", bearer.as_str()));
        self.send_with(method, path, &headers.collect::<Vec<_>>(), body)
            .await
    }

    /// As [`Shop::send`], with these headers and no others.
    pub(crate) async fn send_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Answer {
        self.exchange(method, path, headers, body)
            .await
            .expect("the host answers")
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> reqwest::Result<Answer> {
        let mut request = self
            .client
            .request(method, format!("http://{}{path}", self.host().address()))
            .body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let clock = self.world.clock();
        let call = clock.call();
        let mut mark = HeaderMap::new();
        call.mark(&mut mark);
        let request = request.headers(mark);
        // let go of before the call: between an answer and the test's next step no time passes
        let _flow = clock.flow();
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await?;
        let body = serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into()));
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(Method::POST, path, Some(TOKEN), body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, Some(TOKEN), "").await
    }

    /// Starts an import that must be accepted.
    pub(crate) async fn start(&self, resource: &str, body: &str) {
        let answer = self.post(&format!("/sync/{resource}"), body).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
    }

    /// Lets the world's time pass. No test takes longer than [`LONGEST_TEST`]: what comes so far goes on for ever.
    pub(crate) async fn pass(&self, duration: Duration) {
        assert!(
            self.world.clock().elapsed() < LONGEST_TEST,
            "goes on for ever\n{}",
            self.log().join("\n")
        );
        self.world.clock().pass(duration).await;
    }

    /// Waits until the status of a resource is so.
    pub(crate) async fn until(&self, resource: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let begun = self.world.clock().elapsed();
        loop {
            let status = self.get(&format!("/sync/{resource}")).await.body;
            if is_so(&status) {
                return status;
            }
            assert!(
                self.world.clock().elapsed() - begun < PATIENCE,
                "never came to be: {status}\n{}",
                self.log().join("\n")
            );
            self.pass(LOOK).await;
        }
    }

    /// Waits until the run document of a resource, as it stands in commercetools, is so.
    pub(crate) async fn until_stored(&self, resource: &str, is_so: impl Fn(&CustomObject) -> bool) {
        let begun = std::time::Instant::now();
        loop {
            let is_so = self.world.commercetools(|project| {
                let found = project.custom_object("klaviyo-bulk-import", resource);
                found.is_some_and(&is_so)
            });
            if is_so {
                return;
            }
            assert!(begun.elapsed() < HANG, "{}", self.log().join("\n"));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until a run is over and asserts that it has completed.
    pub(crate) async fn completed(&self, resource: &str) -> Value {
        let status = self
            .until(resource, |status| status["status"] != "running")
            .await;
        assert_eq!(
            status["status"],
            "completed",
            "{status}\n{}",
            self.log().join("\n")
        );
        assert_counts_add_up(&status);
        status
    }

    /// Waits until a run is over and asserts that it has failed; gives the advice that it leaves.
    pub(crate) async fn failed(&self, resource: &str) -> String {
        let status = self
            .until(resource, |status| status["status"] != "running")
            .await;
        assert_eq!(status["status"], "failed", "{status}");
        let advice = status["lastError"]["advice"].as_str();
        advice.expect("a failed run leaves advice").to_owned()
    }

    /// Asserts that Klaviyo has exactly what the seed asks for, and that no call broke a contract.
    pub(crate) fn assert_ledger(&self, kinds: &[Kind]) {
        assert_ledger(&self.world, kinds);
    }
}

/// Every call of a test keeps the contracts, whatever the test is about.
impl Drop for Shop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_contract(&self.world);
        }
    }
}

pub(crate) fn assert_ledger(world: &World, kinds: &[Kind]) {
    let now = world.clock().now();
    world.klaviyo(|klaviyo| klaviyo.settle(now));
    if let Err(differences) = world.check_ledger_of(kinds) {
        panic!("Klaviyo does not have what the seed asks for: {differences:?}");
    }
    assert_contract(world);
}

pub(crate) fn assert_contract(world: &World) {
    let violations = world.violations();
    assert!(violations.is_empty(), "{violations:#?}");
}

/// read = sent + skipped + failed.
pub(crate) fn assert_counts_add_up(status: &Value) {
    let counts = &status["counts"];
    let number = |value: &Value| {
        value
            .as_u64()
            .unwrap_or_else(|| panic!("not a count: {counts}"))
    };
    let skipped: u64 = counts["skipped"]
        .as_object()
        .expect("skipped by reason")
        .values()
        .map(number)
        .sum();
    assert_eq!(
        number(&counts["read"]),
        number(&counts["sent"]) + skipped + number(&counts["failed"]),
        "{counts}"
    );
}

/// How often a path has been called, whatever the answer.
pub(crate) fn calls(server: &sim::server::Server, operation: &str) -> u64 {
    server
        .calls()
        .iter()
        .filter(|((name, _), _)| name == operation)
        .map(|(_, count)| count)
        .sum()
}
