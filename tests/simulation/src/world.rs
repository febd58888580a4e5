//! A simulated world: both APIs in process, the app's instances, and the time that they share.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use clock::Clock;
use fastrand::Rng;
use jiff::Timestamp;
use klaviyo_bulk_import::config::Config;
use klaviyo_bulk_import::run::state::Resource;
use native::TOKEN;
use sim::commercetools::{Commercetools, RacingCreation, SCOPES};
use sim::klaviyo::{Choice, Klaviyo, Options};
use sim::seed::expected::Rules;
use sim::world::{COMMERCETOOLS, KLAVIYO, variables};

use crate::extremes::STAGING_KEY;
use crate::history::History;
use crate::instances::Instance;
use crate::phones;
use crate::records::is_refused;
use crate::schedule::{Goal, Schedule};
use crate::traps::{LITTLE_MEMORY, Memory, Sprung, Trap};
use crate::watch::Watch;
use native::executor::Executor;

/// The project's key.
const PROJECT: &str = "shop";
/// When every history begins.
const BEGINNING: Timestamp = Timestamp::constant(1_784_073_600, 0);
/// What the account's key is while the account does not know the app's.
const OTHER_KEY: &str = "pk_other";

/// Everything there is.
pub(crate) struct World {
    pub(crate) schedule: Schedule,
    pub(crate) executor: Executor,
    pub(crate) history: History,
    pub(crate) rng: RefCell<Rng>,
    pub(crate) project: RefCell<Commercetools>,
    pub(crate) klaviyo: RefCell<Klaviyo>,
    /// The app's configuration, and how often it has been changed.
    pub(crate) config: RefCell<(Config, u64)>,
    pub(crate) rules: Rules,
    pub(crate) instances: RefCell<BTreeMap<u64, Rc<Instance>>>,
    pub(crate) instances_made: Cell<u64>,
    /// By how much the clocks of instances are wrong, in seconds.
    pub(crate) clock_errors: RefCell<BTreeMap<u64, i64>>,
    pub(crate) watch: Watch,
    /// Whether things go wrong at the moment.
    pub(crate) is_troubled: Cell<bool>,
    /// How often all jobs have been cancelled.
    pub(crate) cancellations: Cell<u32>,
    /// Whether somebody has deleted items in Klaviyo.
    pub(crate) items_gone: Cell<bool>,
    /// The last run that prepared the goal: it does not reach it.
    pub(crate) prepared: RefCell<Option<String>>,
    /// How many removals the operator has confirmed.
    pub(crate) confirmed: Cell<Option<u64>>,
    /// When the trouble began.
    pub(crate) trouble_begun: Cell<Option<Duration>>,
    /// How many bytes of answers each instance holds.
    pub(crate) held: RefCell<BTreeMap<u64, Arc<AtomicUsize>>>,
    /// The instances of another deployment.
    pub(crate) others: RefCell<BTreeSet<u64>>,
    /// The resource of which commercetools gives no page.
    pub(crate) pages_refused: Cell<Option<Resource>>,
    /// What the trap has come to.
    pub(crate) sprung: Sprung,
    key: String,
}

impl World {
    pub(crate) fn new(schedule: Schedule) -> Rc<Self> {
        let mut project = Commercetools::new(PROJECT, schedule.shop);
        if schedule.shares_phones() {
            phones::share(&mut project, BEGINNING);
        }
        let rules = Rules::default();
        let options = klaviyo_options(&schedule);
        let key = options.api_key.clone();
        let config = configuration(&schedule, &project, &rules, &key);
        let seed = schedule.seed;
        let world = Self {
            executor: Executor::new(Clock::virtual_from(BEGINNING), seed ^ 0x5eed),
            history: History::default(),
            rng: RefCell::new(Rng::with_seed(seed ^ 0xfa7e)),
            project: RefCell::new(project),
            klaviyo: RefCell::new(Klaviyo::new(options)),
            config: RefCell::new((config, 0)),
            rules,
            instances: RefCell::default(),
            instances_made: Cell::default(),
            clock_errors: RefCell::default(),
            watch: Watch::default(),
            is_troubled: Cell::new(false),
            cancellations: Cell::new(0),
            items_gone: Cell::new(false),
            prepared: RefCell::default(),
            confirmed: Cell::new(None),
            trouble_begun: Cell::new(None),
            held: RefCell::default(),
            others: RefCell::default(),
            pages_refused: Cell::default(),
            sprung: Sprung::default(),
            key,
            schedule,
        };
        let mut project = world.project.borrow_mut();
        project.set_token_lifetime(world.schedule.token_lifetime);
        if seed.is_multiple_of(2) {
            project.refuse_racing_creations(RacingCreation::DuplicateField);
        }
        project.refuse_graphql(world.schedule.extremes.graphql);
        project.answer_unknown_attributes(world.schedule.unrecorded.unknown_attributes);
        drop(project);
        Rc::new(world)
    }

