//! What a history must have come to.

use std::collections::BTreeSet;

use klaviyo_bulk_import::run::state::{Outcome, Resource, RunDocument, Status};
use native::CONTAINER;
use sim::comparison::{Summary, compare_except};
use sim::klaviyo::Kind;

use crate::schedule::{Disturbance, Goal, kind};
use crate::world::World;

impl World {
    /// Looks whether the history has reached its goal.
    ///
    /// # Errors
    /// What is not as it should be.
    pub(crate) fn verdict(&self, except: &BTreeSet<String>) -> Result<Summary, Vec<String>> {
        let mut wrong = self.watch.violations();
        let goal = self.schedule.goal;
        self.klaviyo.borrow_mut().settle(self.now());
        for &resource in goal.resources() {
            wrong.extend(self.run_is_sound(resource).err());
        }
        let found = match goal {
            Goal::Import(_) | Goal::Plan => self.everything_is_there(except),
            Goal::Deletion(resource) => self.nothing_is_left(resource),
        };
        match found {
            Ok(summary) if wrong.is_empty() => Ok(summary),
            Ok(_) => Err(wrong),
            Err(text) => {
                wrong.push(text);
                Err(wrong)
            }
        }
    }

    fn everything_is_there(&self, except: &BTreeSet<String>) -> Result<Summary, String> {
        let resources = self.schedule.goal.resources().iter();
        let mut kinds: Vec<_> = resources.map(|&resource| kind(resource)).collect();
        if self.schedule.lives_on() {
            kinds.push(kind(Resource::Categories));
        }
        let project = self.project.borrow();
        let klaviyo = self.klaviyo.borrow();
        let is_lacking = self.schedule.lacks_categories();
        if is_lacking {
            kinds.push(kind(Resource::Categories));
        }
        let found = klaviyo.ledger().catalog().entries(Kind::Category);
        // of those that no product is in, none is asked for
        let is_asked_for = |name: &str| !is_lacking || found.contains_key(name);
        let is_category = |name: &str| {
            let id = name.parse().ok();
            id.is_some_and(|id| project.record(kind(Resource::Categories), id).is_some())
        };
        let sharing = self.sharing();
        let is_left_out = |name: &str| {
            except.contains(name)
                || sharing.contains(name)
                || (is_category(name) && !is_asked_for(name))
        };
        self.sharing_are_themselves(except)?;
        compare_except(
            &project,
            klaviyo.ledger(),
            &self.rules,
            self.now(),
            &kinds,
            &is_left_out,
        )
        .map_err(|differences| differences.to_string())
    }

    fn nothing_is_left(&self, resource: Resource) -> Result<Summary, String> {
        let kinds: &[Kind] = match resource {
            Resource::Products => &[Kind::Item, Kind::Variant],
            _ => &[Kind::Category],
        };
        let klaviyo = self.klaviyo.borrow();
        let left: usize = kinds
            .iter()
            .map(|kind| klaviyo.ledger().catalog().entries(*kind).len())
            .sum();
        match left {
            0 => Ok(Summary::default()),
            left => Err(format!("{left} entries are left in Klaviyo")),
        }
    }

    /// What failed in the last run is remembered, by the ids that its report names.
    fn failures_are_remembered(&self, document: &RunDocument) -> Result<(), String> {
        let resource = document.resource;
        let project = self.project.borrow();
        let remembered = project.custom_object(CONTAINER, &format!("{resource}-failures"));
        let lists = ["remembered", "failed"].into_iter().filter_map(|name| {
            let ids = remembered?.value[name].clone();
            serde_json::from_value::<BTreeSet<String>>(ids).ok()
        });
        let ids: BTreeSet<String> = lists.flatten().collect();
        let failed = document
            .set_aside
            .iter()
            .filter(|record| record.outcome == Outcome::Failed);
        let forgotten: Vec<&String> = failed
            .filter_map(|record| record.id.as_ref())
            .filter(|id| !ids.contains(*id))
            .collect();
        match (
            forgotten.is_empty(),
            document.remembered_failures < ids.len() as u64,
        ) {
            (true, false) => Ok(()),
            _ => Err(format!(
                "{resource}: {forgotten:?} are not remembered; {} are said to be, of {}",
                document.remembered_failures,
                ids.len()
            )),
        }
    }

    /// The run document says that it is over, and counts every record once.
    fn run_is_sound(&self, resource: Resource) -> Result<(), String> {
        let project = self.project.borrow();
        let object = project
            .custom_object(CONTAINER, resource.name())
            .ok_or_else(|| format!("{resource}: no run document"))?;
        let document: RunDocument = serde_json::from_value(object.value.clone())
            .map_err(|error| format!("{resource}: not a run document: {error}"))?;
        if document.status != Status::Completed
            || document.cursor.is_some()
            || document.lease.is_some()
        {
            return Err(format!(
                "{resource}: over, and yet {:?} with {:?} and {:?}",
                document.status, document.cursor, document.lease
            ));
        }
        let mut disturbances = self.schedule.disturbances.iter();
        let is_changing =
            disturbances.any(|(disturbance, _)| *disturbance == Disturbance::RecordChanges);
        let is_import = !matches!(self.schedule.goal, Goal::Deletion(_));
        let total = document.total.unwrap_or_default();
        // what a nightly removes is counted beside what it reads, and a record of the catalog that has changed in several
        // ways more than once
        let is_of_changes = resource.is_of_catalog() && document.options.since.is_some();
        let is_nightly = self.schedule.lives_on() || is_of_changes;
        if is_import && !is_changing && !is_nightly && document.counts.read != total {
            return Err(format!(
                "{resource}: read {} of {total}: {:?}",
                document.counts.read, document.counts
            ));
        }
        if is_import {
            self.failures_are_remembered(&document)?;
        }
        let failed = document.counts.failed
            + document
                .variants
                .as_ref()
                .map_or(0, |variants| variants.failed);
        let is_refused = self.schedule.refused.is_some() && !self.schedule.asks_again();
        let bad_records = is_refused || self.poison().is_some();
        if is_import && !bad_records && !is_changing && failed > 0 {
            return Err(format!(
                "{resource}: {failed} failed that nothing is wrong with: {:?}",
                document.set_aside
            ));
        }
        Ok(())
    }
}
