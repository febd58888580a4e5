//! Imports customers as profiles.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::collection::{Collection, Records};
use super::context::Context;
use crate::error::Error;
use crate::klaviyo;
use crate::klaviyo::bulk::{self, BulkEndpoint};
use crate::klaviyo::job::JobState;
use crate::klaviyo::known_profiles;
use crate::klaviyo::profiles::{self, ImportError, ImportErrors, MAX_PROFILE_BYTES, Outcome};
use crate::mapping::{self, Skip, customer};
use crate::ports::LocalFuture;
use crate::run::import::{Import, JobAnswer, Jobs, KnownJobs, Mended, Refused};
use crate::run::page::{Page, PageQuery};
use crate::run::state::{Job, Note, RunOptions};
use crate::time::Deadline;

static ENDPOINTS: [&BulkEndpoint; 1] = [&profiles::BULK_IMPORT];

const CUSTOMERS: Collection = Collection {
    operation: "query customers",
    path: "customers",
    parameters: &[],
};

/// The import of customers.
pub struct Customers(Context);

impl Customers {
    /// The import, with the clients and options of the context.
    #[must_use]
    pub fn new(context: &Context) -> Self {
        Self(context.clone())
    }
}

impl Import for Customers {
    fn bulk_endpoints(&self) -> &'static [&'static BulkEndpoint] {
        &ENDPOINTS
    }

    fn batches_a_group(&self) -> usize {
        1
    }

    fn total(
        &self,
        options: &RunOptions,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<u64, Error>> {
        CUSTOMERS.total(&self.0.commercetools, options, deadline)
    }

    fn fetch(
        &self,
        query: PageQuery,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Page, Error>> {
        let context = self.0.clone();
        Box::pin(async move {
            let client = &context.commercetools;
            let records = CUSTOMERS.read(client, &query, deadline).await?;
            let shared = &context.shared_emails;
            let clients = (&**client, &*context.catalog);
            let owners = shared.owners(clients, &records, deadline);
            let known = known_profiles(&context, &records, deadline);
            let (owners, known) = futures_util::future::try_join(owners, known).await?;
            let options = context.options;
            Ok(records.into_page(Box::new(move |record, documents| {
                // emails matter only where some are shared or looked up
                let email = match owners.is_empty() && known.is_empty() {
                    true => None,
                    false => customer::email_key(record),
                };
                let email = email.as_deref();
                if let Some(email) = email {
                    let id = mapping::id(record).unwrap_or_default();
                    if let Some(other) = owners.other_than(&id, email) {
                        let other = other.to_owned();
                        return Err(Skip::SharedEmail { other });
                    }
                }
                let profile_id = email.and_then(|email| known.get(email)).map(String::as_str);
                let profile =
                    customer::profile(record, &options, profile_id, &mut documents.bytes)?;
                if documents.bytes.len() > MAX_PROFILE_BYTES {
                    return Err(Skip::TooLarge {
                        bytes: documents.bytes.len(),
                        most: MAX_PROFILE_BYTES,
                    });
                }
                if profile.email_left_out {
                    documents.notes.push(Note::EmailLeftOut);
                }
                if profile.phone_left_out {
                    documents.notes.push(Note::PhoneNumberLeftOut);
                }
                documents.push(0, 0, None);
                Ok(profile.id)
            })))
        })
    }

    fn jobs(&self, _kind: &str) -> Option<Box<dyn Jobs>> {
        Some(Box::new(ProfileJobs(self.0.klaviyo.clone())))
    }
}

/// The jobs that import profiles.
struct ProfileJobs(Rc<klaviyo::Client>);

impl Jobs for ProfileJobs {
    fn poll(
        &self,
        job: Job,
        _known: KnownJobs,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<JobAnswer, Error>> {
        let client = self.0.clone();
        Box::pin(async move {
            let is_first = job.errors_at.is_none();
            let mut failed = match is_first {
                true => match profiles::job(&client, &job.id, deadline).await? {
                    JobState::UnderWay => return Ok(JobAnswer::NotYet),
                    JobState::Cancelled => return Ok(JobAnswer::Cancelled),
                    JobState::Unknown => return Ok(JobAnswer::Unknown),
                    JobState::Complete(Outcome { failed }) => failed.unwrap_or(0),
                },
                false => 0,
            };
            let dealt_with = job.errors_read;
            let page = match failed {
                0 if is_first => ImportErrors::default(),
                _ => next_errors(&client, &job, deadline).await?,
            };
            if page.next.is_none() && !is_first {
                failed = match profiles::job(&client, &job.id, deadline).await? {
                    JobState::Complete(Outcome { failed }) => failed.unwrap_or(0),
                    _ => 0,
                };
            }
            let read = dealt_with + number_of_profiles(&page.errors);
            // failures that no error can be read of
            let unnamed = match page.next {
                Some(_) => 0,
                None => failed.saturating_sub(read),
            };
            let (refused, mended) = sorted(page.errors);
            Ok(JobAnswer::Read {
                refused,
                mended,
                unnamed,
                errors_at: page.next,
            })
        })
    }
}

/// The ids of the profiles that Klaviyo has of the customers' emails, by the email in lower case; none unless
/// `customer.deduplication.enabled` asks for it.
async fn known_profiles(
    context: &Context,
    records: &Records,
    deadline: Deadline,
) -> Result<HashMap<String, String>, Error> {
    if !context.options.sync.customer.deduplicates {
        return Ok(HashMap::new());
    }
    let emails: HashSet<String> = records.present().filter_map(customer::email).collect();
    let mut emails: Vec<String> = emails.into_iter().collect();
    emails.sort_unstable();
    known_profiles::of_emails(&context.klaviyo, &emails, deadline).await
}

/// How many profiles these errors are about. A profile may have several.
fn number_of_profiles(errors: &[ImportError]) -> u64 {
    let named = errors.iter().filter_map(|error| error.external_id.as_ref());
    let named: HashSet<&String> = named.collect();
    let unnamed = errors.iter().filter(|error| error.external_id.is_none());
    (named.len() + unnamed.count()) as u64
}

/// The profiles that are rejected, each once, and those that are sent again without what was rejected of them. One that has
/// an error of another kind as well would be rejected again.
fn sorted(errors: Vec<ImportError>) -> (Refused, Vec<Mended>) {
    let (mut refused, mut mended) = (Vec::new(), Vec::new());
    let unmended = errors.iter().filter(|error| error.mended.is_none());
    let rejected: HashSet<String> = unmended
        .filter_map(|error| error.external_id.clone())
        .collect();
    let mut told: HashSet<String> = HashSet::new();
    for error in errors {
        if let Some(id) = error
            .external_id
            .as_ref()
            .filter(|id| rejected.contains(*id))
            && (error.mended.is_some() || !told.insert(id.clone()))
        {
            continue;
        }
        let is_same = |one: &&mut Mended| one.id.is_some() && one.id == error.external_id;
        let earlier = mended.iter_mut().find(is_same);
        let (document, note) = match error.mended {
            Some(less) if let Some(earlier) = earlier => {
                leave_out_as_well(earlier, &less);
                continue;
            }
            Some(bulk::Mended::WithoutPhoneNumber(document)) => {
                (document, Note::SentAgainWithoutPhoneNumber)
            }
            Some(bulk::Mended::WithoutEmail(document)) => (document, Note::SentAgainWithoutEmail),
            None => {
                let reason = format!(
                    "Klaviyo did not import it: {} at {}",
                    error.code, error.field
                );
                refused.push((error.external_id, reason));
                continue;
            }
        };
        mended.push(Mended {
            id: error.external_id,
            document,
            notes: vec![note],
        });
    }
    (refused, mended)
}

/// Leaves out of a profile that is sent again what another error rejects of it. An error that says the same once more
/// changes nothing.
fn leave_out_as_well(profile: &mut Mended, less: &bulk::Mended) {
    let (document, note) = match less {
        bulk::Mended::WithoutPhoneNumber(_) => (
            customer::without_phone_number(&profile.document),
            Note::SentAgainWithoutPhoneNumber,
        ),
        bulk::Mended::WithoutEmail(_) => (
            customer::without_email(&profile.document),
            Note::SentAgainWithoutEmail,
        ),
    };
    if let Some(document) = document {
        profile.document = document;
        profile.notes.push(note);
    }
}

/// The next page of a job's errors. If Klaviyo no longer knows the stored page, reading begins again, without the
/// errors that have been dealt with. Errors that are gone (404) are none.
async fn next_errors(
    client: &klaviyo::Client,
    job: &Job,
    deadline: Deadline,
) -> Result<ImportErrors, Error> {
    if let Some(path) = &job.errors_at {
        match profiles::import_errors(client, path, deadline).await {
            Err(error) if error.is_rejection() => {}
            page => return page,
        }
    }
    let mut path = profiles::errors_path(&job.id);
    let mut dealt_with = usize::try_from(job.errors_read).unwrap_or(usize::MAX);
    loop {
        let mut page = match profiles::import_errors(client, &path, deadline).await {
            Err(error) if error.status() == Some(404) => return Ok(ImportErrors::default()),
            page => page?,
        };
        let here = dealt_with.min(page.errors.len());
        page.errors.drain(..here);
        dealt_with -= here;
        match page.next.take() {
            Some(next) if page.errors.is_empty() => path = next,
            next => {
                page.next = next;
                return Ok(page);
            }
        }
    }
}
