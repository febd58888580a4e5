//! What a simulated API is: a state machine over requests, without sockets and without a clock.

use bytes::Bytes;
use http::{Request, Response};
use jiff::Timestamp;

/// A simulated API: one request in, one answer out, at a moment the caller names.
///
/// The same requests at the same moments give the same answers, so that a peer can be driven over HTTP by
/// [`crate::server`] or in process with a virtual clock.
pub trait Peer: Send {
    /// Takes `request` as arriving at `now`, with its full effect on the peer's state, and answers it.
    fn answer(&mut self, now: Timestamp, request: &Request<Bytes>) -> Response<Bytes>;
}
