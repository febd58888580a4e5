//! A simulated Klaviyo account, revision 2026-07-15: strict where the real one is, and some more.
//!
//! - `operation`: paths and methods, and the rate limit of each; `limits`: its windows
//! - `shape`, `bodies`: what request bodies may look like; `query`: what queries may
//! - `profiles`, `events`, `catalog`, `category`, `listing`, `accounts`: what the operations do
//! - `job`, `jobs`, `times`: the asynchronous jobs behind the bulk operations, and how long they take
//! - `bound`: the end that a perfect client would have reached with these jobs
//! - `options`: what a test can choose
//!
//! Answers have the shape of recorded answers of the real API; a test compares them with the recordings. What was never
//! recorded is an option, or a comment says where the belief comes from.
//!
//! What the account holds is in its [`Ledger`]. Lists, segments, subscriptions and flows are not simulated: asking for
//! them is refused like anything unknown.

mod accounts;
mod answer;
mod bodies;
mod bound;
mod call;
mod catalog;
mod category;
mod events;
mod job;
mod jobs;
mod limits;
mod listing;
mod operation;
mod options;
mod profiles;
mod query;
mod shape;
#[cfg(test)]
mod tests;
mod times;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Request, Response};
use jiff::Timestamp;

pub use answer::recorded_refusal;
pub use bound::{Windows, perfect_calls, perfect_time};
pub use operation::{Action, JobKind, Kind, Operation, Rate};
pub use options::{
    Choice, EntryErrors, Existing, ImportErrors, JobLimit, JobOrder, JobsOfOthers, Options,
    Pointers, RateHeaders, SharedPhones, TooManyJobs,
};
pub use times::{JobTimes, Recorded};

use crate::ledger::{Ledger, Nulls};
use crate::peer::Peer;
use answer::{MEDIA_TYPE, Refusal};
use call::Call;
use jobs::Jobs;
use limits::{RateLimits, Verdict};
use operation::{Route, route};
use query::Query;

/// The API revision that calls have to name.
pub const REVISION: &str = "2026-07-15";

/// A simulated Klaviyo account.
pub struct Klaviyo {
    options: Options,
    ledger: Ledger,
    limits: RateLimits,
    jobs: Jobs,
    /// Answers given so far, for the ids of errors.
    answers: u64,
}

