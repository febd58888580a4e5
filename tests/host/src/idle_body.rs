//! A response body that fails when nothing arrives for too long.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use clock::{Call, Clock, Sleep};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use wasmtime_wasi_http::Error;

use crate::outbound::body_failure;

/// Applies the guest's `between-bytes-timeout`, and ends the call that it answers with itself.
pub(crate) struct IdleBody {
    body: Incoming,
    limit: Duration,
    silence: Sleep,
    call: Option<Call>,
}

impl IdleBody {
    /// Fails with [`Error::ConnectionReadTimeout`] when `limit` passes between two frames.
    pub(crate) fn new(body: Incoming, clock: &Clock, limit: Duration, call: Call) -> Self {
        let call = (!body.is_end_stream()).then_some(call);
        Self {
            body,
            limit,
            silence: clock.sleep(limit),
            call,
        }
    }
}

impl Body for IdleBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Self {
            body,
            limit,
            silence,
            call,
        } = &mut *self;
        match Pin::new(&mut *body).poll_frame(context) {
            Poll::Ready(frame) => {
                silence.reset(*limit);
                if body.is_end_stream() || !matches!(frame, Some(Ok(_))) {
                    *call = None;
                }
                Poll::Ready(frame.map(|frame| frame.map_err(body_failure)))
            }
            Poll::Pending => {
                ready!(Pin::new(silence).poll(context));
                *call = None;
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
