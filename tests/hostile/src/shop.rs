//! A small shop, somebody who tampers with what its APIs answer, and somebody who checks what goes in and out.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use native::environment::{Answered, Destination};
use native::{Answer, Call, Interceptor, Operator, Setup, TOKEN};
use serde_json::Value;
use sim::klaviyo;
use sim::seed::{Kind, Sizes};
use sim::world::World;

use crate::mutation::CANARY;
use crate::script::Script;
use crate::tamper::{Tamper, Target};

const KLAVIYO_KEY: &str = "pk_hostile_0123456789";
/// The keys of the app's custom objects.
const KEYS: [&str; 6] = [
    "customers",
    "orders",
    "categories",
    "products",
    "plan",
    "check",
];
/// Calls after which a run has got nowhere and never will.
const MOST_CALLS: u32 = 20_000;
/// The largest answer that a caller can be expected to take, in bytes: as large as commercetools lets run documents be.
const MOST_ANSWERED: usize = 2_000_000;

/// Which answers of the app may show the [`CANARY`]. Log lines never do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Echo {
    /// None: it came from an API.
    #[default]
    Never,
    /// Those that show a run document, as it is in there.
    OfDocuments,
    /// All: the caller has sent it.
    OfCallers,
}

/// A shop with an app in it.
pub struct Shop {
    shop: native::Shop,
    inspector: Rc<Inspector>,
}

/// Runs a test of a small shop of all kinds of records, where every answer, call and log line of the app is checked.
pub fn run<T>(continuation: &str, test: impl AsyncFnOnce(Shop) -> T) -> T {
    let mut setup = Setup::of(Sizes {
        customers: 5,
        orders: 4,
        categories: 4,
        products: 4,
    })
    .variable("continuation", continuation)
    .variable("id_ranges", "2")
    .latency_ms(30);
    setup.order_bytes = 6_000;
    setup.klaviyo = klaviyo::Options {
        api_key: KLAVIYO_KEY.to_owned(),
        ..klaviyo::Options::default()
    };
    // requests are made of what the APIs answer, however bad that is
    setup.check_contract = false;
    // bounded by calls
    setup.longest = Duration::MAX;
    let inspector = Rc::new(Inspector::default());
    native::shop::run_with(setup, inspector.clone(), async |shop| {
        inspector.get_to_know(&shop.world);
        test(Shop { shop, inspector }).await
    })
}

impl Shop {
    /// Tampers with answers from now on, as the script decides, until it is over.
    pub fn tamper(&self, target: Target, script: Script) {
        self.inspector
            .tamper
            .replace(Tamper::Script(target, script));
    }

    /// Has `spoil` change the answers from now on. It is shown method and path of the call.
    pub fn tamper_with(&self, spoil: impl FnMut(&str, &mut Response<Bytes>) + 'static) {
        self.inspector
            .tamper
            .replace(Tamper::Function(Box::new(spoil)));
    }

    /// Whether answers arrive as they were given.
    #[must_use]
    pub fn is_honest(&self) -> bool {
        self.inspector.tamper.borrow().is_over()
    }

    /// Lets answers arrive as they are given from now on.
    pub fn be_honest(&self) {
        self.inspector.tamper.take();
    }

    /// Lets answers show the [`CANARY`], or not.
    pub fn expect(&self, echo: Echo) {
        self.inspector.echo.set(echo);
    }

    /// Forgets how many calls there were: what comes now has as many again.
    pub fn begin_anew(&self) {
        self.inspector.calls.set(0);
    }

    /// All that the app keeps in commercetools.
    #[must_use]
    pub fn documents(&self) -> Vec<Option<Value>> {
        KEYS.map(|key| Some(self.stored(key)?.value)).into()
    }
}

impl Operator for Shop {
    fn world(&self) -> &World {
        self.shop.world()
    }

    fn log(&self) -> Vec<String> {
        self.shop.log()
    }

    async fn try_send(&self, call: Call) -> Option<Answer> {
        self.shop.try_send(call).await
    }

    async fn pass(&self, duration: Duration) {
        self.shop.pass(duration).await;
    }
}