impl Klaviyo {
    /// An empty account.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            jobs: Jobs::new(options.seed),
            options,
            ledger: Ledger::default(),
            limits: RateLimits::default(),
            answers: 0,
        }
    }

    /// What the account holds. Jobs take effect when their time is up *and* something happens: call
    /// [`Klaviyo::settle`] first to see all of it.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The settings, to change them as a test goes on.
    pub fn options_mut(&mut self) -> &mut Options {
        &mut self.options
    }

    /// Lets all jobs take effect whose time for it has come at `now`, in that order.
    pub fn settle(&mut self, now: Timestamp) {
        while let Some(due) = self.jobs.next_due(now) {
            let effect = match due.kind {
                JobKind::ProfileImport => {
                    profiles::run_import(due.at, due.records, &self.options, &mut self.ledger)
                }
                JobKind::Catalog(kind, action) => {
                    let job = (kind, action);
                    catalog::run_job(due.at, job, due.records, &self.options, &mut self.ledger)
                }
            };
            self.jobs.finish(&due.id, effect);
        }
    }

    /// The ids of the jobs that are not over at `now`, oldest first.
    #[must_use]
    pub fn unfinished_jobs(&self, now: Timestamp) -> Vec<String> {
        self.jobs.unfinished(now)
    }

    /// How many jobs there have been, finished ones included.
    #[must_use]
    pub fn jobs(&self) -> usize {
        self.jobs.len()
    }

    /// How many records the jobs of a kind have not taken so far.
    #[must_use]
    pub fn failures(&self, kind: JobKind) -> usize {
        self.jobs.failures(kind)
    }

    /// The kinds of the jobs after the first `so_many`, in the order of their submission, with when that was and how long
    /// they take from then on: see [`perfect_time`].
    #[must_use]
    pub fn jobs_after(&self, so_many: usize) -> Vec<(JobKind, Timestamp, std::time::Duration)> {
        self.jobs.times().skip(so_many).collect()
    }

    /// Cancels a job that is not over at `now`; what it has not done by then it does not do. Answers whether it was.
    pub fn cancel_job(&mut self, id: &str, now: Timestamp) -> bool {
        self.settle(now);
        self.jobs.cancel(id, now)
    }

    /// Cancels all jobs that are not over at `now`. Answers how many there were.
    pub fn cancel_unfinished_jobs(&mut self, now: Timestamp) -> usize {
        let jobs = self.unfinished_jobs(now);
        jobs.iter().filter(|job| self.cancel_job(job, now)).count()
    }

    /// Creates a profile behind the component's back, and answers its id.
    ///
    /// # Panics
    /// When the attributes are no object.
    pub fn put_profile(&mut self, attributes: &serde_json::Value) -> String {
        let attributes = attributes.as_object().expect("attributes");
        let profiles = &mut self.ledger.profiles;
        let made = profiles.upsert(Timestamp::UNIX_EPOCH, attributes, Nulls::Ignored);
        made.0
    }

    /// Somebody else creates a catalog entry, which must not be there.
    ///
    /// # Panics
    /// When the attributes are no object, and when the entry is there.
    pub fn put_entry(&mut self, kind: Kind, external_id: &str, attributes: &serde_json::Value) {
        let attributes = attributes.as_object().expect("attributes").clone();
        let catalog = &mut self.ledger.catalog;
        let made = catalog.create(Timestamp::UNIX_EPOCH, kind, external_id, attributes, &[]);
        assert!(made.is_ok(), "{external_id} is there");
    }

    /// Somebody else removes a catalog entry, by its external id. Answers whether it was there.
    pub fn remove_entry(&mut self, kind: Kind, external_id: &str) -> bool {
        self.ledger.catalog.delete(kind, external_id).is_ok()
    }

    fn handle(
        &mut self,
        operation: Operation,
        key: &str,
        call: &Call<'_>,
    ) -> Result<Response<Bytes>, Refusal> {
        let (options, ledger, jobs) = (&self.options, &mut self.ledger, &mut self.jobs);
        match operation {
            Operation::StartJob(JobKind::ProfileImport) => {
                profiles::start_import(call, options, jobs, ledger)
            }
            Operation::StartJob(JobKind::Catalog(kind, action)) => {
                catalog::start_job(call, (kind, action), options, jobs, ledger)
            }
            Operation::GetJob(kind) => jobs.get(call, kind, &ledger.catalog),
            Operation::ListJobs(kind) => jobs.list(call, kind, options),
            Operation::ListImportErrors => jobs.list_import_errors(call, options),
            Operation::BulkCreateEvents => events::create(call, options, ledger),
            Operation::ImportProfile => profiles::import_one(call, ledger),
            Operation::CreateProfile => profiles::create(call, ledger),
            Operation::UpdateProfile => profiles::update(call, ledger),
            Operation::ListProfiles => profiles::list(call, ledger),
            Operation::ListAccounts => accounts::list(call, key, options),
            Operation::ListCatalog(kind) => listing::list(call, kind, options, &ledger.catalog),
            Operation::ListVariantsOfItem => listing::list_variants_of_item(call, &ledger.catalog),
            Operation::CreateCategory => category::create(call, options, ledger),
        }
    }

    /// Checks the headers that every call needs, then rate limits, then lets the operation answer.
    fn admit(
        &mut self,
        now: Timestamp,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, Refusal> {
        let path = request.uri().path();
        let (operation, id) = match route(request.method(), path) {
            Route::To(operation, id) => (operation, id),
            Route::WrongMethod => return Err(Refusal::wrong_method(request.method())),
            Route::Unknown => return Err(Refusal::not_found(format!("There is no {path}."))),
        };
        let traffic = self.ledger.traffic_mut(operation);
        traffic.calls += 1;
        traffic.bytes += request.body().len() as u64;
        let key = key(request, operation, &self.options).inspect_err(|_| traffic.refused += 1)?;
        let left = match self.limits.admit(now, operation, &self.options) {
            Verdict::Passed(left) => left,
            Verdict::Throttled { retry_after } => {
                traffic.throttled += 1;
                let seconds = if retry_after == 1 {
                    "second"
                } else {
                    "seconds"
                };
                let detail = format!(
                    "Request was throttled. Expected available in {retry_after} {seconds}."
                );
                return Err(Refusal::throttled(retry_after, detail));
            }
        };
        let call = Call {
            now,
            id: id.as_deref().unwrap_or_default(),
            query: Query::parse(request.uri().query()),
            origin: &origin(request),
            path,
            body: request.body(),
        };
        let answered =
            check_headers(request, operation).and_then(|()| self.handle(operation, key, &call));
        let answer = answered.unwrap_or_else(|refusal| {
            let traffic = self.ledger.traffic_mut(operation);
            if refusal.is_throttled() {
                traffic.throttled += 1;
            } else {
                traffic.refused += 1;
            }
            refusal.into_response(&self.error_id())
        });
        Ok(with_rate_limit(answer, left, self.options.rate_headers))
    }

    fn error_id(&self) -> String {
        format!("answer {}", self.answers)
    }
}

