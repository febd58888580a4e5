//! The app in one thread with both simulated APIs, and somebody who tampers with what they answer.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, Response, Uri};
use klaviyo_bulk_import::api::{self, App, Request};
use klaviyo_bulk_import::config::{Config, VARIABLES, Values};
use klaviyo_bulk_import::ports::{
    Body, Http, Limits, LocalFuture, Log, Ports, SELF_URL, TransportError,
};
use serde_json::Value;
use sim::commercetools::Commercetools;
use sim::klaviyo::{self, Klaviyo};
use sim::peer::Peer;
use sim::seed::{Kind, Seed, Sizes};

use crate::mutation::CANARY;
use crate::script::Script;
use crate::tamper::{Tamper, Target};
use crate::time::Time;

const COMMERCETOOLS: &str = "http://commercetools.example";
const KLAVIYO: &str = "http://klaviyo.example";
const PROJECT: &str = "shop";
/// What callers of the app show.
pub const TOKEN: &str = "hostile-api-token-0123456789";
const KLAVIYO_KEY: &str = "pk_hostile_0123456789";
/// The container of the app's custom objects, and their keys.
pub const CONTAINER: &str = "klaviyo-bulk-import";
const KEYS: [&str; 6] = [
    "customers",
    "orders",
    "categories",
    "products",
    "plan",
    "check",
];
/// How long each call takes.
const LATENCY: Duration = Duration::from_millis(30);
/// Calls after which a run has got nowhere and never will.
const MOST_CALLS: u32 = 20_000;
/// The largest answer that a caller can be expected to take, in bytes: as large as commercetools lets run documents be.
const MOST_ANSWERED: usize = 2_000_000;

/// Which answers of the app may show the [`CANARY`]. Log lines never do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// None: it came from an API.
    Never,
    /// Those that show a run document, as it is in there.
    OfDocuments,
    /// All: the caller has sent it.
    OfCallers,
}

/// An answer of the app.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, which is always JSON.
    pub body: Value,
}

/// A shop with an app in it.
pub struct Shop {
    /// Its time.
    pub time: Time,
    world: Rc<World>,
    app: Rc<App>,
}

struct World {
    time: Time,
    commercetools: RefCell<Commercetools>,
    klaviyo: RefCell<Klaviyo>,
    tamper: RefCell<Tamper>,
    echo: Cell<Echo>,
    calls: Cell<u32>,
    app: RefCell<Weak<App>>,
    /// Texts that nobody may be shown: credentials, and what identifies a person.
    hidden: BTreeSet<String>,
    client_secret: String,
}

impl Shop {
    /// A small shop of all kinds of records.
    ///
    /// # Panics
    /// Where the app does not take its variables.
    #[must_use]
    pub fn open(continuation: &str) -> Self {
        let sizes = Sizes {
            customers: 5,
            orders: 4,
            categories: 4,
            products: 4,
        };
        let seed = Seed {
            sizes,
            order_mean_bytes: 6_000,
            ..Seed::default()
        };
        let commercetools = Commercetools::new(PROJECT, seed);
        let (client_id, client_secret) = commercetools.client();
        let (client_id, client_secret) = (client_id.to_owned(), client_secret.to_owned());
        let mut hidden =
            BTreeSet::from([TOKEN, KLAVIYO_KEY, &client_secret, CANARY].map(str::to_owned));
        for id in commercetools.ids(Kind::Customer) {
            let email = commercetools.record(Kind::Customer, id);
            hidden.extend(email.and_then(|customer| Some(customer["email"].as_str()?.to_owned())));
        }
        let time = Time::default();
        let world = Rc::new(World {
            time: time.clone(),
            commercetools: RefCell::new(commercetools),
            klaviyo: RefCell::new(Klaviyo::new(klaviyo::Options {
                api_key: KLAVIYO_KEY.to_owned(),
                ..klaviyo::Options::default()
            })),
            tamper: RefCell::default(),
            echo: Cell::new(Echo::Never),
            calls: Cell::new(0),
            app: RefCell::default(),
            hidden,
            client_secret: client_secret.clone(),
        });
        let client = serde_json::json!({"clientId": client_id, "secret": client_secret});
        let given = [
            ("ct_api_url", COMMERCETOOLS),
            ("ct_auth_url", COMMERCETOOLS),
            ("ct_project_id", PROJECT),
            ("ct_api_client", &client.to_string()),
            ("klaviyo_api_url", KLAVIYO),
            ("klaviyo_auth_key", KLAVIYO_KEY),
            ("api_token", TOKEN),
            ("continuation", continuation),
            ("id_ranges", "2"),
            (
                "product_url_template",
                "https://shop.example/p/{{productSlug}}",
            ),
        ];
        let mut values: Values = VARIABLES.map(|name| (name, String::new())).into();
        values.extend(given.map(|(name, value)| (name, value.to_owned())));
        let ports = Ports {
            http: Rc::new(Network(world.clone())),
            clock: Rc::new(time.clone()),
            spawn: Rc::new(time.clone()),
            log: Rc::new(Lines(world.clone())),
        };
        let config = Config::parse(&values).expect("usable variables");
        let app = Rc::new(App::new(config, ports));
        *world.app.borrow_mut() = Rc::downgrade(&app);
        Self { time, world, app }
    }

