//! How many jobs of a kind Klaviyo takes, and how the refusal of one more is told from that of bad documents.
//!
//! How Klaviyo answers one job too many was never recorded. A 429 says itself that it is to be waited for. A 400 or 409
//! without a pointer looks as if a document were bad. Klaviyo is asked then how many jobs there are: those of other apps
//! count, and those of windows that were killed before they wrote them down. Whether the limit is one for each kind of job or
//! for all of them together is not documented either: where there are few of the kind, all are counted. Where no limit can be
//! the cause, the documents are.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use futures_util::lock::Mutex;

/// "The maximum number of jobs in progress at one time is 500", it says of each kind of catalog job. It is taken for a limit of
/// the kind; one of all kinds together is met as one that other apps use up.
pub const MAX_JOBS: usize = 500;
/// With at least so many jobs in progress, the limit may be the cause of a refusal. Fewer than the limit: jobs end between the
/// refusal and the count. If it was the cause all the same, there is room by then for the parts of a batch that is taken apart.
pub(super) const MANY_JOBS: usize = MAX_JOBS - 50;
/// With so many jobs of all kinds in progress, there is no limit to all of them together: Klaviyo has taken more. More than
/// that limit would be, as jobs begin and end while they are counted.
pub(super) const BEYOND_A_COMMON_LIMIT: usize = MAX_JOBS + 100;
/// What is left of the time of a request after the count: enough to note that it is to be waited.
pub(super) const AFTER_COUNT: Duration = Duration::from_millis(500);
/// How long to wait for jobs to end: about as long as most of them were recorded to take.
pub(super) const PAUSE: Duration = Duration::from_secs(10);
/// How long few jobs stay few: 75 may be submitted a second.
const FEW_FOR: Duration = Duration::from_secs(1);

/// What was counted of a kind of jobs: whether there are many, and until when that is taken for true.
pub(super) type Counted = Option<(bool, Duration)>;

/// What was counted of each kind of jobs, by its key. Whoever counts keeps the others waiting, who need not count then.
#[derive(Debug, Default)]
pub(super) struct JobLimits(RefCell<HashMap<&'static str, Rc<Mutex<Counted>>>>);

impl JobLimits {
    /// What was counted of this kind.
    pub(super) fn of(&self, kind: &'static str) -> Rc<Mutex<Counted>> {
        self.0.borrow_mut().entry(kind).or_default().clone()
    }
}

/// What to keep of a count at `now`.
pub(super) fn counted(are_many: bool, now: Duration) -> Counted {
    let lasts = if are_many { PAUSE } else { FEW_FOR };
    Some((are_many, now + lasts))
}
