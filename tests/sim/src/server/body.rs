//! Bodies of answers: whole, of a length that is not told, cut off half-way, or dripping.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use clock::Sleep;
use hyper::body::{Frame, SizeHint};

use super::TRICKLE;

/// The most bytes of a piece of a body whose length is not told.
const PIECE: usize = 64 * 1024;

/// The body of an answer. Its length is told in full, also where only half of it comes, unless it is unannounced.
pub(super) struct Body {
    left: Bytes,
    way: Way,
}

enum Way {
    Whole,
    /// In pieces of [`PIECE`].
    Unannounced,
    /// Ends with an error once no more than `end` bytes are left and the others are `flushed`.
    CutAt {
        end: usize,
        flushed: bool,
    },
    Drip(Sleep),
}

/// The connection is closed in the middle of the body.
#[derive(Debug)]
pub(super) struct CutOff;

impl std::fmt::Display for CutOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut off on purpose")
    }
}

impl std::error::Error for CutOff {}

impl Body {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self {
            left: bytes,
            way: Way::Whole,
        }
    }

    pub(super) fn unannounced(bytes: Bytes) -> Self {
        Self {
            left: bytes,
            way: Way::Unannounced,
        }
    }

    pub(super) fn half(bytes: Bytes) -> Self {
        Self {
            way: Way::CutAt {
                end: bytes.len().div_ceil(2),
                flushed: false,
            },
            left: bytes,
        }
    }

    pub(super) fn trickle(bytes: Bytes, pause: Sleep) -> Self {
        Self {
            left: bytes,
            way: Way::Drip(pause),
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        let Self { left, way } = &mut *self;
        if left.is_empty() {
            return Poll::Ready(None);
        }
        let next = match way {
            Way::Whole => left.split_to(left.len()),
            Way::Unannounced => left.split_to(left.len().min(PIECE)),
            Way::CutAt { end, .. } if left.len() > *end => left.split_to(left.len() - *end),
            Way::CutAt { flushed: true, .. } => return Poll::Ready(Some(Err(CutOff))),
            Way::CutAt { flushed, .. } => {
                // While a body has nothing to give, hyper sends what it has been given.
                *flushed = true;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Way::Drip(pause) => {
                ready!(Pin::new(&mut *pause).poll(context));
                pause.reset(TRICKLE);
                left.split_to(1)
            }
        };
        Poll::Ready(Some(Ok(Frame::data(next))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.way {
            Way::Unannounced => SizeHint::default(),
            _ => SizeHint::with_exact(self.left.len() as u64),
        }
    }
}
