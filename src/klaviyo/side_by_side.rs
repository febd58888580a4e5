//! Look-ups that go side by side.

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::error::Error;

/// So many look-ups of a caller are under way at the same time. Each waits 0.3 s for its response, so that is 100 a second;
/// the responses are pages of ids, of which so many are held at most.
const AT_ONCE: usize = 32;

/// What these look-ups give, in their order.
///
/// # Errors
/// The first one; the look-ups that are under way then are given up.
pub(super) async fn all<T>(
    lookups: impl IntoIterator<Item: Future<Output = Result<T, Error>>>,
) -> Result<Vec<T>, Error> {
    let lookups = stream::iter(lookups).buffered(AT_ONCE);
    lookups.try_collect().await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::task::Poll;

    use futures_util::FutureExt;
    use futures_util::future::poll_fn;

    use super::*;

    #[test]
    fn many_look_ups_are_made_some_at_a_time_and_keep_their_order() {
        let (under_way, most) = (Cell::new(0), Cell::new(0));
        let lookups = (0..100).map(|number| {
            let (under_way, most) = (&under_way, &most);
            async move {
                under_way.set(under_way.get() + 1);
                most.set(under_way.get().max(most.get()));
                // the response is there with the next look
                let mut is_there = false;
                poll_fn(|context| {
                    context.waker().wake_by_ref();
                    match std::mem::replace(&mut is_there, true) {
                        true => Poll::Ready(()),
                        false => Poll::Pending,
                    }
                })
                .await;
                under_way.set(under_way.get() - 1);
                Ok(number)
            }
        });
        let mut all = Box::pin(all(lookups));
        let found = std::iter::repeat_with(|| (&mut all).now_or_never()).take(1_000);
        let found = found.flatten().next().expect("they are made");
        assert_eq!(found.ok(), Some((0..100).collect()));
        assert_eq!(most.get(), AT_ONCE);
    }
}
