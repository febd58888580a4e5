//! Looks into Klaviyo's list of finished jobs: how far they have got, and what the next one will be worth.

use std::time::Duration;

use jiff::Timestamp;

use crate::time::between;

/// The most pages of the list that are read before it is begun with anew.
const MAX_PAGES: u32 = 60;
/// A page that is read is to find so many jobs.
const JOBS_A_PAGE: u32 = 10;

/// How far back a look goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// To the oldest of the jobs that have not taken unusually long yet.
    Recent,
    /// To the jobs that were submitted then.
    Since(Timestamp),
    /// To the oldest job.
    All,
}

/// The latest look for the jobs of a kind.
#[derive(Debug, Clone)]
pub(super) enum LastLook {
    /// It is under way.
    UnderWay(Pages),
    /// It goes on with the page at this path.
    Partly(String, Pages),
    /// It is over.
    Over(Over),
}

/// What a look has read so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pages {
    /// The number of pages.
    pub(super) pages: u32,
    /// How far back it goes.
    pub(super) reach: Reach,
    /// When the oldest of the jobs was submitted that it looks for.
    pub(super) oldest: Timestamp,
    /// When it was begun.
    pub(super) begun: Timestamp,
    /// The jobs that it has found.
    found: usize,
    /// The look before this one.
    before: Option<Over>,
}

/// A look that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Over {
    /// When it was over.
    pub(super) at: Timestamp,
    /// How many pages a look for recent jobs has read.
    pub(super) pages: u32,
    /// The pause after which so many pages find enough jobs to be worth it, if jobs end as quickly as they did before.
    pub(super) worth: Duration,
    /// In which time the jobs of one page were submitted.
    pub(super) page: Option<Duration>,
}

impl LastLook {
    /// The look that follows, with the path of the page to begin with, if that is not the first.
    pub(super) fn go_on(
        last: Option<Self>,
        reach: Reach,
        oldest: Timestamp,
        now: Timestamp,
    ) -> (Option<String>, Self) {
        let before = match last {
            Some(Self::Partly(path, pages)) => {
                let reach = match reach {
                    Reach::All => Reach::All,
                    Reach::Recent | Reach::Since(_) => pages.reach,
                };
                let oldest = oldest.min(pages.oldest);
                let pages = Pages {
                    reach,
                    oldest,
                    ..pages
                };
                return (Some(path), Self::UnderWay(pages));
            }
            Some(Self::Over(over)) => Some(over),
            Some(Self::UnderWay(_)) | None => None,
        };
        let pages = Pages {
            pages: 0,
            reach,
            oldest,
            begun: now,
            found: 0,
            before,
        };
        (None, Self::UnderWay(pages))
    }
}

impl Pages {
    /// So many pages more were read, with so many of the jobs; there may be more at `next`.
    pub(super) fn read(
        mut self,
        pages: u32,
        found: usize,
        next: Option<String>,
        now: Timestamp,
    ) -> LastLook {
        self.pages += pages;
        self.found += found;
        match next {
            Some(path) if self.pages < MAX_PAGES => LastLook::Partly(path, self),
            _ => LastLook::Over(Over {
                at: now,
                pages: match (self.reach, self.before) {
                    (Reach::All, Some(before)) => before.pages,
                    _ => self.pages,
                },
                worth: self.worth(now),
                page: between(self.oldest, self.begun).checked_div(self.pages),
            }),
        }
    }

    fn worth(&self, now: Timestamp) -> Duration {
        let wanted = JOBS_A_PAGE * self.pages;
        match (self.before, u32::try_from(self.found)) {
            (_, Ok(0)) => Duration::MAX,
            (Some(before), Ok(found)) => between(before.at, now) * wanted / found,
            _ => Duration::ZERO,
        }
    }
}
