//! How a run went on from its start: few points of it, for whoever looks later.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The number of points that are kept, about 50 bytes of the document each.
pub const MAX_POINTS: usize = 60;

/// How many records had been read at some moments of the run, the first of them its start.
///
/// The points are about equally far apart, however long the run takes: none is kept that is closer to the one before it
/// than a [`MAX_POINTS`]th of the run, and when there are too many, every second one goes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History(Vec<Point>);

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Point {
    at: Timestamp,
    /// Records and variants.
    read: u64,
}

impl History {
    /// The history of a run that begins.
    #[must_use]
    pub fn begin(now: Timestamp) -> Self {
        Self(vec![Point { at: now, read: 0 }])
    }

    /// Whether nothing is known: the document was written by an app that kept no history.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// So many records have been read by now.
    pub fn note(&mut self, now: Timestamp, read: u64) {
        let point = Point { at: now, read };
        // the latest point is always kept, so that the history ends where the run is
        match self.0[..] {
            [first, .., before, _] if is_close(first, before, point) => self.0.pop(),
            [.., last] if last.at >= now => self.0.pop(),
            _ => None,
        };
        self.0.push(point);
        while self.0.len() > MAX_POINTS {
            let last = self.0.len() - 1;
            let mut at = 0..;
            self.0
                .retain(|_| at.next().is_none_or(|at| at % 2 == 0 || at == last));
        }
    }
}

/// Whether a point is too close to the last but one for the latest to be kept between them.
fn is_close(first: Point, before: Point, point: Point) -> bool {
    let seconds = |from: Point| point.at.duration_since(from.at).as_secs_f64();
    seconds(before) * MAX_POINTS as f64 <= seconds(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// A run of so many saves, every 5 seconds.
    fn history(saves: i64) -> History {
        let mut history = History::begin(at(0));
        for save in 1..=saves {
            history.note(at(save * 5), save.unsigned_abs() * 100);
        }
        history
    }

    #[test]
    fn all_of_a_short_run_is_kept() {
        let kept = history(59);
        assert_eq!(kept.0.len(), MAX_POINTS);
        let reads: Vec<u64> = kept.0.iter().map(|point| point.read).collect();
        assert_eq!(reads, (0..60).map(|save| save * 100).collect::<Vec<_>>());
    }

    #[test]
    fn a_run_of_any_length_has_few_points_about_equally_far_apart() {
        for saves in [60, 61, 100, 1_000, 17_280, 120_960] {
            let History(points) = history(saves);
            assert!((20..=MAX_POINTS).contains(&points.len()), "{saves}");
            assert_eq!(points[0], Point { at: at(0), read: 0 });
            let end = Point {
                at: at(saves * 5),
                read: saves.unsigned_abs() * 100,
            };
            assert_eq!(points.last(), Some(&end), "{saves}");
            let gaps = points.windows(2).map(|pair| {
                let [from, to] = [pair[0], pair[1]];
                to.at.duration_since(from.at).as_secs_f64() / (saves * 5) as f64
            });
            assert!(gaps.clone().all(|gap| gap > 0.0), "{saves}");
            let widest = gaps.fold(0.0, f64::max);
            assert!(widest < 0.1, "{saves}: {widest}");
        }
    }

    #[test]
    fn a_moment_that_does_not_pass_has_one_point() {
        let mut history = History::begin(at(0));
        history.note(at(0), 5);
        history.note(at(-9), 7);
        assert_eq!(history.0.len(), 1);
        assert_eq!(history.0[0].read, 7);
        let mut unknown = History::default();
        assert!(unknown.is_empty());
        unknown.note(at(3), 40);
        assert_eq!(unknown.0.len(), 1);
    }
}
