//! What a seed draws: the shop, the app's configuration, and what goes wrong.

use std::time::Duration;

use crate::extremes::{Down, Extremes};
use crate::traps::{self, Trap};
use fastrand::Rng;
use klaviyo_bulk_import::run::state::Resource;
use native::environment::Destination;
use sim::commercetools::UnknownAttributes;
use sim::faults::Fault;
use sim::klaviyo::{
    EntryErrors, Existing, ImportErrors, JobLimit, JobOrder, JobTimes, JobsOfOthers, Pointers,
    RateHeaders, SharedPhones, TooManyJobs,
};
use sim::seed::{Kind, Seed, Shop, Sizes};

/// What the operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Everything of one resource is to be in Klaviyo.
    Import(Resource),
    /// Everything of one resource is to be gone from Klaviyo.
    Deletion(Resource),
    /// All four resources, by one call.
    Plan,
}

impl Goal {
    /// The resources that it is about.
    pub(crate) fn resources(self) -> &'static [Resource] {
        const ALL: [[Resource; 1]; 4] = [
            [Resource::Customers],
            [Resource::Orders],
            [Resource::Categories],
            [Resource::Products],
        ];
        match self {
            Self::Plan => &Resource::ALL,
            Self::Import(resource) | Self::Deletion(resource) => &ALL[resource as usize],
        }
    }
}

/// Between whom a call travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// From the app to somebody.
    To(Destination),
    /// From an operator or a scheduler to the app.
    Outside,
}

impl Link {
    const ALL: [Self; 4] = [
        Self::To(Destination::Commercetools),
        Self::To(Destination::Klaviyo),
        Self::To(Destination::Itself),
        Self::Outside,
    ];

    fn is_to_an_api(self) -> bool {
        !matches!(self, Self::To(Destination::Itself) | Self::Outside)
    }
}

/// The chance that an instance is killed before a turn where hardly any window comes to its end.
const KILLS_WINDOWS: f64 = 0.03;
/// The size of large orders, in bytes.
const LARGE_ORDER: usize = 400_000;

/// How long an answer is held at most.
const LONGEST_HOLD: Duration = Duration::from_secs(90);

/// Something that happens to the whole world now and then, while things go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disturbance {
    /// commercetools accepts none of the tokens that it has given out.
    TokensRevoked,
    /// The API client has lost the scope to read.
    ScopeLost,
    /// Klaviyo does not know the key.
    KeyRevoked,
    /// Klaviyo cancels all jobs that are under way.
    JobsCancelled,
    /// All instances are killed.
    Restart,
    /// An instance's clock jumps.
    ClockJumps,
    /// Somebody changes, adds or deletes a record in commercetools.
    RecordChanges,
    /// Somebody stops the import and starts it again some time later.
    StopAndStart,
    /// Many callers continue at once.
    ContinuedByMany,
    /// Somebody starts it, although it has been started.
    StartedAgain,
}

const DISTURBANCES: [Disturbance; 10] = [
    Disturbance::TokensRevoked,
    Disturbance::ScopeLost,
    Disturbance::KeyRevoked,
    Disturbance::JobsCancelled,
    Disturbance::Restart,
    Disturbance::ClockJumps,
    Disturbance::RecordChanges,
    Disturbance::StopAndStart,
    Disturbance::ContinuedByMany,
    Disturbance::StartedAgain,
];

/// Everything that a seed decides before its history begins.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The seed.
    pub seed: u64,
    /// What is wanted.
    pub goal: Goal,
    pub(crate) shop: Seed,
    pub(crate) continuation: &'static str,
    pub(crate) window_seconds: u64,
    pub(crate) id_ranges: usize,
    /// The longest that a call usually travels, one way.
    pub(crate) latency: Duration,
    /// What goes wrong with calls over which link, and how likely. Answers are held for up to what their fault says.
    pub(crate) faults: Vec<(Link, Fault, f64)>,
    /// The chance that an instance is killed before a turn.
    pub(crate) kill: f64,
    /// The chance that an instance is paused before a turn.
    pub(crate) freeze: f64,
    /// Requests that one instance handles at a time.
    pub(crate) requests_an_instance: usize,
    /// What happens now and then, and how long it takes until it happens, on average.
    pub(crate) disturbances: Vec<(Disturbance, Duration)>,
    /// How long things go wrong.
    pub(crate) trouble: Duration,
    /// How often the scheduler ticks.
    pub(crate) tick: Duration,
    pub(crate) job_times: JobTimes,
    pub(crate) unrecorded: Unrecorded,
    /// One of so many records is refused by Klaviyo.
    pub(crate) refused: Option<u64>,
    pub(crate) token_lifetime: Duration,
    pub(crate) extremes: Extremes,
    pub(crate) trap: Option<Trap>,
}

