//! What passes from one run to the next, from one account to another, and what does not.

use std::time::Duration;

use jiff::Timestamp;

use super::destination::Destination;
use super::document::RunDocument;
use super::lease::Lease;
use super::status::Status;
use crate::config::MAX_WINDOW_SECONDS;

impl RunDocument {
    /// Takes over what stays from run to run. A dry run's report does not take the place of a real one.
    pub fn inherit_from(&mut self, previous: Self) {
        // a deletion takes away what earlier runs have brought
        self.up_to_date_since = previous
            .up_to_date_since
            .filter(|_| !self.options.delete_all);
        self.last_report = match previous.last_report {
            Some(report) if previous.options.dry_run => Some(report),
            _ => Some(previous.report()),
        };
    }

    /// Whether Klaviyo has everything that was modified before this run began, once it has completed. A run of what was
    /// modified since a later moment than the last such run leaves a gap.
    pub(super) fn brings_up_to_date(&self) -> bool {
        let options = &self.options;
        let leaves_gap = options
            .since
            .is_some_and(|since| self.up_to_date_since.is_some_and(|known| since > known));
        options.ids.is_none()
            && options.start_id.is_none()
            && !options.dry_run
            && !options.delete_all
            && !self.is_adopted
            && !leaves_gap
    }

    /// Another account takes the document over: a run that was going on is over, and what it and those before it have
    /// brought is not in that account.
    pub fn give_away(&mut self, now: Timestamp) {
        if self.is_going_on() {
            self.end(Status::Stopped, now);
        }
        self.up_to_date_since = None;
    }

    /// The run feeds another account from here on: what is known of the former one is not so of this.
    pub fn adopt(&mut self, destination: Destination) {
        self.destination = Some(destination);
        self.is_adopted = true;
        self.up_to_date_since = None;
    }

    /// Takes the document for what it is where it was written by somebody whose own document has been deleted: its run is
    /// over, and whose document it is shows when that one writes again, which it does within its lease.
    pub fn disown(&mut self) {
        self.end(Status::Stopped, self.updated_at);
        self.lease = Some(Lease::begin(
            String::new(),
            self.updated_at,
            Duration::from_secs(MAX_WINDOW_SECONDS),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::state::cursor::Cursor;
    use crate::run::state::options::RunOptions;
    use crate::run::state::resource::Resource;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn only_a_run_without_gaps_brings_up_to_date() {
        let since = |second| RunOptions {
            since: Some(at(second)),
            ..RunOptions::default()
        };
        let ended = |options: RunOptions, known: Option<Timestamp>| {
            let mut document = RunDocument::start(
                Resource::Orders,
                "run".to_owned(),
                options,
                Cursor::default(),
                at(50),
            );
            document.up_to_date_since = known;
            document.end(Status::Completed, at(60));
            document.up_to_date_since
        };
        assert_eq!(ended(RunOptions::default(), None), Some(at(50)));
        assert_eq!(ended(since(9), Some(at(10))), Some(at(50)));
        assert_eq!(ended(since(11), Some(at(10))), Some(at(10)));
        assert_eq!(
            ended(
                RunOptions {
                    ids: Some(Vec::new()),
                    ..RunOptions::default()
                },
                Some(at(10))
            ),
            Some(at(10))
        );
        assert_eq!(
            ended(
                RunOptions {
                    dry_run: true,
                    ..RunOptions::default()
                },
                None
            ),
            None
        );
        assert_eq!(
            ended(
                RunOptions {
                    start_id: Some(String::new()),
                    ..RunOptions::default()
                },
                None
            ),
            None
        );
    }
}
