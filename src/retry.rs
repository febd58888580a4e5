//! Retries a request as the table in [`crate::error`] says, within the caller's deadline.

use std::future::Future;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::error::{Action, Error};
use crate::ports::Ports;
use crate::time::Deadline;

/// The first pause; each later one is twice as long, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The longest `Retry-After` that is obeyed. Neither API asks for more than a minute; a longer value is cut to this, so
/// that one wrong header does not stop an import for good.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// Retries of one request; what fails after the last one is left to the next window.
const RETRIES: usize = 4;

/// The `Retry-After` of a response, at most one hour; `None` if it is absent or not a number of seconds.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse();
    Some(Duration::from_secs(seconds.ok()?).min(LONGEST_WAIT))
}

/// Calls `attempt` until it succeeds, until its error is not one to retry, or until there is no time for another
/// attempt.
///
/// # Errors
/// The last attempt's error.
pub async fn with_retry<T, F>(
    ports: &Ports,
    deadline: Deadline,
    mut attempt: impl FnMut() -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pauses = ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_max_times(RETRIES)
        .with_jitter()
        .with_jitter_seed(fastrand::u64(..))
        .build();
    let mut timeout = None;
    loop {
        let error = match attempt().await {
            Ok(value) => return Ok(value),
            // an attempt that had too little time says less than one that had enough
            Err(error) if error.was_cut_off() => return Err(timeout.unwrap_or(error)),
            Err(error) => error,
        };
        let asked_for = error.refusal().and_then(|refusal| refusal.retry_after);
        let pause = match error.action() {
            // fewer records at a time can help, the same ones cannot
            _ if error.lacks_memory() => None,
            Action::Retry | Action::RetryForAWhile | Action::Wait => {
                pauses.next().map(|pause| asked_for.unwrap_or(pause))
            }
            _ => None,
        };
        match pause {
            Some(pause) if pause < deadline.remaining(&*ports.clock) => {
                ports.clock.sleep(pause).await;
                timeout = Some(error).filter(Error::took_too_long);
            }
            _ => return Err(error),
        }
    }
}
