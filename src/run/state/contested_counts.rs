//! What parts count as whose place another record's have taken.

use super::document::RunDocument;
use super::entry_name::EntryName;
use super::set_aside::SetAside;
use crate::mapping::Skip;

impl RunDocument {
    /// A part of a record has made room for that of the record `taken_by`; without one, it counts as skipped. Only what
    /// the run reads for certain is noted.
    pub fn note_contested(&mut self, name: String, taken_by: Option<String>) {
        if self.options.reads(EntryName::read(&name).id) {
            self.contested.note(name, taken_by);
        }
    }

    /// The run ends: parts that have made room for another record's count as skipped.
    pub fn count_contested(&mut self) {
        for (name, other) in self.contested.take() {
            let EntryName { id, part } = EntryName::read(&name);
            let is_named = |part: &str| self.set_aside.iter().any(|one| one.names(id, part));
            let Some(part) = part.filter(|part| !is_named(part)) else {
                continue;
            };
            let skip = Skip::SkuOfAnotherProduct { other };
            let variants = self.variants.as_mut();
            if variants.is_some_and(|variants| variants.move_to_skipped(skip.code())) {
                let reason = skip.to_string();
                self.set_aside(SetAside::skipped_parts(Some(id), part, 0, &reason));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::run::state::contested::MAX_CONTESTED;
    use crate::run::state::{Counts, Cursor, Resource, RunOptions};

    fn run(options: RunOptions) -> RunDocument {
        let now = Timestamp::UNIX_EPOCH;
        let (id, cursor) = ("run".to_owned(), Cursor::default());
        let mut run = RunDocument::start(Resource::Products, id, options, cursor, now);
        run.variants = Some(Counts::of_entries(5));
        run
    }

    fn taken(run: &mut RunDocument, name: &str) {
        run.note_contested(name.to_owned(), Some("a".to_owned()));
    }

    fn skipped(run: &RunDocument) -> (u64, u64) {
        let variants = run.variants.as_ref().expect("variants");
        assert!(variants.add_up());
        (variants.skipped_in_all(), variants.sent)
    }

    #[test]
    fn a_part_that_made_room_counts_as_skipped_once_whatever_it_counted_as() {
        let mut all = run(RunOptions::default());
        taken(&mut all, "z/sent");
        for name in ["z/skipped", "z/skipped later"] {
            taken(&mut all, name);
            all.note_contested(name.to_owned(), None);
            taken(&mut all, name);
        }
        all.set_aside(SetAside::failed(Some("z/failed"), "no".to_owned()));
        taken(&mut all, "z/failed");
        all.count_contested();
        assert_eq!(skipped(&all), (1, 4));
        assert!(all.contested.is_empty());
        let names: Vec<&str> = all.set_aside.iter().map(|one| &one.reason[..]).collect();
        assert!(matches!(names[..], ["failed: no", second] if second.starts_with("sent: ")));
        all.count_contested();
        assert_eq!(skipped(&all), (1, 4));
    }

    #[test]
    fn what_a_run_may_not_have_read_is_not_counted() {
        let of_changes = RunOptions {
            since: Some(Timestamp::UNIX_EPOCH),
            ..RunOptions::default()
        };
        let from_start = RunOptions {
            start_id: Some("zz".to_owned()),
            ..RunOptions::default()
        };
        let of_others = RunOptions {
            ids: Some(vec!["a".to_owned(), "b".to_owned()]),
            ..RunOptions::default()
        };
        for options in [of_changes, from_start, of_others] {
            let mut run = run(options);
            taken(&mut run, "z/sku");
            assert!(run.contested.is_empty());
            run.count_contested();
            assert_eq!(skipped(&run), (0, 5));
        }
    }

    #[test]
    fn no_more_are_kept_than_the_document_has_room_for_and_no_more_counted_than_were_sent() {
        let mut all = run(RunOptions::default());
        for number in 0..=MAX_CONTESTED {
            taken(&mut all, &format!("z/{number}"));
        }
        assert_eq!(all.contested.clone().take().count(), MAX_CONTESTED);
        all.count_contested();
        assert_eq!(skipped(&all), (5, 0));
    }
}
