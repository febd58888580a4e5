//! Worlds that few seeds have: outages of hours, windows that are killed one after another, an instance that dies where
//! it holds too much, another deployment on the same project, a key that may not read its account at first. Drawn apart,
//! so that what else a seed draws does not depend on them.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use klaviyo_bulk_import::config::Secret;
use klaviyo_bulk_import::run::state::Resource;
use native::environment::Destination;
use native::{CONTAINER, Call};
use sim::commercetools::GraphqlRefusal;

use crate::schedule::{Goal, pick, seconds};
use crate::traps::LITTLE_MEMORY;
use crate::world::World;

/// The key of the other deployment's Klaviyo account.
pub(crate) const STAGING_KEY: &str = "pk_staging";
/// What an instance with little memory may hold of answers, in bytes: the rest is for what is made of them.
pub(crate) const MOST_HELD: usize = LITTLE_MEMORY.bears_mib << 20;

/// Who does not answer for hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Down {
    Commercetools,
    Tokens,
    Klaviyo,
}

/// An outage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    pub(crate) of: Down,
    /// How long after the trouble's beginning.
    pub(crate) after: Duration,
    pub(crate) lasts: Duration,
}

/// What a seed draws of these.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extremes {
    pub(crate) outage: Option<Outage>,
    /// Whether windows are killed one after another.
    pub(crate) kills_windows: bool,
    /// Whether an instance that holds too much dies, and records are large.
    pub(crate) has_little_memory: bool,
    /// Whether another deployment, of another Klaviyo account, uses the same project.
    pub(crate) has_other_deployment: bool,
    pub(crate) graphql: GraphqlRefusal,
    /// Whether somebody deletes the run document.
    pub(crate) deletes_document: bool,
    /// Whether the shop has lost most of its variants since the last import.
    pub(crate) variants_go: bool,
    /// How long after the trouble's beginning the key gets the scope to read its account, where it lacks it at first.
    pub(crate) account_hidden: Option<Duration>,
}

impl Extremes {
    pub(crate) fn draw(seed: u64, goal: Goal) -> Self {
        let rng = &mut Rng::with_seed(seed ^ 0xe87e);
        let is_import = matches!(goal, Goal::Import(_) | Goal::Plan);
        let mut extremes = Self {
            outage: (rng.u8(..12) == 0).then(|| Outage {
                of: pick(rng, &[Down::Commercetools, Down::Tokens, Down::Klaviyo]),
                after: seconds(rng, 1..60),
                lasts: seconds(rng, 180..6 * 3_600),
            }),
            kills_windows: rng.u8(..12) == 0,
            has_little_memory: is_import && rng.u8(..60) == 0,
            has_other_deployment: rng.u8(..6) == 0,
            graphql: pick(
                rng,
                &[
                    GraphqlRefusal::Forbidden,
                    GraphqlRefusal::Forbidden,
                    GraphqlRefusal::Errors,
                    GraphqlRefusal::Always,
                ],
            ),
            deletes_document: goal != Goal::Plan && rng.u8(..8) == 0,
            variants_go: goal == Goal::Import(Resource::Products) && rng.u8(..3) == 0,
            account_hidden: (rng.u8(..8) == 0).then(|| seconds(rng, 1..120)),
        };
        // a project without a document is the first one's who comes
        extremes.deletes_document &= !extremes.has_other_deployment;
        extremes
    }
}

/// Bytes that an instance holds until the last of them is dropped.
struct Held {
    bytes: Bytes,
    held: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

impl World {
    /// Whether the documents name the account of this app.
    fn is_ours(&self, resource: &str) -> bool {
        let project = self.project.borrow();
        let named = |key: &str| {
            let object = project.custom_object(CONTAINER, key)?;
            Some(object.value["destination"]["account"].is_string())
        };
        named(resource) == Some(true) && named("plan") != Some(false)
    }