    /// The moment, as both APIs see it.
    pub(crate) fn now(&self) -> Timestamp {
        self.executor.clock().now()
    }

    pub(crate) fn note(&self, line: impl AsRef<str>) {
        self.history.note(self.executor.elapsed(), line);
    }

    /// True with this probability, while things go wrong.
    pub(crate) fn is_drawn(&self, chance: f64) -> bool {
        self.is_troubled.get() && chance > 0.0 && self.rng.borrow_mut().f64() < chance
    }

    /// A duration of up to `most`.
    pub(crate) fn up_to(&self, most: Duration) -> Duration {
        most.mul_f64(self.rng.borrow_mut().f64())
    }

    /// Things go wrong from now on.
    pub(crate) fn make_trouble(&self) {
        self.is_troubled.set(true);
        self.trouble_begun.set(Some(self.executor.elapsed()));
        if let (Some(one_of), Goal::Import(_)) = (self.schedule.refused, self.schedule.goal) {
            let choice = || Choice::By(Box::new(move |id| is_refused(id, one_of)));
            let mut klaviyo = self.klaviyo.borrow_mut();
            let options = klaviyo.options_mut();
            if self.schedule.seed.is_multiple_of(3) {
                options.refuse_imports = choice();
            } else {
                options.refuse_profiles = choice();
            }
            options.refuse_events = choice();
            options.refuse_entries = choice();
        }
        self.note("the trouble begins");
    }

    /// Things go as they should from now on.
    pub(crate) fn calm_down(&self) {
        self.is_troubled.set(false);
        self.give_scope(true);
        self.know_key(true);
        self.note("the trouble is over");
    }

    /// Gives or takes the scope to read records.
    pub(crate) fn give_scope(&self, is_given: bool) {
        let mut project = self.project.borrow_mut();
        if is_given {
            project.set_client_scopes(&SCOPES);
        } else {
            project.set_client_scopes(&["manage_key_value_documents"]);
            project.revoke_tokens();
        }
    }

    /// Lets Klaviyo know the app's key, or not.
    pub(crate) fn know_key(&self, is_known: bool) {
        let key = if is_known { &self.key } else { OTHER_KEY };
        key.clone_into(&mut self.klaviyo.borrow_mut().options_mut().api_key);
    }
}

fn klaviyo_options(schedule: &Schedule) -> Options {
    Options {
        seed: schedule.seed,
        job_times: schedule.job_times,
        entry_errors: schedule.unrecorded.entry_errors,
        existing: schedule.unrecorded.existing,
        import_errors: schedule.unrecorded.import_errors,
        rate_headers: schedule.unrecorded.rate_headers,
        jobs_a_page: schedule.unrecorded.jobs_a_page,
        shared_phones: schedule.unrecorded.shared_phones,
        too_many_jobs: schedule.unrecorded.too_many_jobs,
        jobs_of_others: schedule.unrecorded.jobs_of_others,
        other_accounts: [(STAGING_KEY.to_owned(), "Other1".to_owned())].into(),
        pointers: schedule.unrecorded.pointers,
        job_limit: schedule.unrecorded.job_limit,
        job_order: schedule.unrecorded.job_order,
        checks_emails_at_once: schedule.unrecorded.checks_emails_at_once,
        included_variants: schedule.unrecorded.included_variants,
        complete_linkage: schedule.unrecorded.complete_linkage,
        may_read_account: schedule.extremes.account_hidden.is_none(),
        ..Options::default()
    }
}

fn configuration(schedule: &Schedule, project: &Commercetools, rules: &Rules, key: &str) -> Config {
    let urls = [COMMERCETOOLS, KLAVIYO].map(str::to_owned);
    let mut values = variables(project, key, rules, urls);
    let own = [
        ("api_token", TOKEN.to_owned()),
        // whatever the client may do
        ("ct_scope", String::new()),
        ("continuation", schedule.continuation.to_owned()),
        ("window_seconds", schedule.window_seconds.to_string()),
        ("id_ranges", schedule.id_ranges.to_string()),
    ];
    values.extend(own.map(|(name, value)| (name.to_owned(), value)));
    if schedule.extremes.has_little_memory {
        let Memory { told_mib, .. } = match schedule.trap {
            Some(Trap::Memory(memory)) => memory,
            _ => LITTLE_MEMORY,
        };
        values.insert("memory_mib".to_owned(), told_mib.to_string());
    }
    native::setup::configuration(&values).expect("a usable configuration")
}
