//! Customers as profiles.

use std::rc::Rc;

use super::page::{Collection, Page};
use super::{Import, JobAnswer, PageQuery};
use crate::api::App;
use crate::commercetools;
use crate::error::Error;
use crate::klaviyo;
use crate::klaviyo::batch::Lane;
use crate::klaviyo::profiles::{self, ImportError, JobState, MAX_PROFILE_BYTES};
use crate::mapping::{self, Skip, customer};
use crate::ports::{Deadline, LocalFuture};
use crate::run::cursor::Job;
use crate::run::group::Mended;
use crate::run::state::Order;

static LANES: [&Lane; 1] = [&profiles::LANE];

const CUSTOMERS: Collection = Collection {
    operation: "query customers",
    path: "customers",
    parameters: &[],
};

/// The import of customers.
pub struct Customers {
    commercetools: Rc<commercetools::Client>,
    klaviyo: Rc<klaviyo::Client>,
    options: Rc<mapping::Options>,
}

impl Customers {
    /// With the clients and options of the app.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self {
            commercetools: app.commercetools.clone(),
            klaviyo: app.klaviyo.clone(),
            options: app.options.clone(),
        }
    }
}

impl Import for Customers {
    fn lanes(&self) -> &'static [&'static Lane] {
        &LANES
    }

    fn batches_a_group(&self) -> usize {
        1
    }

    fn total(&self, order: &Order, deadline: Deadline) -> LocalFuture<'static, Result<u64, Error>> {
        let (client, order) = (self.commercetools.clone(), order.clone());
        Box::pin(async move { CUSTOMERS.total(&client, &order, deadline).await })
    }

    fn fetch(
        &self,
        query: PageQuery,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Page, Error>> {
        let (client, options) = (self.commercetools.clone(), self.options.clone());
        Box::pin(async move {
            let records = CUSTOMERS.read(&client, &query, deadline).await?;
            Ok(records.into_page(Box::new(move |record, documents| {
                let profile = customer::profile(record, &options, &mut documents.bytes)?;
                if documents.bytes.len() > MAX_PROFILE_BYTES {
                    return Err(Skip::TooLarge {
                        bytes: documents.bytes.len(),
                        most: MAX_PROFILE_BYTES,
                    });
                }
                if profile.phone_left_out {
                    documents.notes.push("phone-number-left-out");
                }
                documents.push(0, 0, None);
                Ok(profile.id)
            })))
        })
    }

    fn ask(&self, job: Job, deadline: Deadline) -> LocalFuture<'static, Result<JobAnswer, Error>> {
        let client = self.klaviyo.clone();
        Box::pin(async move {
            let path = match job.errors_at {
                Some(path) => path,
                None => match profiles::job(&client, &job.id, deadline).await? {
                    JobState::UnderWay => return Ok(JobAnswer::NotYet),
                    JobState::Cancelled => return Ok(JobAnswer::Cancelled),
                    JobState::Unknown => return Ok(JobAnswer::Unknown),
                    JobState::Complete { failed: 0 } => {
                        return Ok(JobAnswer::Read {
                            refused: Vec::new(),
                            mended: Vec::new(),
                            errors_at: None,
                        });
                    }
                    JobState::Complete { .. } => profiles::errors_path(&job.id),
                },
            };
            let page = profiles::import_errors(&client, &path, deadline).await?;
            let (mut refused, mut mended) = (Vec::new(), Vec::new());
            for ImportError {
                external_id,
                field,
                code,
                mended: document,
            } in page.errors
            {
                match document {
                    Some(document) => mended.push(Mended {
                        id: external_id,
                        document,
                    }),
                    None => refused.push((
                        external_id,
                        format!("Klaviyo did not import it: {code} at {field}"),
                    )),
                }
            }
            Ok(JobAnswer::Read {
                refused,
                mended,
                errors_at: page.next,
            })
        })
    }
}
