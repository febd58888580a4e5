//! How fast a run is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The number of windows that the rate is calculated from.
const MAX_MARKS: usize = 8;

/// How far the run was at the ends of its latest windows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pace(Vec<Mark>);

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Mark {
    at: Timestamp,
    read: u64,
}

impl Pace {
    /// The pace of a run that begins.
    #[must_use]
    pub fn begin(now: Timestamp) -> Self {
        Self(vec![Mark { at: now, read: 0 }])
    }

    /// A window has ended with this many records read in all.
    pub fn note(&mut self, now: Timestamp, read: u64) {
        self.0.push(Mark { at: now, read });
        if self.0.len() > MAX_MARKS {
            self.0.remove(0);
        }
    }

    /// Records a second over the latest windows, pauses between them included; `None` before there is anything to
    /// measure.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        let (first, last) = (self.0.first()?, self.0.last()?);
        let seconds = last.at.duration_since(first.at).as_secs_f64();
        // the records of a cancelled job are read again, and subtracted from the counts
        let read = last.read.saturating_sub(first.read);
        (seconds > 0.0 && read > 0).then(|| read as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn the_rate_is_that_of_the_latest_windows() {
        let mut pace = Pace::begin(at(0));
        assert_eq!(pace.rate(), None);
        for window in 1..=20 {
            pace.note(
                at(window * 10),
                if window <= 10 {
                    0
                } else {
                    (window as u64 - 10) * 500
                },
            );
        }
        assert_eq!(pace.rate(), Some(50.0));
        assert_eq!(pace.0.len(), MAX_MARKS);
    }
}