/// Checks what goes in and out, and tampers with answers.
#[derive(Default)]
struct Inspector {
    tamper: RefCell<Tamper>,
    echo: Cell<Echo>,
    calls: Cell<u32>,
    /// Texts that nobody may be shown: credentials, and what identifies a person.
    hidden: OnceCell<BTreeSet<String>>,
    client_secret: OnceCell<String>,
}

impl Inspector {
    fn get_to_know(&self, world: &World) {
        world.commercetools(|project| {
            let secret = self
                .client_secret
                .get_or_init(|| project.client().1.to_owned());
            let hidden = [TOKEN, KLAVIYO_KEY, secret, CANARY].map(str::to_owned);
            let customers = project.ids(Kind::Customer).into_iter();
            let emails = customers.filter_map(|id| {
                let customer = project.record(Kind::Customer, id)?;
                Some(customer["email"].as_str()?.to_owned())
            });
            self.hidden.get_or_init(|| emails.chain(hidden).collect());
        });
    }

    fn assert_hides(&self, text: &str, may_show_canary: bool) {
        for hidden in self.hidden.get().into_iter().flatten() {
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

    /// Each gets its own credentials and nobody else's.
    fn assert_credentials(&self, to: Destination, request: &Request<Bytes>) {
        let secret = self.client_secret.get().map_or("", String::as_str);
        let owned = [
            (TOKEN, Some(Destination::Itself)),
            (KLAVIYO_KEY, Some(Destination::Klaviyo)),
            // in plain text it is nobody's
            (secret, None),
        ];
        for (secret, owner) in owned {
            let shows = |text: &[u8]| {
                let mut parts = text.windows(secret.len());
                parts.any(|part| part == secret.as_bytes())
            };
            let uri = request.uri();
            let mut values = request.headers().values();
            let in_headers = values.any(|value| shows(value.as_bytes()));
            let elsewhere = shows(uri.to_string().as_bytes()) || shows(request.body());
            assert!(!elsewhere, "a secret outside of the headers of {uri}");
            assert_eq!(
                in_headers,
                owner == Some(to),
                "a secret of {owner:?} in a call to {to:?}"
            );
        }
    }
}

impl Interceptor for Inspector {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        self.calls.set(self.calls.get() + 1);
        let (method, uri) = (request.method(), request.uri());
        let is_bounded = self.calls.get() < MOST_CALLS;
        assert!(is_bounded, "it never comes to an end: {method} {uri}");
        self.assert_credentials(to, request);
        None
    }

    fn response(&self, to: Destination, call: &str, response: Response<Bytes>) -> Answered {
        let target = match to {
            Destination::Klaviyo => Target::Klaviyo,
            _ if call.contains("/custom-objects") => Target::RunDocuments,
            _ => Target::Commercetools,
        };
        self.tamper.borrow_mut().spoil(target, call, response)
    }

    fn denied(&self, request: &Request<Bytes>) {
        panic!("a call to somebody else: {}", request.uri());
    }

    fn answer(&self, call: &Call, answer: &Response<Bytes>) {
        let text = std::str::from_utf8(answer.body()).expect("an answer in UTF-8");
        let status = answer.status().as_u16();
        let what = format!("{}: {status} {text}", call.path);
        let length = text.len();
        assert!(length < MOST_ANSWERED, "{length} bytes: {what:.2000}");
        let body: Value = serde_json::from_str(text).expect("an answer in JSON");
        if status >= 400 {
            for member in ["title", "detail"] {
                let is_said = body[member].as_str().is_some_and(|text| !text.is_empty());
                assert!(is_said, "an error without its {member}: {what}");
            }
            assert_eq!(body["status"], status, "{what}");
        }
        let may_show = match self.echo.get() {
            Echo::Never => false,
            Echo::OfDocuments => status < 500,
            Echo::OfCallers => true,
        };
        self.assert_hides(text, may_show);
    }

    fn log(&self, line: &str) {
        let event: Value = serde_json::from_str(line).expect("a log line in JSON");
        let is_named = event["event"].is_string();
        assert!(is_named, "a log line without its event: {line}");
        self.assert_hides(line, false);
    }
}
