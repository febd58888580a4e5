//! What a run of changes reads: records that were modified, and those that its [`Changes`] name.

use std::rc::Rc;

use jiff::Timestamp;

use crate::commercetools::Client;
use crate::error::Error;
use crate::json::Part;
use crate::resources::collection::{Collection, Records};
use crate::run::page::{PageQuery, Record};
use crate::run::state::{Changes, Cursor, IdRange, RunDocument, RunOptions, Source};
use crate::time::Deadline;

/// Modified records that are read in one part of the key space: a page or two.
const RECORDS_A_RANGE: u64 = 200;

/// What a run reads.
#[derive(Clone)]
pub(in crate::resources) struct Selection {
    /// The options under which the named records are read, or everything.
    others: Option<Rc<RunOptions>>,
    is_everywhere: bool,
    /// Records that were modified from the first time on, and before the second one, are read in any case.
    modified: Option<(Timestamp, Timestamp)>,
}

impl Selection {
    /// What this run reads.
    pub(in crate::resources) fn of(run: &RunDocument) -> Self {
        let changes = run.changes.as_ref();
        let others = changes.map(|Changes { ids, is_everywhere }| RunOptions {
            ids: (!is_everywhere).then(|| ids.iter().cloned().collect()),
            since: None,
            ..run.options.clone()
        });
        Self {
            others: others.map(Rc::new),
            is_everywhere: changes.is_some_and(|changes| changes.is_everywhere),
            modified: run.options.since.map(|since| (since, run.started_at)),
        }
    }

    /// The ranges of all that it reads. Where few records were modified, the key space is cut into fewer parts than are
    /// configured: each costs a request, even if nothing is in it.
    pub(in crate::resources) fn ranges(run: &RunDocument, configured: usize) -> Vec<IdRange> {
        let few = run.total.filter(|_| run.options.since.is_some());
        let parts = few.map_or(configured, |modified| {
            let needed = modified.div_ceil(RECORDS_A_RANGE).max(1);
            configured.min(usize::try_from(needed).unwrap_or(configured))
        });
        let mut ranges = Cursor::all_ranges(&run.options, parts);
        if run
            .changes
            .as_ref()
            .is_some_and(|changes| !changes.ids.is_empty())
        {
            ranges.push(IdRange::of_source(Source::Named));
        }
        ranges
    }

    /// Reads the next page of a range.
    ///
    /// # Errors
    /// As [`Collection::read`].
    pub(in crate::resources) async fn read(
        &self,
        client: &Client,
        collection: &Collection,
        query: &PageQuery,
        deadline: Deadline,
    ) -> Result<Records, Error> {
        let asked = self.query(query.clone());
        let mut records = collection.read(client, &asked, deadline).await?;
        // entries that are sent again are known by their names
        if asked.range.source == Some(Source::Named) && asked.range.entries.is_empty() {
            records.list.retain(|record| match record {
                Record::Present(record) => self.is_left(record.part()),
                // it is not published any more
                Record::Missing(_) => false,
            });
        }
        Ok(records)
    }

    /// The page that is read for one that is asked for.
    fn query(&self, query: PageQuery) -> PageQuery {
        let is_other = self.is_everywhere || query.range.source == Some(Source::Named);
        match &self.others {
            Some(options) if is_other => PageQuery {
                options: options.clone(),
                ..query
            },
            _ => query,
        }
    }

    /// Whether a record that is named is not sent because it was modified.
    fn is_left(&self, record: Part<'_>) -> bool {
        let modified = self.modified.zip(modified_at(record));
        modified.is_none_or(|((since, before), modified)| modified < since || modified >= before)
    }
}

fn modified_at(record: Part<'_>) -> Option<Timestamp> {
    let [modified] = record.pick(["lastModifiedAt"])?;
    modified?.filled_text()?.decoded().parse().ok()
}
