//! Both simulated APIs with an app in one thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use clock::Clock;
use http::{Request, Response};
use klaviyo_bulk_import::api;
use klaviyo_bulk_import::app::App;
use klaviyo_bulk_import::config::Config;
use klaviyo_bulk_import::ports::{LocalFuture, Ports};
use klaviyo_bulk_import::run::engine::Engine;
use sim::server::Server;
use sim::world::World;

use crate::call::{Answer, Call};
use crate::environment::{Answered, Destination, Environment, lost, ports};
use crate::executor::Executor;
use crate::operator::Operator;
use crate::setup::{BEGINNING, Setup, configuration, values};

/// The number of the only instance of a shop's app.
const INSTANCE: u64 = 0;

/// Somebody who looks at all that goes into an app and comes out of it, and may change it.
pub trait Interceptor {
    /// The app sends a call. With an answer given here, the call goes no further.
    fn request(&self, _to: Destination, _request: &Request<Bytes>) -> Option<Answered> {
        None
    }

    /// A call of the app, told by its method and path, has been answered.
    fn response(&self, _to: Destination, _call: &str, response: Response<Bytes>) -> Answered {
        Ok(response)
    }

    /// The app has tried to call somebody whom it must not.
    fn denied(&self, _request: &Request<Bytes>) {}

    /// The app has answered a caller.
    fn answer(&self, _call: &Call, _answer: &Response<Bytes>) {}

    /// The app writes a log line.
    fn log(&self, _line: &str) {}
}

/// Nobody: everything goes its way.
impl Interceptor for () {}

/// A shop with an app in it.
pub struct Shop {
    /// Both APIs.
    pub world: Rc<World>,
    variables: BTreeMap<&'static str, String>,
    surroundings: Rc<Surroundings>,
    app: Rc<App>,
}

struct Surroundings {
    executor: Executor,
    world: Rc<World>,
    interceptor: Rc<dyn Interceptor>,
    app: RefCell<Weak<App>>,
    /// The configuration of the instances that answer the app's calls to itself, if each has its own.
    instances: Option<Config>,
    log: RefCell<Vec<String>>,
}

/// Runs a test of a shop.
pub fn run<T>(setup: Setup, test: impl AsyncFnOnce(Shop) -> T) -> T {
    run_with(setup, Rc::new(()), test)
}

/// As [`run`], with an interceptor.
///
/// # Panics
/// Where the test waits for what never comes, or takes longer than the setup allows.
pub fn run_with<T>(
    setup: Setup,
    interceptor: Rc<dyn Interceptor>,
    test: impl AsyncFnOnce(Shop) -> T,
) -> T {
    let clock = Clock::virtual_from(BEGINNING);
    let executor = Executor::new(clock.clone(), 0);
    // the core's own dice: names of holders and writes, jitter
    fastrand::seed(0);
    let (longest, has_instances) = (setup.longest, setup.has_instance_per_call);
    let (options, variables) = setup.into_parts(clock.clone());
    let world = Rc::new(World::in_process(options));
    let shop = Shop::new(
        executor.clone(),
        world,
        interceptor,
        variables,
        has_instances,
    );
    let ended = executor.block_on(clock.within(longest, test(shop)));
    executor.clear();
    ended.expect("it goes on for ever")
}

impl Shop {
    fn new(
        executor: Executor,
        world: Rc<World>,
        interceptor: Rc<dyn Interceptor>,
        variables: BTreeMap<&'static str, String>,
        has_instances: bool,
    ) -> Self {
        let config = configuration(&values(&world, &variables)).expect("usable variables");
        let surroundings = Rc::new(Surroundings {
            executor,
            world: world.clone(),
            interceptor,
            app: RefCell::default(),
            instances: has_instances.then(|| config.clone()),
            log: RefCell::default(),
        });
        let app = Rc::new(App::new(config, ports(&surroundings, INSTANCE)));
        *surroundings.app.borrow_mut() = Rc::downgrade(&app);
        Self {
            world,
            variables,
            surroundings,
            app,
        }
    }

    /// Another app in the same world, with these variables besides.
    #[must_use]
    pub fn another(&self, variables: &[(&'static str, &str)]) -> Self {
        self.another_with(variables, self.surroundings.interceptor.clone())
    }

    /// As [`Shop::another`], with another interceptor.
    #[must_use]
    pub fn another_with(
        &self,
        variables: &[(&'static str, &str)],
        interceptor: Rc<dyn Interceptor>,
    ) -> Self {
        let mut all = self.variables.clone();
        all.extend(
            variables
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        let executor = self.surroundings.executor.clone();
        let has_instances = self.surroundings.instances.is_some();
        Self::new(
            executor,
            self.world.clone(),
            interceptor,
            all,
            has_instances,
        )
    }

    /// The app's ports, for tests of what is below the app.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.app.engine.ports.clone()
    }

    /// The app's engine, for tests of what it is made of.
    #[must_use]
    pub fn engine(&self) -> Rc<Engine> {
        self.app.engine.clone()
    }

    /// All variables of the app.
    #[must_use]
    pub fn values(&self) -> BTreeMap<String, String> {
        values(&self.world, &self.variables)
    }
}

impl Operator for Shop {
    fn world(&self) -> &World {
        &self.world
    }

    fn log(&self) -> Vec<String> {
        self.surroundings.log.borrow().clone()
    }

    async fn try_send(&self, call: Call) -> Option<Answer> {
        let answer = api::handle(&self.app, call.clone().into()).await;
        self.surroundings.interceptor.answer(&call, &answer);
        Some(answer.into())
    }

    async fn pass(&self, duration: Duration) {
        self.world.clock().sleep(duration).await;
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

impl Environment for Surroundings {
    fn executor(&self) -> &Executor {
        &self.executor
    }

    fn send(
        self: Rc<Self>,
        _instance: u64,
        to: Destination,
        request: Request<Bytes>,
    ) -> LocalFuture<'static, Answered> {
        let answered = self.interceptor.request(to, &request);
        let call = format!("{} {}", request.method(), request.uri().path());
        let (world, interceptor) = (self.world.clone(), self.interceptor.clone());
        let instance = match &self.instances {
            Some(config) if to == Destination::Itself => {
                let app = App::new(config.clone(), ports(&self, INSTANCE));
                Some(Rc::new(app))
            }
            _ => self.app.borrow().upgrade(),
        };
        Box::pin(async move {
            if let Some(answered) = answered {
                return answered;
            }
            let server: &Server = match to {
                Destination::Commercetools => world.commercetools_server(),
                Destination::Klaviyo => world.klaviyo_server(),
                Destination::Itself => {
                    let app = instance.ok_or_else(lost)?;
                    let (parts, body) = request.into_parts();
                    let call = Call {
                        method: parts.method,
                        path: parts.uri.path().to_owned(),
                        headers: parts.headers,
                        body,
                    };
                    return Ok(api::handle(&app, call.into()).await);
                }
            };
            let answer = server.call(request).await.ok_or_else(lost)?;
            interceptor.response(to, &call, answer)
        })
    }

    fn denied(&self, request: &Request<Bytes>) {
        self.interceptor.denied(request);
    }

    fn log(&self, _instance: u64, line: &str) {
        self.interceptor.log(line);
        self.log.borrow_mut().push(line.to_owned());
    }
}
