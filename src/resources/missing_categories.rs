//! Creates the categories that items need and Klaviyo lacks: Klaviyo rejects an item for one category that it does not
//! have.
//!
//! This is for imports of products alone, and for categories that are new since categories were imported. They are created
//! one by one while a page of products is read, so that its items can be sent as soon as it is there. An import of
//! categories creates them faster, in bulk, and updates those that Klaviyo has.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use futures_util::lock::Mutex;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::shop_catalog::Nodes;
use crate::error::Error;
use crate::klaviyo::Client;
use crate::klaviyo::catalog::category::create;
use crate::klaviyo::catalog::listing::{CatalogCollection, existing};
use crate::mapping::category::entry_of;
use crate::mapping::product::{Write, compound_id};
use crate::time::Deadline;

/// The most ids that are kept; each takes about 100 bytes.
const MOST_IDS: usize = 20_000;
/// The most requests that create at the same time: 75 a second that take 300 ms each are 23.
const MAX_REQUESTS: usize = 24;

/// Which categories Klaviyo is known to have, for as long as the instance lives.
#[derive(Debug, Default)]
pub struct MissingCategories {
    known: RefCell<HashSet<Rc<str>>>,
    /// Held while categories are looked up and created, so that two pages do not create the same ones.
    turn: Mutex<()>,
}

impl MissingCategories {
    /// Creates those of these categories that Klaviyo lacks and that have a name. With `anew` nothing is taken for known.
    /// Returns how many were created. One that Klaviyo rejects stays missing, and is named by the items that it rejects
    /// for it.
    ///
    /// # Errors
    /// If Klaviyo does not respond, or rejects a request for another reason than what is in it.
    pub(super) async fn create(
        &self,
        client: &Client,
        nodes: &Nodes,
        anew: bool,
        deadline: Deadline,
    ) -> Result<usize, Error> {
        if !anew && self.unknown(nodes).is_empty() {
            return Ok(0);
        }
        let _turn = self.turn.lock().await;
        let mut wanted: Vec<Rc<str>> = match anew {
            true => nodes.named().map(|(id, ..)| id.clone()).collect(),
            false => self.unknown(nodes),
        };
        wanted.sort_unstable();
        let missing = self.look_up(client, &wanted, deadline).await?;
        if missing.is_empty() {
            return Ok(0);
        }
        let entries = nodes.named().filter(|(id, ..)| missing.contains(*id));
        let entries: Vec<(Rc<str>, Vec<u8>)> = entries
            .map(|(id, name, ancestors)| {
                let mut entry = Vec::new();
                let ancestors = ancestors.iter().map(AsRef::as_ref);
                entry_of(id, name, ancestors, nodes, Write::Create, &mut entry);
                (id.clone(), entry)
            })
            .collect();
        let created: Vec<bool> = stream::iter(entries)
            .map(async |(id, entry)| {
                let is_created = create(client, &entry, deadline).await?;
                if is_created {
                    self.keep(id);
                }
                Ok::<_, Error>(is_created)
            })
            .buffer_unordered(MAX_REQUESTS)
            .try_collect()
            .await?;
        Ok(created.into_iter().filter(|&is_created| is_created).count())
    }

    /// Those that are not known.
    fn unknown(&self, nodes: &Nodes) -> Vec<Rc<str>> {
        let known = self.known.borrow();
        let ids = nodes.named().map(|(id, ..)| id);
        ids.filter(|id| !known.contains(*id)).cloned().collect()
    }

    /// Those that Klaviyo lacks.
    async fn look_up(
        &self,
        client: &Client,
        wanted: &[Rc<str>],
        deadline: Deadline,
    ) -> Result<HashSet<Rc<str>>, Error> {
        let ids: Vec<String> = wanted.iter().map(|id| id.to_string()).collect();
        let there = existing(client, CatalogCollection::Categories, &ids, deadline).await?;
        let (there, missing): (Vec<&Rc<str>>, _) = wanted
            .iter()
            .partition(|id| there.contains(&compound_id(id)));
        for id in there {
            self.keep(id.clone());
        }
        Ok(missing.into_iter().cloned().collect())
    }

    fn keep(&self, id: Rc<str>) {
        let mut known = self.known.borrow_mut();
        if known.len() >= MOST_IDS {
            known.clear();
        }
        known.insert(id);
    }
}
