//! An app that does not answer is asked again: after a second, then less and less often.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::operator::Failure;
use crate::progress::Progress;

/// The first pause, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What is known of an app that does not answer.
pub(crate) struct Patience {
    screen: Progress,
    pauses: Option<ExponentialBackoff>,
}

impl Patience {
    /// Says on `screen` what is waited for.
    pub(crate) fn new(screen: &Progress) -> Self {
        Self {
            screen: screen.clone(),
            pauses: None,
        }
    }

    /// Says what went wrong and waits.
    ///
    /// # Errors
    /// The failure, if the same request would fail again.
    pub(crate) async fn wait(&mut self, failure: Failure) -> Result<(), Failure> {
        let Failure::Away { what, retry_after } = &failure else {
            return Err(failure);
        };
        let pauses = self.pauses.get_or_insert_with(pauses);
        let pause = pauses.next().unwrap_or(PAUSES.1);
        let pause = retry_after.map_or(pause, |asked| pause.max(asked.min(PAUSES.1)));
        self.screen.note(&format!(
            "No answer: {what}. Trying again in {} s; nothing is lost.",
            pause.as_secs()
        ));
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// It has answered.
    pub(crate) fn answered(&mut self) {
        if self.pauses.take().is_some() {
            self.screen.note("It answers again.");
        }
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(PAUSES.0)
        .with_max_delay(PAUSES.1)
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_gives_up_and_never_hurries() {
        let pauses: Vec<u64> = pauses().take(50).map(|pause| pause.as_secs()).collect();
        assert_eq!(pauses[..6], [1, 2, 4, 8, 16, 30]);
        assert!(pauses[6..].iter().all(|pause| *pause == 30));
    }
}
