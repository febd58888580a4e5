//! One file per command, and what they share.

pub(crate) mod check;
pub(crate) mod import;
pub(crate) mod status;
pub(crate) mod stop;

use crate::app::{App, Place};
use crate::ending::CouldNotRun;
use crate::follow::Follower;
use crate::operator::{Failure, Operator};
use crate::patience::Patience;
use crate::progress::Progress;

/// How often something is tried before nothing has begun: half a minute in all.
const TRIES: u32 = 6;

/// An app, and who operates it.
pub(crate) struct Session<'a> {
    pub(crate) app: &'a App,
    pub(crate) screen: &'a Progress,
    /// What commands that are suggested end with.
    suffix: String,
}

impl<'a> Session<'a> {
    pub(crate) fn new(app: &'a App, screen: &'a Progress, place: &Place) -> Self {
        let suffix = match (&place.app, &place.token_file) {
            (Some(url), Some(file)) => format!(" --app {url} --token-file {}", file.display()),
            _ => String::new(),
        };
        Self {
            app,
            screen,
            suffix,
        }
    }

    pub(crate) fn operator(&self) -> &Operator {
        &self.app.operator
    }

    pub(crate) fn follower(&self) -> Follower<'_> {
        Follower::new(self.operator(), self.screen, self.app.is_here())
    }

    /// A command of this program for this app.
    pub(crate) fn command(&self, arguments: &str) -> String {
        format!("`cargo import {arguments}{}`", self.suffix)
    }

    /// Asks until there is an answer, but not for ever.
    pub(crate) async fn briefly<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T, CouldNotRun> {
        let mut patience = Patience::new(self.screen);
        for _ in 1..TRIES {
            match ask().await {
                Ok(answer) => {
                    patience.answered();
                    return Ok(answer);
                }
                Err(failure) => patience.wait(failure).await?,
            }
        }
        Ok(ask().await?)
    }
}
