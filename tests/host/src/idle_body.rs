//! A response body that fails when nothing arrives for too long.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};
use wasmtime_wasi_http::Error;

use crate::outbound::body_failure;

pin_project! {
    /// Applies the guest's `between-bytes-timeout`.
    pub(crate) struct IdleBody {
        body: Incoming,
        limit: Duration,
        #[pin]
        silence: Sleep,
    }
}

impl IdleBody {
    /// Fails with [`Error::ConnectionReadTimeout`] when `limit` (real time) passes between two frames.
    pub(crate) fn new(body: Incoming, limit: Duration) -> Self {
        Self {
            body,
            limit,
            silence: sleep(limit),
        }
    }
}

impl Body for IdleBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut this = self.project();
        match Pin::new(&mut *this.body).poll_frame(context) {
            Poll::Ready(frame) => {
                this.silence.as_mut().reset(Instant::now() + *this.limit);
                Poll::Ready(frame.map(|frame| frame.map_err(body_failure)))
            }
            Poll::Pending => {
                ready!(this.silence.poll(context));
                Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