/// How the APIs answer where that was never recorded, and is not documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unrecorded {
    pub(crate) entry_errors: EntryErrors,
    pub(crate) existing: Existing,
    pub(crate) import_errors: ImportErrors,
    pub(crate) rate_headers: RateHeaders,
    pub(crate) jobs_a_page: usize,
    pub(crate) shared_phones: SharedPhones,
    pub(crate) too_many_jobs: TooManyJobs,
    pub(crate) jobs_of_others: Option<JobsOfOthers>,
    pub(crate) unknown_attributes: UnknownAttributes,
    pub(crate) pointers: Pointers,
    pub(crate) job_limit: JobLimit,
    pub(crate) job_order: JobOrder,
    pub(crate) checks_emails_at_once: bool,
    pub(crate) included_variants: usize,
    pub(crate) complete_linkage: bool,
}

pub(crate) fn seconds(rng: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.u64(range.start * 1_000..range.end * 1_000))
}

pub(crate) fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}

/// An eighth up to ten per cent, and a few in between.
fn share(rng: &mut Rng) -> f64 {
    pick(rng, &[0.002, 0.01, 0.03, 0.06, 0.1])
}

impl Schedule {
    /// What this seed draws.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        let goal = match rng.u8(..10) {
            0 | 1 => Goal::Import(Resource::Customers),
            2 | 3 => Goal::Import(Resource::Orders),
            4 => Goal::Import(Resource::Categories),
            5 | 6 => Goal::Import(Resource::Products),
            7 => Goal::Deletion(Resource::Categories),
            8 => Goal::Deletion(Resource::Products),
            _ => Goal::Plan,
        };
        let is_quiet = rng.u8(..10) == 0;
        let mut faults = Vec::new();
        let mut disturbances = Vec::new();
        if !is_quiet {
            for link in Link::ALL {
                faults.extend(draw_faults(rng, link));
            }
            faults.extend(draw_copies(seed));
            for disturbance in DISTURBANCES {
                if rng.u8(..3) == 0 {
                    disturbances.push((disturbance, seconds(rng, 10..90)));
                }
            }
        }
        let is_killing = !is_quiet && rng.bool();
        let is_freezing = !is_quiet && rng.u8(..4) == 0;
        let window_seconds = pick(rng, &[1, 2, 5, 10, 20, 25]);
        // a window has to be long enough for a page and what belongs to it, as the handbook says
        let latency = match window_seconds {
            1 | 2 => pick(rng, &[5, 50, 200]),
            _ => pick(rng, &[5, 50, 200, 1_000]),
        };
        let extremes = Extremes::draw(seed, goal);
        let mut schedule = Self {
            seed,
            goal,
            shop: Seed {
                number: seed,
                sizes: draw_sizes(rng, goal),
                order_mean_bytes: pick(rng, &[6_000, 6_000, 8_000, 40_000]),
                shop: draw_shop(seed),
            },
            continuation: pick(rng, &["self", "self", "scheduler"]),
            window_seconds,
            id_ranges: pick(rng, &[1, 2, 3, 5, 8]),
            latency: Duration::from_millis(latency),
            faults,
            kill: if is_killing {
                pick(rng, &[0.0005, 0.002, 0.01])
            } else {
                0.0
            },
            freeze: if is_freezing {
                pick(rng, &[0.0005, 0.002])
            } else {
                0.0
            },
            requests_an_instance: pick(rng, &[1, 2, 16]),
            disturbances,
            trouble: seconds(rng, 20..240),
            tick: seconds(rng, 20..70),
            job_times: draw_job_times(rng, seed),
            unrecorded: draw_unrecorded(seed),
            refused: (rng.u8(..4) == 0).then_some(11),
            token_lifetime: pick(
                rng,
                &[Duration::from_secs(30), Duration::from_secs(172_800)],
            ),
            extremes,
            trap: None,
        };
        traps::set(&mut schedule);
        if schedule.extremes.kills_windows {
            schedule.kill = KILLS_WINDOWS;
        }
        if schedule.extremes.has_little_memory {
            schedule.shop.order_mean_bytes = LARGE_ORDER;
            schedule.shop.sizes.orders *= 4;
        }
        schedule
    }
}

