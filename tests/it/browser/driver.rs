//! A headless Chromium, driven through WebDriver.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use url::{ParseError, Url};

use crate::support::root;

/// How long something may take to be seen, in real time: more than any machine needs, so that only a fault fails.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(50);
/// Set where a missing browser is a failure.
const REQUIRED: &str = "BROWSER_TESTS";

const AXE: &str = include_str!("axe/axe.min.js");

/// A browser with one tab.
pub(crate) struct Browser {
    pub(crate) client: Client,
    /// Where it keeps its screenshots.
    name: &'static str,
    _driver: Driver,
}

/// The process of chromedriver, which takes its browsers with it.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts chromedriver on a port that it chooses; none where it is not installed.
fn start_driver() -> Option<(Driver, u16)> {
    let started = Command::new("chromedriver")
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut driver = Driver(started.ok()?);
    let output = driver.0.stdout.take().expect("its output is piped");
    let mut lines = BufReader::new(output).lines();
    // "ChromeDriver was started successfully on port 40123."
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, port) = line.split_once("successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    // nobody reads what else it says, and it must not wait for that
    std::thread::spawn(move || lines.for_each(drop));
    Some((driver, port.expect("chromedriver says its port")))
}

/// Says it once, also where the test harness keeps the output of tests that pass.
fn skip() {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: the tests in a browser need Debian's packages chromium and chromium-driver, and there is no \
             chromedriver"
        );
    });
}

impl Browser {
    /// Opens a browser; none where none is installed, unless it must be there.
    pub(crate) async fn open(name: &'static str) -> Option<Self> {
        let Some((driver, port)) = start_driver() else {
            assert!(
                std::env::var_os(REQUIRED).is_none(),
                "{REQUIRED} is set, and there is no chromedriver"
            );
            skip();
            return None;
        };
        let options = json!({
            "goog:chromeOptions": {"args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,1000",
            ]},
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let Value::Object(capabilities) = options else {
            unreachable!("it is written above")
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("chromedriver starts a browser");
        Some(Self {
            client,
            name,
            _driver: driver,
        })
    }

    /// What a script returns.
    pub(crate) async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        let ran = self.client.execute(script, arguments).await;
        ran.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// What an expression is.
    pub(crate) async fn eval(&self, expression: &str) -> Value {
        self.run(&format!("return {expression}"), Vec::new()).await
    }

    /// Waits until an expression is true.
    pub(crate) async fn until(&self, expression: &str) {
        let begun = Instant::now();
        while self.eval(&format!("Boolean({expression})")).await != true {
            if begun.elapsed() > PATIENCE {
                self.shoot("given-up").await;
                panic!(
                    "it never came: {expression}\n{}",
                    self.eval("document.body.innerText").await
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The text of an element, as it is seen.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let text = self
            .run(
                "return document.querySelector(arguments[0]).innerText",
                vec![selector.into()],
            )
            .await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks as a mouse does: what is hidden, covered or disabled cannot be clicked.
    pub(crate) async fn click(&self, selector: &str) {
        let found = self.client.find(fantoccini::Locator::Css(selector)).await;
        let found = found.unwrap_or_else(|error| panic!("{selector}: {error}"));
        assert!(
            found.is_enabled().await.expect("its state"),
            "{selector} is disabled"
        );
        let clicked = found.click().await;
        clicked.unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// Types into what has the focus.
    pub(crate) async fn type_keys(&self, keys: &str) {
        let focused = self.client.active_element().await.expect("a focus");
        focused.send_keys(keys).await.expect("it takes keys");
    }

    /// A command of Chromium's own protocol.
    async fn command(&self, name: &str, parameters: Value) -> Value {
        let command = Chromium(json!({"cmd": name, "params": parameters}));
        let done = self.client.issue_cmd(command).await;
        done.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Makes the window so wide, in CSS pixels.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", metrics)
            .await;
    }

    /// Prefers `dark` or `light`.
    pub(crate) async fn prefer(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.command("Emulation.setEmulatedMedia", features).await;
    }

    /// Keeps a picture of the whole page in `target/screenshots`.
    pub(crate) async fn shoot(&self, state: &str) {
        self.shoot_to(state, "document.documentElement.scrollHeight")
            .await;
    }

    /// Keeps a picture of what the window shows of the page.
    pub(crate) async fn shoot_window(&self, state: &str) {
        self.shoot_to(state, "innerHeight").await;
    }

    async fn shoot_to(&self, state: &str, height: &str) {
        let size = self.eval(&format!("[innerWidth, {height}]")).await;
        let clip = json!({"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1});
        let parameters = json!({"captureBeyondViewport": true, "clip": clip});
        let shot = self.command("Page.captureScreenshot", parameters).await;
        let shot = shot["data"].as_str().expect("a picture");
        let shot = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, shot);
        let folder: PathBuf = root().join("target/screenshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join(format!("{}-{state}.png", self.name));
        std::fs::write(file, shot.expect("base64")).expect("it is written");
    }

    /// Nothing of the page, as it stands, hinders those who see, hear or point otherwise: WCAG 2.2 AA and axe's best
    /// practices.
    pub(crate) async fn assert_accessible(&self, state: &str) {
        self.run(AXE, Vec::new()).await;
        let script = "const done = arguments[0];
            axe.run(document).then(({violations}) => done(violations.map(({id, nodes}) =>
                `${id}: ${nodes.map(({target, failureSummary}) => `${target} ${failureSummary}`).join('; ')}`)),
                (error) => done([String(error)]));";
        let found = self.client.execute_async(script, Vec::new()).await;
        let found = found.expect("axe runs");
        assert_eq!(found, json!([]), "{state}");
    }

    /// The page has asked nobody but its own app for anything, and the browser had nothing to complain about.
    pub(crate) async fn assert_quiet(&self) {
        let others = self
            .eval(
                "performance.getEntriesByType('resource').map(({name}) => name)
                    .filter((name) => !name.startsWith(location.origin + '/') && !name.startsWith('data:'))",
            )
            .await;
        assert_eq!(others, json!([]));
        let log = Log;
        let log = self.client.issue_cmd(log).await.expect("the log");
        let complaints: Vec<&Value> = log
            .as_array()
            .expect("a list")
            .iter()
            // answers that are errors are part of tests
            .filter(|entry| entry["source"] != "network")
            .collect();
        assert!(complaints.is_empty(), "{complaints:?}");
    }

    /// Ends it.
    pub(crate) async fn close(self) {
        self.assert_quiet().await;
        self.client.close().await.expect("it ends");
    }
}

/// A command of Chromium's own protocol, by way of WebDriver.
#[derive(Debug)]
struct Chromium(Value);

impl WebDriverCompatibleCommand for Chromium {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!(
            "session/{}/goog/cdp/execute",
            session.unwrap_or_default()
        ))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.0.to_string()))
    }
}

/// What the browser has logged since the last look.
#[derive(Debug)]
struct Log;

impl WebDriverCompatibleCommand for Log {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({"type": "browser"}).to_string()))
    }
}