impl Peer for Klaviyo {
    fn answer(&mut self, now: Timestamp, request: &Request<Bytes>) -> Response<Bytes> {
        self.settle(now);
        self.answers += 1;
        self.admit(now, request)
            .unwrap_or_else(|refusal| refusal.into_response(&self.error_id()))
    }
}

/// Every answer but a 429 says how much of a window is left.
fn with_rate_limit(
    mut answer: Response<Bytes>,
    left: limits::Left,
    how: RateHeaders,
) -> Response<Bytes> {
    if answer.status() != http::StatusCode::TOO_MANY_REQUESTS {
        left.write(how, answer.headers_mut());
    }
    answer
}

/// The key of a call, where it opens the operation. Of another account nothing is simulated but which it is.
fn key<'a>(
    request: &'a Request<Bytes>,
    operation: Operation,
    options: &Options,
) -> Result<&'a str, Refusal> {
    let given =
        header(request, AUTHORIZATION).and_then(|value| value.strip_prefix("Klaviyo-API-Key "));
    let is_ours = given == Some(options.api_key.as_str());
    let is_known = given.is_some_and(|given| options.other_accounts.contains_key(given));
    given
        .filter(|_| is_ours || (is_known && operation == Operation::ListAccounts))
        .ok_or_else(Refusal::unauthorized)
}

fn check_headers(request: &Request<Bytes>, operation: Operation) -> Result<(), Refusal> {
    let revisions: Vec<_> = request.headers().get_all("revision").iter().collect();
    if revisions != [REVISION] {
        return Err(Refusal::revision(format!(
            "The revision header has to be {REVISION}."
        )));
    }
    if header(request, ACCEPT) != Some(MEDIA_TYPE) {
        return Err(Refusal::not_acceptable());
    }
    if operation.has_body() && header(request, CONTENT_TYPE) != Some(MEDIA_TYPE) {
        return Err(Refusal::unsupported_media_type());
    }
    Ok(())
}

fn header(request: &Request<Bytes>, name: http::HeaderName) -> Option<&str> {
    request
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
}

/// Scheme and host as the caller named them: links in answers have to lead back here.
fn origin(request: &Request<Bytes>) -> String {
    let uri = request.uri();
    let scheme = uri.scheme_str().unwrap_or("http");
    let host = header(request, HOST)
        .or_else(|| uri.authority().map(|authority| authority.as_str()))
        .unwrap_or("127.0.0.1");
    format!("{scheme}://{host}")
}
