//! Traps: each is one thing that went wrong once, set up so that an app that does not mind it is caught by what comes of
//! it. A seed draws one at most, apart from everything else that it draws.
//!
//! - `peers`: what the APIs and the way to them do in a trap
//! - `people`: what the operator and others do in it, and what they expect
//! - `alone`: nobody but the app itself calls it

mod alone;
mod peers;
mod people;

pub(crate) use self::peers::{Caught, page_limit};

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use klaviyo_bulk_import::run::state::Resource;

use crate::extremes::Extremes;
use crate::schedule::{Goal, Schedule, pick};

/// The memory that an instance is told to have, and what it bears of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) told_mib: usize,
    pub(crate) bears_mib: usize,
}

/// Memory of the smallest instance: what is not held of answers is for what is made of them.
pub(crate) const LITTLE_MEMORY: Memory = Memory {
    told_mib: 48,
    bears_mib: 32,
};
/// The platform has far less than it promises: a window that takes what it was promised dies, and one that takes an eighth
/// of it lives.
const PROMISED_MEMORY: Memory = Memory {
    told_mib: 128,
    bears_mib: 8,
};

/// A seed whose history is told in `tests/seeds.rs` as it was before there were traps.
const WITHOUT_TRAP: u64 = 6_089;

/// How a page that is too large does not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slow {
    /// commercetools gives up after 20 s: 400 with the code `QueryTimedOut`.
    TimedOut,
    /// A gateway gives up: 502.
    BadGateway,
    /// There is no answer.
    Silence,
}

/// What does not arrive once while nobody but the app itself calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// What a plan says after it has begun runs, with every attempt to save it.
    PlanSave,
    /// What a window says at its end, for so long.
    LastSave(Duration),
    /// The first call of the app to itself.
    SelfCall,
}

/// What has been set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trap {
    /// The first start comes from several callers at once.
    RacingStarts,
    /// All writes to custom objects arrive twice, for as long as there are any.
    WritesTwice,
    /// The run document is deleted while its first window works, and somebody starts anew at once.
    DeletedAtWork,
    /// The platform ends every window before its first save, until the operator does something about it.
    DeadWindows,
    /// Pages of more records than this do not arrive.
    SlowPages(usize, Slow),
    /// Klaviyo answers with 503 whenever a certain record is in a request.
    PoisonousRecord,
    /// Klaviyo refuses whatever it is sent, until the operator mends the account.
    ShutAccount,
    /// What says that the run is over does not get through for a while.
    LostCompletion,
    /// Some of commercetools' answers come from a server whose clock is late.
    LateClock,
    /// Somebody stops the run while a batch is on its way.
    StopWhileSending,
    /// An instance dies where it holds more than it bears.
    Memory(Memory),
    /// No scheduler calls, and something does not arrive.
    NobodyCalls(Missing),
}

impl Trap {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RacingStarts => "RacingStarts",
            Self::WritesTwice => "WritesTwice",
            Self::DeletedAtWork => "DeletedAtWork",
            Self::DeadWindows => "DeadWindows",
            Self::SlowPages(..) => "SlowPages",
            Self::PoisonousRecord => "PoisonousRecord",
            Self::ShutAccount => "ShutAccount",
            Self::LostCompletion => "LostCompletion",
            Self::LateClock => "LateClock",
            Self::StopWhileSending => "StopWhileSending",
            Self::Memory(_) => "Memory",
            Self::NobodyCalls(_) => "NobodyCalls",
        }
    }

    fn draw(seed: u64, goal: Goal) -> Option<Self> {
        if seed == WITHOUT_TRAP {
            return None;
        }
        let rng = &mut Rng::with_seed(seed ^ 0x7a9);
        let is_import = matches!(goal, Goal::Import(_));
        let is_of = |resource| goal == Goal::Import(resource);
        let above = pick(rng, &[1, 3, 12]);
        let slow = pick(rng, &[Slow::TimedOut, Slow::BadGateway, Slow::Silence]);
        let memory = pick(rng, &[LITTLE_MEMORY, PROMISED_MEMORY]);
        let missing = alone::draw(seed, goal);
        let (trap, is_possible) = match rng.u8(..20) {
            0 => (Self::RacingStarts, is_import || goal == Goal::Plan),
            1 => (Self::WritesTwice, true),
            2 => (Self::DeletedAtWork, is_import),
            3 => (Self::DeadWindows, goal != Goal::Plan),
            4 => (Self::SlowPages(above, slow), is_import),
            5 => (
                Self::PoisonousRecord,
                is_import && !is_of(Resource::Products),
            ),
            6 => (Self::ShutAccount, is_import),
            7 => (Self::LostCompletion, is_import),
            8 => (Self::LateClock, true),
            9 => (Self::StopWhileSending, true),
            10 => (Self::Memory(memory), is_of(Resource::Orders)),
            11 | 12 => (Self::NobodyCalls(missing), true),
            _ => return None,
        };
        is_possible.then_some(trap)
    }
}

