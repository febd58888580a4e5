//! The app's instances, as Spin has them: made when a request comes and none has room, handling several requests at a
//! time, gone when they are killed or idle.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use futures_channel::oneshot;
use http::Response;
use jiff::{SignedDuration, Timestamp};
use klaviyo_bulk_import::api::{self, Request};
use klaviyo_bulk_import::app::App;
use klaviyo_bulk_import::ports::LocalFuture;
use native::environment::{Answered, Destination, Environment, lost, ports};
use native::executor::Executor;

use crate::extremes::staging_key;
use crate::network::fly;
use crate::world::World;

/// By how much an instance's clock may be wrong, in seconds.
const CLOCK_ERRORS: [i64; 6] = [0, 0, 4, -4, 3_600, -31_536_000];

/// One instance.
pub(crate) struct Instance {
    app: Rc<App>,
    requests: Cell<usize>,
    /// Which of the app's configurations it has.
    deployment: u64,
}

/// The answer to come; there is none where the instance is killed.
pub(crate) type Delivered = oneshot::Receiver<Response<Bytes>>;

impl World {
    /// Hands a request to an instance.
    pub(crate) fn deliver(self: &Rc<Self>, request: Request) -> Delivered {
        let (number, instance) = self.instance();
        let (sender, receiver) = oneshot::channel();
        self.note(format!("i{number} <- {} {}", request.method, request.path));
        let world = Rc::clone(self);
        instance.requests.set(instance.requests.get() + 1);
        self.executor.spawn(Some(number), async move {
            let what = format!("{} {}", request.method, request.path);
            let response = api::handle(&instance.app, request).await;
            instance.requests.set(instance.requests.get() - 1);
            world.note(format!(
                "i{number} answers {what}: {}",
                response.status().as_u16()
            ));
            world.watch_answer(&what, &response);
            _ = sender.send(response);
        });
        receiver
    }

    /// An instance with room, one that is there or a new one.
    fn instance(self: &Rc<Self>) -> (u64, Rc<Instance>) {
        let most = self.schedule.requests_an_instance;
        let (config, deployment) = self.config.borrow().clone();
        let with_room: Vec<(u64, Rc<Instance>)> = {
            let instances = self.instances.borrow();
            let with_room = instances
                .iter()
                .filter(|(_, one)| one.requests.get() < most && one.deployment == deployment);
            with_room
                .map(|(number, one)| (*number, Rc::clone(one)))
                .collect()
        };
        let which = self.rng.borrow_mut().usize(..=with_room.len());
        if let Some(found) = with_room.into_iter().nth(which) {
            return found;
        }
        self.retire();
        let number = self.instances_made.get();
        self.instances_made.set(number + 1);
        let error = CLOCK_ERRORS[self.rng.borrow_mut().usize(..CLOCK_ERRORS.len())];
        self.clock_errors.borrow_mut().insert(number, error);
        let instance = Rc::new(Instance {
            app: Rc::new(App::new(config, ports(self, number))),
            requests: Cell::new(0),
            deployment,
        });
        self.instances
            .borrow_mut()
            .insert(number, Rc::clone(&instance));
        (number, instance)
    }

    /// Hands a request to an instance of another deployment, which has the key of another Klaviyo account.
    pub(crate) fn deliver_to_other(self: &Rc<Self>, request: Request) -> Delivered {
        let (mut config, _) = self.config.borrow().clone();
        config.klaviyo.auth_key = staging_key();
        let number = self.instances_made.get();
        self.instances_made.set(number + 1);
        self.others.borrow_mut().insert(number);
        let app = Rc::new(App::new(config, ports(self, number)));
        let (sender, receiver) = oneshot::channel();
        let world = Rc::clone(self);
        self.executor.spawn(Some(number), async move {
            let what = format!("{} {}", request.method, request.path);
            let status = api::handle(&app, request).await.status().as_u16();
            world.note(format!("i{number}, another's, answers {what}: {status}"));
            if status == 202 {
                let text = format!("another deployment was let in: {what}");
                world.watch.violation(text);
            }
            _ = sender.send(http::Response::new(Bytes::new()));
        });
        receiver
    }

    /// Idle instances are dropped some time.
    fn retire(&self) {
        let mut instances = self.instances.borrow_mut();
        instances
            .retain(|number, _| self.executor.is_busy(*number) || self.rng.borrow_mut().bool());
    }

    /// Kills an instance in the middle of whatever it does.
    pub(crate) fn kill(&self, number: u64) {
        self.note(format!("i{number} is killed"));
        self.executor.kill(number);
        self.instances.borrow_mut().remove(&number);
    }

    /// The numbers of the instances there are.
    pub(crate) fn alive(&self) -> Vec<u64> {
        self.instances.borrow().keys().copied().collect()
    }

    /// Sets the clock of an instance wrong in another way.
    pub(crate) fn let_clock_jump(&self, number: u64) {
        let error = self.rng.borrow_mut().i64(-7_200..7_200);
        if self.instances.borrow().contains_key(&number) {
            self.clock_errors.borrow_mut().insert(number, error);
            self.note(format!("i{number}'s clock jumps: {error} s wrong"));
        }
    }
}

impl Environment for World {
    fn executor(&self) -> &Executor {
        &self.executor
    }

    fn send(
        self: Rc<Self>,
        instance: u64,
        to: Destination,
        request: http::Request<Bytes>,
    ) -> LocalFuture<'static, Answered> {
        let sent = self.watch_call(instance, to, &request);
        self.end_window(instance, &request);
        if !sent.is_empty() {
            self.stop_while_sending();
        }
        let (sender, receiver) = oneshot::channel();
        let flight = fly(Rc::clone(&self), instance, to, request, sent, sender);
        self.executor.spawn(None, flight);
        Box::pin(async { receiver.await.unwrap_or_else(|_| Err(lost())) })
    }

    fn now(&self, instance: u64) -> Timestamp {
        let error = self.clock_errors.borrow().get(&instance).copied();
        let error = SignedDuration::from_secs(error.unwrap_or_default());
        self.now().checked_add(error).unwrap_or(Timestamp::MAX)
    }

    fn log(&self, instance: u64, line: &str) {
        self.note(format!("i{instance} logs {line}"));
    }
}