    /// Tampers with answers from now on, as the script decides, until it is over.
    pub fn tamper(&self, target: Target, script: Script) {
        *self.world.tamper.borrow_mut() = Tamper::Script(target, script);
    }

    /// Has `spoil` change the answers from now on. It is shown method and path of the call.
    pub fn tamper_with(&self, spoil: impl FnMut(&str, &mut Response<Bytes>) + 'static) {
        *self.world.tamper.borrow_mut() = Tamper::Function(Box::new(spoil));
    }

    /// Whether answers arrive as they were given.
    #[must_use]
    pub fn is_honest(&self) -> bool {
        self.world.tamper.borrow().is_over()
    }

    /// Lets answers show the [`CANARY`], or not.
    pub fn expect(&self, echo: Echo) {
        self.world.echo.set(echo);
    }

    /// Lets answers arrive as they are given from now on.
    pub fn be_honest(&self) {
        *self.world.tamper.borrow_mut() = Tamper::Nobody;
    }

    /// A run document or the plan, as it stands in commercetools.
    #[must_use]
    pub fn document(&self, key: &str) -> Option<Value> {
        let project = self.world.commercetools.borrow();
        let found = project.custom_object(CONTAINER, key)?;
        Some(found.value.clone())
    }

    /// All that the app keeps in commercetools.
    #[must_use]
    pub fn documents(&self) -> Vec<Option<Value>> {
        KEYS.map(|key| self.document(key)).into()
    }

    /// Looks at commercetools or changes it.
    pub fn commercetools<T>(&self, act: impl FnOnce(&mut Commercetools) -> T) -> T {
        act(&mut self.world.commercetools.borrow_mut())
    }

    /// Forgets how many calls there were: what comes now has as many again.
    pub fn begin_anew(&self) {
        self.world.calls.set(0);
    }

    /// Calls the app's API with the token, and checks what every answer has to be like.
    ///
    /// # Panics
    /// Where the answer is not JSON, is an error that does not say what is wrong, or shows what must not be shown.
    pub async fn call(&self, method: Method, path: &str, body: &[u8]) -> Answer {
        let mut headers = http::HeaderMap::new();
        let shown = HeaderValue::try_from(format!("Bearer {TOKEN}")).expect("a header");
        headers.insert(AUTHORIZATION, shown);
        let request = Request {
            method,
            path: path.to_owned(),
            headers,
            body: Bytes::copy_from_slice(body),
        };
        let response = api::handle(&self.app, request).await;
        let text = String::from_utf8(response.body().to_vec()).expect("an answer in UTF-8");
        let status = response.status().as_u16();
        let what = format!("{path}: {status} {text}");
        assert!(
            text.len() < MOST_ANSWERED,
            "{} bytes: {what:.2000}",
            text.len()
        );
        let body: Value = serde_json::from_str(&text).expect("an answer in JSON");
        if status >= 400 {
            for member in ["title", "detail"] {
                let is_said = body[member].as_str().is_some_and(|text| !text.is_empty());
                assert!(is_said, "an error without its {member}: {what}");
            }
            assert_eq!(body["status"], status, "{what}");
        }
        let may_show = match self.world.echo.get() {
            Echo::Never => false,
            Echo::OfDocuments => status < 500,
            Echo::OfCallers => true,
        };
        self.world.assert_hides(&text, may_show);
        Answer { status, body }
    }
}