/// What the traps of a history have come to so far.
#[derive(Default)]
pub(crate) struct Sprung {
    /// Whether what the goal needs is there: the trap is set.
    pub(crate) is_set: Cell<bool>,
    /// Whether the platform has ended a window.
    has_ended_window: Cell<bool>,
    /// Whether the run whose windows it ends has been stored as failed.
    has_failed: Cell<bool>,
    /// Whether the operator has mended what was wrong.
    is_mended: Cell<bool>,
    /// Runs whose document somebody has deleted while they were worked on, and when.
    deleted: RefCell<BTreeMap<String, Timestamp>>,
    /// Instances that work on such a run, and until when they may: nobody can tell them before they save.
    orphans: RefCell<Vec<(u64, Timestamp)>>,
    /// Since when the end of the run does not get through.
    losing_since: Cell<Option<Duration>>,
    /// The answers that each instance has got from commercetools.
    answers: RefCell<BTreeMap<u64, u32>>,
    /// Stops while a batch was on its way.
    stops: Cell<u32>,
    /// How many who have stopped it so have not started it again yet.
    restarts_due: Cell<u32>,
    /// Since when what is missing has not arrived.
    missing_since: Cell<Option<Duration>>,
    /// The id of the record with which Klaviyo answers 503.
    poison: RefCell<Option<String>>,
}

/// Draws a trap, and fits the rest of the schedule to it: shops that are large enough, and no other trouble where that
/// would hide what is looked for.
pub(crate) fn set(schedule: &mut Schedule) {
    schedule.trap = Trap::draw(schedule.seed, schedule.goal);
    let Some(trap) = schedule.trap else { return };
    match trap {
        Trap::RacingStarts | Trap::WritesTwice | Trap::LateClock => {}
        Trap::DeletedAtWork => {
            calm(schedule);
            enlarge(schedule);
            schedule.window_seconds = schedule.window_seconds.max(5);
        }
        Trap::DeadWindows => calm(schedule),
        Trap::SlowPages(..) => schedule.extremes.has_little_memory = false,
        Trap::PoisonousRecord => {
            enlarge(schedule);
            schedule.refused = None;
        }
        Trap::ShutAccount => {
            calm(schedule);
            schedule.extremes.variants_go = false;
            enlarge(schedule);
            // more documents than it takes to tell that it is not the documents
            let products = &mut schedule.shop.sizes.products;
            *products = (*products).max(90);
            schedule.refused = None;
        }
        Trap::LostCompletion => {
            enlarge(schedule);
            schedule.refused = Some(11);
            schedule.window_seconds = schedule.window_seconds.min(5);
        }
        Trap::StopWhileSending => {
            enlarge(schedule);
            schedule.latency = Duration::from_millis(match schedule.window_seconds {
                1 | 2 => 200,
                _ => 1_000,
            });
        }
        Trap::NobodyCalls(_) => {
            calm(schedule);
            enlarge(schedule);
            schedule.continuation = "self";
            // one that cannot be saved for some seconds has time for that
            schedule.window_seconds = schedule.window_seconds.max(5);
        }
        Trap::Memory(_) => {
            calm(schedule);
            schedule.refused = None;
            schedule.extremes.has_little_memory = true;
            schedule.shop.sizes.orders = schedule.shop.sizes.orders.max(60);
            schedule.id_ranges = 8;
            schedule.window_seconds = schedule.window_seconds.max(5);
        }
    }
}

/// Nothing goes wrong but what the trap does.
fn calm(schedule: &mut Schedule) {
    schedule.faults.clear();
    schedule.disturbances.clear();
    schedule.kill = 0.0;
    schedule.freeze = 0.0;
    schedule.extremes = Extremes {
        graphql: schedule.extremes.graphql,
        variants_go: schedule.extremes.variants_go,
        ..Extremes::default()
    };
}

/// Enough records for several windows and requests.
fn enlarge(schedule: &mut Schedule) {
    let sizes = &mut schedule.shop.sizes;
    let least = |size: &mut u32, least: u32| {
        if *size > 0 || least > 0 {
            *size = (*size).max(least);
        }
    };
    match schedule.goal {
        Goal::Import(Resource::Customers) => least(&mut sizes.customers, 120),
        Goal::Import(Resource::Orders) => least(&mut sizes.orders, 40),
        Goal::Import(Resource::Categories) => least(&mut sizes.categories, 120),
        Goal::Import(Resource::Products) => least(&mut sizes.products, 30),
        Goal::Deletion(_) | Goal::Plan => {}
    }
}
