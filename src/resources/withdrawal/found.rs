//! What is to be done about the entries of a page.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::presence::present;
use super::stage::{Source, Step, Withdrawal};
use crate::commercetools::query::is_id;
use crate::commercetools::scope::VIEW_PRODUCTS;
use crate::error::Error;
use crate::klaviyo::catalog::listing::{self, CatalogCollection, existing};
use crate::klaviyo::catalog::marks::projects_of_items;
use crate::mapping;
use crate::mapping::product::{compound_id, external_id};
use crate::resources::collection::Collection;
use crate::run::page::PageQuery;
use crate::run::state::RunOptions;
use crate::time::Deadline;

/// Products that are not published. Scope: `view_products`.
const UNPUBLISHED: Collection = Collection {
    operation: "query unpublished products",
    path: "products",
    parameters: &[("where", "masterData(published=false)")],
};

/// Published products, which are counted.
const PUBLISHED: Collection = Collection {
    operation: "count published products",
    path: "product-projections",
    parameters: &[("staged", "false")],
};

/// What is to be done about an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stays: commercetools has it.
    Present,
    /// It goes.
    Gone,
    /// It would go, if it said whose it is.
    Unmarked,
}

/// The entries of a page.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By external id.
    pub(super) verdicts: BTreeMap<String, Verdict>,
    /// How many entries Klaviyo has, about, that are never part of a page.
    pub(super) of_others: u64,
    /// Where the next page begins.
    pub(super) next: Option<String>,
}

impl Withdrawal {
    /// The entries of the next page, or those that are named.
    ///
    /// # Errors
    /// If one of the APIs does not respond or rejects the request.
    pub(super) async fn find(&self, query: &PageQuery, deadline: Deadline) -> Result<Found, Error> {
        let (ids, next) = match (&query.range.entries[..], self.source) {
            ([], Source::Listing) => self.list(query, deadline).await?,
            ([], Source::Unpublished(since)) => self.unpublished(query, since, deadline).await?,
            (named, _) => (named.to_vec(), None),
        };
        let mut verdicts = self.look(ids, deadline).await?;
        let mut of_others = 0;
        if matches!(self.source, Source::Unpublished(_)) {
            verdicts.retain(|_, verdict| *verdict == Verdict::Gone);
            if self.step == Step::Counting && query.range.after.is_none() && !verdicts.is_empty() {
                let client = &self.context.commercetools;
                let everything = RunOptions::default();
                of_others = PUBLISHED.total(client, &everything, deadline).await?;
            }
        }
        Ok(Found {
            verdicts,
            of_others,
            next,
        })
    }

    /// The external ids of a page of Klaviyo's listing, as far as they can be commercetools'.
    async fn list(
        &self,
        query: &PageQuery,
        deadline: Deadline,
    ) -> Result<(Vec<String>, Option<String>), Error> {
        let (client, collection) = (&self.context.klaviyo, self.collection);
        let after = query.range.after.as_deref();
        let path = after.unwrap_or(collection.path());
        let page = match listing::list(client, collection, path, deadline).await {
            // Klaviyo no longer knows the page: it is listed from the beginning
            Err(error) if error.is_rejection() && after.is_some() => {
                listing::list(client, collection, collection.path(), deadline).await?
            }
            page => page?,
        };
        let ids = page.ids.iter().map(|id| external_id(id));
        let ids = ids.filter(|id| is_id(id)).map(str::to_owned).collect();
        Ok((ids, page.next))
    }

    /// The ids of the next products that are not published.
    async fn unpublished(
        &self,
        query: &PageQuery,
        since: Timestamp,
        deadline: Deadline,
    ) -> Result<(Vec<String>, Option<String>), Error> {
        let client = &self.context.commercetools;
        if !client.may(VIEW_PRODUCTS, deadline).await? {
            return Ok((Vec::new(), None));
        }
        let options = RunOptions {
            since: Some(since),
            ..RunOptions::default()
        };
        let query = PageQuery {
            options: options.into(),
            ..query.clone()
        };
        let records = UNPUBLISHED.read(client, &query, deadline).await?;
        let ids = records.present().filter_map(mapping::id).collect();
        let next = records.last.clone().filter(|_| !records.is_last);
        Ok((ids, next))
    }

    /// What is to be done about the entries with these ids, as far as Klaviyo has them and they can be this project's.
    async fn look(
        &self,
        ids: Vec<String>,
        deadline: Deadline,
    ) -> Result<BTreeMap<String, Verdict>, Error> {
        let lookups = self.context.catalog.lookups();
        let ids = match self.source {
            Source::Listing => ids,
            Source::Unpublished(_) => self.in_klaviyo(ids, deadline).await?,
        };
        let asked: Vec<String> = ids.iter().map(|id| id.to_ascii_lowercase()).collect();
        let there = present(lookups, self.collection, &self.way, &asked, deadline).await?;
        let is_there = |id: &str| there.contains(&id.to_ascii_lowercase());
        let (present, gone): (Vec<String>, Vec<String>) =
            ids.into_iter().partition(|id| is_there(id));
        let mut verdicts: BTreeMap<String, Verdict> = present
            .into_iter()
            .map(|id| (id, Verdict::Present))
            .collect();
        let gone = match self.source {
            // commercetools has named them
            Source::Unpublished(_) => gone.into_iter().map(|id| (id, Verdict::Gone)).collect(),
            Source::Listing => self.marked(gone, deadline).await?,
        };
        verdicts.extend(gone);
        Ok(verdicts)
    }

    async fn in_klaviyo(&self, ids: Vec<String>, deadline: Deadline) -> Result<Vec<String>, Error> {
        let client = &self.context.klaviyo;
        let known: HashSet<String> = existing(client, self.collection, &ids, deadline).await?;
        let is_known = |id: &String| known.contains(&compound_id(id));
        Ok(ids.into_iter().filter(is_known).collect())
    }

    /// What becomes of entries that commercetools does not have: those of another project are left out.
    async fn marked(
        &self,
        gone: Vec<String>,
        deadline: Deadline,
    ) -> Result<Vec<(String, Verdict)>, Error> {
        let unmarked = match self.takes_unmarked {
            true => Verdict::Gone,
            false => Verdict::Unmarked,
        };
        if self.collection == CatalogCollection::Categories || gone.is_empty() {
            return Ok(gone.into_iter().map(|id| (id, unmarked)).collect());
        }
        let client = &self.context.klaviyo;
        let ids: Vec<String> = gone.iter().map(|id| compound_id(id)).collect();
        let projects = projects_of_items(client, &ids, deadline).await?;
        let own = &self.context.options.project;
        let verdicts = gone.into_iter().filter_map(|id| {
            let verdict = match projects.get(&compound_id(&id))? {
                Some(project) if project == own => Verdict::Gone,
                Some(_) => return None,
                None => unmarked,
            };
            Some((id, verdict))
        });
        Ok(verdicts.collect())
    }
}