    /// Whether a call does not get through to who is down.
    pub(crate) fn is_down(&self, to: Destination, path: &str) -> bool {
        let Some((outage, begun)) = self.schedule.extremes.outage.zip(self.trouble_begun.get())
        else {
            return false;
        };
        let is_of = match outage.of {
            Down::Commercetools => to == Destination::Commercetools,
            Down::Tokens => path.ends_with("/oauth/token"),
            Down::Klaviyo => to == Destination::Klaviyo,
        };
        let since = self.executor.elapsed().saturating_sub(begun);
        is_of && since >= outage.after && since < outage.after + outage.lasts
    }

    /// Lets the outage end, if there is one.
    pub(crate) async fn wait_for_outage(&self) {
        if let Some((outage, begun)) = self.schedule.extremes.outage.zip(self.trouble_begun.get()) {
            let end = begun + outage.after + outage.lasts;
            let left = end.saturating_sub(self.executor.elapsed());
            self.executor.sleep(left).await;
        }
    }

    /// An answer that the instance holds from now on; it dies where that is too much.
    pub(crate) fn hold(&self, instance: u64, bytes: Bytes) -> Bytes {
        if !self.schedule.extremes.has_little_memory {
            return bytes;
        }
        let held = self.held.borrow_mut().entry(instance).or_default().clone();
        let before = held.fetch_add(bytes.len(), Ordering::Relaxed);
        if before + bytes.len() > self.bears() {
            self.note(format!("i{instance} holds too much"));
            self.kill(instance);
        }
        Bytes::from_owner(Held { bytes, held })
    }

    /// Somebody deletes the run document now and then, while no invocation works: who is at work knows it only when it
    /// saves.
    pub(crate) fn let_document_vanish(self: &Rc<Self>) {
        if !self.schedule.extremes.deletes_document {
            return;
        }
        let world = Rc::clone(self);
        self.executor.spawn(None, async move {
            while world.is_troubled.get() {
                let pause = world.up_to(Duration::from_secs(60));
                world.executor.sleep(pause).await;
                let resource = world.schedule.goal.resources()[0];
                let mut project = world.project.borrow_mut();
                let object = project.custom_object(CONTAINER, resource.name());
                let is_free = object.is_some_and(|object| object.value["lease"].is_null());
                if world.is_troubled.get() && is_free {
                    world.note("somebody deletes the run document");
                    project.delete_custom_object(CONTAINER, resource.name());
                }
            }
        });
    }

    /// Somebody gives the key the scope to read its account: it is of the same one as before.
    pub(crate) fn let_account_be_read(self: &Rc<Self>) {
        let Some(after) = self.schedule.extremes.account_hidden else {
            return;
        };
        let world = Rc::clone(self);
        self.executor.spawn(None, async move {
            world.executor.sleep(after).await;
            world.note("the key may read its account");
            let mut klaviyo = world.klaviyo.borrow_mut();
            klaviyo.options_mut().may_read_account = true;
        });
    }

    /// The app of another Klaviyo account calls for everything that it can, as if the project were its own.
    pub(crate) fn let_others_in(self: &Rc<Self>) {
        if !self.schedule.extremes.has_other_deployment {
            return;
        }
        let world = Rc::clone(self);
        self.executor.spawn(None, async move {
            while world.is_troubled.get() {
                world
                    .executor
                    .sleep(world.up_to(Duration::from_secs(40)))
                    .await;
                let resource = world.schedule.goal.resources()[0];
                // a document that names nobody yet takes the first
                if !world.is_ours(resource.name()) {
                    continue;
                }
                let mut paths = vec![
                    format!("/sync/{resource}"),
                    format!("/sync/{resource}/continue"),
                    "/sync/continue".to_owned(),
                ];
                // a run is stopped where Klaviyo does not tell whose it is: that can be made good
                if world.schedule.klaviyo_always_answers() {
                    paths.push(format!("/sync/{resource}/stop"));
                    paths.push("/sync/stop".to_owned());
                }
                let which = world.rng.borrow_mut().usize(..paths.len());
                let call = Call::post(&paths[which], "");
                // nobody waits for the answer
                drop(world.deliver_to_other(call.into()));
            }
        });
    }
}

/// The key of the other deployment.
pub(crate) fn staging_key() -> Secret {
    Secret::from(STAGING_KEY.to_owned())
}