impl Schedule {
    /// Whether it sets the trap with this name.
    #[must_use]
    pub fn sets(&self, name: &str) -> bool {
        self.trap.is_some_and(|trap| trap.name() == name)
    }

    /// Whether an import of products finds none of their categories in Klaviyo. Drawn apart, so that what else a seed
    /// draws does not depend on it.
    pub(crate) fn lacks_categories(&self) -> bool {
        let is_plain = !self.extremes.variants_go && self.refused.is_none() && !self.lives_on();
        let is_drawn = Rng::with_seed(self.seed ^ 0xca7e).u8(..3) > 0;
        self.goal == Goal::Import(Resource::Products) && is_plain && is_drawn
    }

    /// Whether some customers have the same phone number. Drawn apart, so that what else a seed draws does not depend on it.
    pub(crate) fn shares_phones(&self) -> bool {
        let unrecorded = &self.unrecorded;
        // a profile that is refused as a duplicate can be sent again only if its error can be read
        let is_mended = unrecorded.shared_phones != SharedPhones::Refuses
            || unrecorded.import_errors == ImportErrors::Documented;
        let is_drawn = Rng::with_seed(self.seed ^ 0x0f0e).bool();
        self.goal == Goal::Import(Resource::Customers)
            && self.refused.is_none()
            && is_mended
            && is_drawn
    }

    /// Whether a window is long enough for the calls that a page of products takes, one after the other: by night nobody
    /// lengthens it.
    pub(crate) fn has_time_for_pages(&self) -> bool {
        Duration::from_secs(self.window_seconds) >= self.latency * 10
    }

    /// Whether nothing goes wrong with calls to Klaviyo.
    pub(crate) fn klaviyo_always_answers(&self) -> bool {
        let klaviyo = Link::To(Destination::Klaviyo);
        let is_down = self
            .extremes
            .outage
            .is_some_and(|outage| outage.of == Down::Klaviyo);
        !is_down && self.faults.iter().all(|(link, ..)| *link != klaviyo)
    }
}

/// How variants and prices are kept; drawn apart, so that other seeds stay as they are.
fn draw_shop(seed: u64) -> Shop {
    let mut rng = Rng::with_seed(seed ^ 0x5407);
    match rng.u8(..10) {
        0 | 1 => Shop::Modular,
        2 => Shop::Standalone,
        3 => Shop::Mixed,
        _ => Shop::Usual,
    }
}

fn draw_job_times(rng: &mut Rng, seed: u64) -> JobTimes {
    let chosen = JobTimes::Chosen {
        queued: seconds(rng, 0..3),
        processing: pick(
            rng,
            &[
                Duration::from_millis(300),
                Duration::from_secs(4),
                Duration::from_secs(60),
            ],
        ),
        jitter: seconds(rng, 1..4),
    };
    match seed % 4 {
        0 => JobTimes::USUAL,
        1 => JobTimes::RECORDED,
        _ => chosen,
    }
}

/// What the component believes of listings of items without a source: so few linked variants are all.
const SURELY_ALL_INCLUDED: usize = 10;