impl World {
    fn assert_hides(&self, text: &str, may_show_canary: bool) {
        for hidden in &self.hidden {
            if may_show_canary && hidden == CANARY {
                continue;
            }
            if let Some(at) = text.find(hidden.as_str()) {
                let before = text[..at].char_indices().rev().nth(200);
                let shown = &text[before.map_or(0, |(at, _)| at)..];
                panic!("{hidden} is shown: {shown:.500}");
            }
        }
    }

    /// Who is called; each gets its own credentials and nobody else's.
    fn address(&self, request: &http::request::Parts, body: &[u8]) -> &'static str {
        let to = [COMMERCETOOLS, KLAVIYO, SELF_URL]
            .into_iter()
            .find(|base| is_below(base, &request.uri))
            .unwrap_or_else(|| panic!("a call to somebody else: {}", request.uri));
        let shown = [
            (TOKEN, SELF_URL),
            (KLAVIYO_KEY, KLAVIYO),
            (self.client_secret.as_str(), "nobody in plain text"),
        ];
        for (secret, whose) in shown {
            let is_there = |text: &[u8]| {
                text.windows(secret.len())
                    .any(|part| part == secret.as_bytes())
            };
            let in_headers = request
                .headers
                .values()
                .any(|value| is_there(value.as_bytes()));
            let elsewhere = is_there(request.uri.to_string().as_bytes()) || is_there(body);
            assert!(
                !elsewhere,
                "a secret outside of the headers of {}",
                request.uri
            );
            assert_eq!(
                in_headers,
                whose == to,
                "a secret of {whose} in a call to {to}"
            );
        }
        to
    }

    fn answer(&self, to: &str, request: &http::Request<Bytes>) -> Response<Bytes> {
        let now = self.time.now();
        if to == KLAVIYO {
            self.klaviyo.borrow_mut().answer(now, request)
        } else {
            self.commercetools.borrow_mut().answer(now, request)
        }
    }

    /// What becomes of an answer to a call, which is told by its method and path.
    fn spoil(
        &self,
        call: &str,
        to: &str,
        answer: Response<Bytes>,
    ) -> Result<Response<Bytes>, TransportError> {
        let target = match to {
            KLAVIYO => Target::Klaviyo,
            _ if call.contains("/custom-objects") => Target::RunDocuments,
            _ => Target::Commercetools,
        };
        self.tamper.borrow_mut().spoil(target, call, answer)
    }
}

fn is_below(base: &str, uri: &Uri) -> bool {
    uri.to_string()
        .strip_prefix(base)
        .is_some_and(|rest| rest.starts_with('/'))
}

struct Network(Rc<World>);

impl Http for Network {
    fn send(
        &self,
        request: http::Request<Body>,
        limits: Limits,
    ) -> LocalFuture<'_, Result<Response<Bytes>, TransportError>> {
        let world = &self.0;
        Box::pin(async move {
            world.calls.set(world.calls.get() + 1);
            assert!(
                world.calls.get() < MOST_CALLS,
                "it never comes to an end: {} {}",
                request.method(),
                request.uri()
            );
            let (parts, body) = request.into_parts();
            let body = body.to_bytes();
            let to = world.address(&parts, &body);
            world.time.sleep(LATENCY).await;
            let path = parts.uri.path().to_owned();
            if to == SELF_URL {
                let app = world.app.borrow().upgrade();
                let app = app.ok_or(TransportError::Connection("closed".to_owned()))?;
                let request = Request {
                    method: parts.method,
                    path,
                    headers: parts.headers,
                    body,
                };
                return Ok(Box::pin(api::handle(&app, request)).await);
            }
            let call = format!("{} {path}", parts.method);
            let answer = world.answer(to, &http::Request::from_parts(parts, body));
            let answer = world.spoil(&call, to, answer)?;
            match answer.body().len() > limits.max_bytes {
                true => Err(TransportError::TooLarge {
                    limit: limits.max_bytes,
                }),
                false => Ok(answer),
            }
        })
    }
}

struct Lines(Rc<World>);

impl Log for Lines {
    fn line(&self, line: &str) {
        let event: Value = serde_json::from_str(line).expect("a log line in JSON");
        assert!(
            event["event"].is_string(),
            "a log line without its event: {line}"
        );
        self.0.assert_hides(line, false);
    }
}
