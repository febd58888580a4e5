//! Customers who share an email: commercetools allows it where customers belong to stores
//! (<https://docs.commercetools.com/api/projects/customers#customer>), and Klaviyo has one profile for an email.

use std::cell::Cell;
use std::collections::HashMap;
use std::time::Duration;

use super::collection::Records;
use super::paged_lookup::{Member, PagedLookup};
use super::shop_catalog::ShopCatalog;
use crate::commercetools::Client;
use crate::commercetools::query::Query;
use crate::error::Error;
use crate::mapping::customer;
use crate::time::Deadline;

/// Customers by email in any case. That a predicate can ask for `lowercaseEmail` is not in the API's description.
const BY_LOWERCASE_EMAIL: PagedLookup = PagedLookup {
    operation: "query customers by email",
    path: "customers",
    parameters: &[],
    member: Member::Own("lowercaseEmail"),
    unseen_bytes: 8_000,
};
/// Customers by email as it is written, where the other one is refused.
const BY_EMAIL: PagedLookup = PagedLookup {
    member: Member::Own("email"),
    ..BY_LOWERCASE_EMAIL
};
/// The customers of stores: the others have an email each.
const OF_STORES: &[(&str, &str)] = &[("where", "stores is not empty")];
/// The largest response to a query without records that is read, in bytes.
const MAX_TOTAL_BYTES: usize = 64 * 1024;
/// How long it is taken for granted that no customer belongs to a store.
const FRESH: Duration = Duration::from_secs(300);

/// Finds out which customers share an email, for as long as the instance lives.
#[derive(Debug, Default)]
pub struct SharedEmails {
    /// When it was seen that no customer belongs to a store, on this instance's monotonic clock.
    none_of_stores: Cell<Option<Duration>>,
    takes_only_written: Cell<bool>,
}

/// The customers that keep the emails of a page: of those with the same email, the one with the first id.
#[derive(Debug, Default)]
pub(super) struct EmailOwners(HashMap<String, String>);

impl EmailOwners {
    /// Whether nobody shares an email.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The other customer that keeps this one's email.
    pub(super) fn other_than(&self, id: &str, email: &str) -> Option<&str> {
        let owner = self.0.get(email)?;
        (owner != id).then_some(owner)
    }
}

impl SharedEmails {
    /// Who keeps the emails of these customers. Where no customer belongs to a store nobody shares one, and nothing is
    /// looked up.
    ///
    /// # Errors
    /// If commercetools does not respond or rejects the request.
    pub(super) async fn owners(
        &self,
        (client, catalog): (&Client, &ShopCatalog),
        records: &Records,
        deadline: Deadline,
    ) -> Result<EmailOwners, Error> {
        let has_stores = records.present().any(customer::has_stores);
        if !has_stores && !self.has_customers_of_stores(client, deadline).await? {
            return Ok(EmailOwners::default());
        }
        let emails = records.present().filter_map(customer::email_key);
        let mut emails: Vec<String> = emails.collect();
        emails.sort_unstable();
        emails.dedup();
        if !self.takes_only_written.get() {
            match owners_of(catalog, &BY_LOWERCASE_EMAIL, &emails, deadline).await {
                Err(error) if error.is_rejection() => self.takes_only_written.set(true),
                owners => return owners,
            }
        }
        emails.extend(records.present().filter_map(customer::email));
        emails.sort_unstable();
        emails.dedup();
        owners_of(catalog, &BY_EMAIL, &emails, deadline).await
    }

    async fn has_customers_of_stores(
        &self,
        client: &Client,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        let now = client.monotonic();
        let seen = self.none_of_stores.get();
        if seen.is_some_and(|seen| now.saturating_sub(seen) < FRESH) {
            return Ok(false);
        }
        let query = Query {
            parameters: OF_STORES,
            ..Query::all("count customers of stores", "customers", MAX_TOTAL_BYTES)
        };
        match client.total(&query, deadline).await {
            Ok(0) => self.none_of_stores.set(Some(now)),
            Ok(_) => return Ok(true),
            // a predicate that is refused says nothing of the customers
            Err(error) if error.is_rejection() => return Ok(true),
            Err(error) => return Err(error),
        }
        Ok(false)
    }
}

async fn owners_of(
    catalog: &ShopCatalog,
    lookup: &PagedLookup,
    emails: &[String],
    deadline: Deadline,
) -> Result<EmailOwners, Error> {
    let mut owners: HashMap<String, String> = HashMap::new();
    let lookups = catalog.lookups();
    let found = lookups.pages(lookup, emails, deadline, |customer| {
        let (id, email) = (
            crate::mapping::id(customer.part()),
            customer::email_key(customer.part()),
        );
        if let (Some(id), Some(email)) = (id, email) {
            let owner = owners.entry(email).or_insert_with(|| id.clone());
            if id < *owner {
                *owner = id;
            }
        }
        Ok(())
    });
    found.await?;
    Ok(EmailOwners(owners))
}
