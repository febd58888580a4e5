//! Imports in a simulated world, where one seed is one exact history.
//!
//! The app's core runs natively, with the simulated APIs in the same process, a virtual clock and a scheduler that the
//! seed decides. What a seed draws: which shop, which configuration, which of the calls get lost, refused, held, doubled
//! or cut in half, which instances are killed at which await, who stops, starts and continues when, which jobs are
//! cancelled, which records change. Then the trouble ends, and what must be true is looked at: the goal is
//! reached, Klaviyo has what the shop asks for and nothing else, nothing was sent without the lease or after a stop.
//!
//! - `schedule`: what a seed draws; `extremes`: what few seeds draw
//! - `world`, `instances`, `network`: the world that the app lives in
//! - `traps`: things that went wrong once, set up on purpose
//! - `operator`: the people and programs around it
//! - `nightly`: shops that live on after their import; `nights`: what is known at night of what was left undone by day
//! - `records`: records that change, and records that Klaviyo refuses; `phones`: customers who share a number
//! - `watch`: what must hold at every moment; `verdict`: what it must have come to
//! - `history`: what happened

mod extremes;
mod history;
mod instances;
mod network;
mod nightly;
mod nights;
mod operator;
mod phones;
mod records;
mod removals;
mod schedule;
mod traps;
mod verdict;
mod watch;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

pub use schedule::{Goal, Schedule};

use records::Unsettled;
use world::World;

/// What became of a seed.
#[derive(Debug)]
pub struct Outcome {
    /// What the seed drew.
    pub schedule: Schedule,
    /// What was wrong; empty is as it should be.
    pub wrong: Vec<String>,
    /// What happened.
    pub history: Vec<String>,
    /// A number that two different histories do not share.
    pub digest: u64,
}

impl Outcome {
    /// Whether everything was as it should be.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.wrong.is_empty()
    }
}

/// Lets the history of a seed happen.
#[must_use]
pub fn run(seed: u64) -> Outcome {
    let schedule = Schedule::draw(seed);
    // the core's own dice: names of holders and writes, jitter
    fastrand::seed(seed);
    let world = World::new(schedule.clone());
    let wrong = catch_unwind(AssertUnwindSafe(|| live(&world)));
    let wrong = wrong.unwrap_or_else(|_| vec!["a panic".to_owned()]);
    world.executor.clear();
    world.instances.borrow_mut().clear();
    let history = match Rc::try_unwrap(world) {
        Ok(world) => world.history.into_lines(),
        Err(_) => vec!["the history is kept by somebody".to_owned()],
    };
    Outcome {
        schedule,
        wrong,
        digest: history::digest(&history),
        history,
    }
}

fn live(world: &Rc<World>) -> Vec<String> {
    let unsettled = Rc::new(Unsettled::default());
    let outcome = world
        .executor
        .run(world.reach_goal(&unsettled), |instance| {
            interrupt(world, instance);
        });
    world.executor.clear();
    match outcome {
        None => vec!["nobody can go on".to_owned()],
        Some(Err(stuck)) => {
            let mut wrong = world.watch.violations();
            wrong.push(stuck);
            wrong
        }
        Some(Ok(())) => {
            let unsettled = Rc::try_unwrap(unsettled).unwrap_or_default();
            let except = world.not_asked_for(unsettled);
            world.verdict(&except).err().unwrap_or_default()
        }
    }
}

/// An instance may be killed or paused before its turn.
fn interrupt(world: &Rc<World>, instance: u64) {
    if world.is_drawn(world.schedule.kill) {
        world.kill(instance);
    } else if world.is_drawn(world.schedule.freeze) {
        let pause = world.up_to(LONGEST_PAUSE);
        world.note(format!("i{instance} is paused for {pause:?}"));
        world.executor.freeze(instance, pause);
    }
}

/// How long a machine is paused at most.
const LONGEST_PAUSE: std::time::Duration = std::time::Duration::from_secs(60);
