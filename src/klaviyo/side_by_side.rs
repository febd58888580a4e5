//! Look-ups that go side by side.

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::error::Error;

/// So many look-ups of a caller are under way at the same time. Each waits 0.3 s for its response, so that is 100 a second;
/// the responses are pages of ids, of which so many are held at most.
const AT_ONCE: usize = 32;

/// What these look-ups give, in their order. One that needs no call does not keep others from being made.
///
/// # Errors
/// The first one; the look-ups that are under way then are given up.
pub(super) async fn all<T>(
    lookups: impl IntoIterator<Item: Future<Output = Result<T, Error>>>,
) -> Result<Vec<T>, Error> {
    let numbered = lookups.into_iter().enumerate();
    let numbered = numbered.map(|(number, lookup)| async move { Ok((number, lookup.await?)) });
    // in the order in which they end: those that wait for one before them would count as under way
    let ended = stream::iter(numbered).buffer_unordered(AT_ONCE);
    let mut all: Vec<(usize, T)> = ended.try_collect().await?;
    all.sort_unstable_by_key(|(number, _)| *number);
    Ok(all.into_iter().map(|(_, found)| found).collect())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::task::Poll;

    use futures_util::FutureExt;
    use futures_util::future::poll_fn;

    use super::*;

    /// How many look-ups were under way at most, of a hundred of which these need a call. Responses arrive in the reverse
    /// of the order in which they were asked for.
    fn most_under_way(needs_call: impl Fn(usize) -> bool) -> usize {
        let (under_way, most) = (Cell::new(0), Cell::new(0));
        let lookups = (0..100_usize).map(|number| {
            let (under_way, most, needs_call) = (&under_way, &most, needs_call(number));
            async move {
                if needs_call {
                    under_way.set(under_way.get() + 1);
                    most.set(under_way.get().max(most.get()));
                    let mut looks = 100 - number;
                    poll_fn(|context| {
                        context.waker().wake_by_ref();
                        looks -= 1;
                        match looks {
                            0 => Poll::Ready(()),
                            _ => Poll::Pending,
                        }
                    })
                    .await;
                    under_way.set(under_way.get() - 1);
                }
                Ok(number)
            }
        });
        let mut all = Box::pin(all(lookups));
        let found = std::iter::repeat_with(|| (&mut all).now_or_never()).take(10_000);
        let found = found.flatten().next().expect("they are made");
        assert_eq!(found.ok(), Some((0..100).collect()));
        most.get()
    }

    #[test]
    fn many_look_ups_are_made_some_at_a_time_and_keep_their_order() {
        assert_eq!(most_under_way(|_| true), AT_ONCE);
    }

    #[test]
    fn look_ups_that_need_no_call_do_not_hold_up_those_that_do() {
        assert_eq!(most_under_way(|number| number % 10 == 0), 10);
    }
}