/// Drawn apart, so that what else a seed draws does not depend on it.
fn draw_unrecorded(seed: u64) -> Unrecorded {
    let rng = &mut Rng::with_seed(seed ^ 0x0bec);
    let mut drawn = Unrecorded {
        entry_errors: pick(rng, &EntryErrors::ALL),
        existing: pick(rng, &Existing::ALL),
        import_errors: pick(
            rng,
            &[
                ImportErrors::Documented,
                ImportErrors::Documented,
                ImportErrors::WithoutPayload,
                ImportErrors::None,
                ImportErrors::Gone,
            ],
        ),
        rate_headers: pick(rng, &[RateHeaders::Recorded, RateHeaders::Documented]),
        jobs_a_page: pick(rng, &[10, 20, 100]),
        shared_phones: pick(rng, &SharedPhones::ALL),
        too_many_jobs: pick(rng, &TooManyJobs::ALL),
        jobs_of_others: draw_jobs_of_others(rng),
        unknown_attributes: pick(rng, &UnknownAttributes::ALL),
        pointers: pick(rng, &Pointers::ALL),
        job_limit: pick(
            rng,
            &[JobLimit::OfKind, JobLimit::OfKind, JobLimit::OfAccount],
        ),
        job_order: pick(rng, &JobOrder::ALL),
        checks_emails_at_once: rng.bool(),
        included_variants: pick(rng, &[25, 2, 100]),
        complete_linkage: rng.bool(),
    };
    // who includes few and links no others says nothing of those: the component takes few for all
    drawn.complete_linkage |= drawn.included_variants < SURELY_ALL_INCLUDED;
    drawn
}

/// Other apps leave no room for jobs now and then, or little, or all but a little.
fn draw_jobs_of_others(rng: &mut Rng) -> Option<JobsOfOthers> {
    let count = pick(rng, &[0, 0, 0, 0, 3, 497, 499, 500]);
    let take = seconds(rng, 10..120);
    (count > 0).then(|| JobsOfOthers {
        count,
        take,
        every: take + seconds(rng, 60..400),
    })
}

/// Writes to an API that arrive twice. Drawn apart, so that what else a seed draws does not depend on it.
fn draw_copies(seed: u64) -> Vec<(Link, Fault, f64)> {
    let rng = &mut Rng::with_seed(seed ^ 0xd0b1e);
    let links = Link::ALL.into_iter().filter(|link| link.is_to_an_api());
    let mut drawn = Vec::new();
    for link in links {
        if rng.u8(..3) == 0 {
            drawn.push((link, Fault::Double, share(rng)));
        }
    }
    drawn
}

fn draw_faults(rng: &mut Rng, link: Link) -> Vec<(Link, Fault, f64)> {
    let of_any = [
        Fault::LoseRequest,
        Fault::LoseAnswer,
        Fault::Hold(LONGEST_HOLD),
        Fault::Hang,
        Fault::refuse(503),
    ];
    let of_an_api = [
        Fault::HalfAnswer,
        Fault::refuse(500),
        Fault::refuse(429),
        Fault::throttle(3),
        Fault::throttle(50),
    ];
    let mut possible = of_any.to_vec();
    if link.is_to_an_api() {
        possible.extend(of_an_api);
    } else {
        possible.push(Fault::Double);
    }
    let mut drawn = Vec::new();
    for fault in possible {
        if rng.u8(..3) == 0 {
            drawn.push((link, fault, share(rng)));
        }
    }
    drawn
}

fn draw_sizes(rng: &mut Rng, goal: Goal) -> Sizes {
    let mut some = |most: u32| match rng.u8(..8) {
        0 => rng.u32(..3),
        _ => rng.u32(..most),
    };
    let empty = Sizes::default();
    match goal {
        Goal::Import(Resource::Customers) => Sizes {
            customers: some(160),
            ..empty
        },
        Goal::Import(Resource::Orders) => Sizes {
            customers: 10,
            orders: some(50),
            categories: 12,
            products: 15,
        },
        Goal::Import(Resource::Categories) | Goal::Deletion(Resource::Categories) => Sizes {
            categories: some(250),
            ..empty
        },
        Goal::Plan => Sizes {
            customers: some(50),
            orders: some(20),
            categories: some(30),
            products: some(20),
        },
        Goal::Import(Resource::Products) | Goal::Deletion(_) => Sizes {
            categories: 15,
            products: some(45),
            ..empty
        },
    }
}

/// The simulators' name of a resource's records.
pub(crate) fn kind(resource: Resource) -> Kind {
    match resource {
        Resource::Customers => Kind::Customer,
        Resource::Orders => Kind::Order,
        Resource::Categories => Kind::Category,
        Resource::Products => Kind::Product,
    }
}
