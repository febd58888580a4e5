//! A simulated world with the built component in it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use clock::Clock;
use host::{Host, Options, Outbound, PassAll, Wasi};
use native::setup::{BEGINNING, LONGEST_TEST, values};
use native::{Answer, Call, Operator, Setup};
use reqwest::header::HeaderMap;
use sim::commercetools::CustomObject;
use sim::world::World;

use super::root;

/// How long an answer may take in real time: more than any machine needs, so that only a hang fails.
const HANG: Duration = Duration::from_secs(600);

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

/// A shop, and the platform that its component runs on.
pub(crate) struct Hosted {
    setup: Setup,
    wasi: Wasi,
    speed: Option<f64>,
    outbound: Arc<dyn Outbound>,
    platform: Box<dyn FnOnce(&mut Options)>,
}

/// A setup that a component can be tested in.
pub(crate) trait IntoHosted: Sized {
    fn hosted(self) -> Hosted;

    /// With a time that passes so many times as fast as the real one; without this it is virtual.
    fn speed(self, speed: f64) -> Hosted {
        let speed = Some(speed);
        Hosted {
            speed,
            ..self.hosted()
        }
    }

    /// With the component for this version of WASI; without this it is that which `spin.toml` names.
    fn wasi(self, wasi: Wasi) -> Hosted {
        Hosted {
            wasi,
            ..self.hosted()
        }
    }

    /// With somebody who decides about the component's calls.
    fn outbound(self, outbound: Arc<impl Outbound + 'static>) -> Hosted {
        Hosted {
            outbound,
            ..self.hosted()
        }
    }

    /// With something that is otherwise than Spin's defaults.
    fn platform(self, platform: impl FnOnce(&mut Options) + 'static) -> Hosted {
        Hosted {
            platform: Box::new(platform),
            ..self.hosted()
        }
    }
}

impl IntoHosted for Hosted {
    fn hosted(self) -> Hosted {
        self
    }
}

impl IntoHosted for Setup {
    fn hosted(self) -> Hosted {
        Hosted {
            setup: self,
            wasi: Wasi::default(),
            speed: None,
            outbound: Arc::new(PassAll),
            platform: Box::new(|_| {}),
        }
    }
}

/// A simulated world with the built component in it.
///
/// Its time is virtual: it passes while the test waits for an answer, and where the test lets it pass, as fast as
/// everything that is to happen in it has happened. So nothing depends on how fast the machine is: a run does not go on
/// while the test looks at it, and no timeout is reached because the machine stalls.
pub(crate) struct Shop {
    pub(crate) world: World,
    host: Option<Host>,
    options: Options,
    client: reqwest::Client,
    log: Arc<Mutex<Vec<String>>>,
}

impl Shop {
    pub(crate) async fn open(setup: impl IntoHosted) -> Self {
        Self::open_as(setup, Options::new(root().join("spin.toml"))).await
    }

    /// As [`Shop::open`], with another manifest.
    pub(crate) async fn open_as(setup: impl IntoHosted, mut options: Options) -> Self {
        let hosted = setup.hosted();
        let clock = match hosted.speed {
            Some(speed) => Clock::new(speed),
            None => Clock::virtual_from(BEGINNING),
        };
        let (world, variables) = hosted.setup.into_parts(clock);
        let world = World::start(world).await.expect("the simulators start");
        let log = Arc::new(Mutex::new(Vec::new()));
        options.variables = values(&world, &variables);
        options.clock = world.clock().clone();
        options.outbound = hosted.outbound;
        options.wasi = hosted.wasi;
        let lines = log.clone();
        options.log = Arc::new(move |line| {
            lines
                .lock()
                .expect("no test panics while logging")
                .push(line.to_owned());
        });
        (hosted.platform)(&mut options);
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
        let host = Host::start(self.options.clone()).await;
        self.host = Some(host.expect("the host starts again"));
    }

    /// Waits until the run document of a resource, as it stands in commercetools, is so. The world's time does not pass.
    pub(crate) async fn until_stored(&self, resource: &str, is_so: impl Fn(&CustomObject) -> bool) {
        let begun = std::time::Instant::now();
        while !self.stored(resource).is_some_and(|run| is_so(&run)) {
            assert!(begun.elapsed() < HANG, "{}", self.log().join("\n"));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn exchange(&self, call: Call) -> reqwest::Result<Answer> {
        let clock = self.world.clock();
        let marked = clock.call();
        let mut mark = HeaderMap::new();
        marked.mark(&mut mark);
        let url = format!("http://{}{}", self.host().address(), call.path);
        let request = self
            .client
            .request(call.method, url)
            .body(call.body)
            .headers(call.headers)
            .headers(mark);
        // let go of before the call: between an answer and the test's next step no time passes
        let _flow = clock.flow();
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut answer = http::Response::new(response.bytes().await?);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer.into())
    }
}

impl Operator for Shop {
    fn world(&self) -> &World {
        &self.world
    }

    fn log(&self) -> Vec<String> {
        let lines = self.log.lock();
        lines.expect("no test panics while logging").clone()
    }

    /// None where the connection broke, as it does when the instance is killed.
    async fn try_send(&self, call: Call) -> Option<Answer> {
        self.exchange(call).await.ok()
    }

    /// No test takes longer than [`LONGEST_TEST`]: what comes so far goes on for ever.
    async fn pass(&self, duration: Duration) {
        let clock = self.world.clock();
        let log = || self.log().join("\n");
        assert!(
            clock.elapsed() < LONGEST_TEST,
            "goes on for ever\n{}",
            log()
        );
        clock.pass(duration).await;
    }
}

/// Every call of a test keeps the contracts, whatever the test is about.
impl Drop for Shop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.assert_contract();
        }
    }
}
