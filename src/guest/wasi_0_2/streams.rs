//! Bodies through the streams of WASI 0.2.

use bindings::wasi::http::types::{ErrorCode, IncomingBody, OutgoingBody, http_error_code};
use bindings::wasi::io::streams::{OutputStream, StreamError};

use super::reactor;
use crate::guest::bodies::{Arriving, Pieces, WRITE_BYTES};
use crate::guest::{transport_error, unusable};
use crate::ports::{Body, TransportError};

/// What is read at a time at most, in bytes.
const PIECE_BYTES: u64 = 256 * 1024;

/// Reads a body to its end.
pub(super) async fn read(body: IncomingBody, into: &mut Arriving) -> Result<(), TransportError> {
    let stream = body.stream().map_err(|()| unusable("answer"))?;
    while !into.is_whole() {
        match stream.read(PIECE_BYTES) {
            Ok(piece) if piece.is_empty() => reactor::wait(stream.subscribe()).await,
            Ok(piece) => into.push(&piece)?,
            Err(StreamError::Closed) => return Ok(()),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(match http_error_code(&error) {
                    Some(code) => transport_error!(code),
                    // wasmtime 48 gives none here
                    None => TransportError::Connection("the answer broke off".to_owned()),
                });
            }
        }
    }
    Ok(())
}

/// Writes a body whole. Where it fails, the other side has gone.
pub(super) async fn write(outgoing: OutgoingBody, body: Body) -> Result<(), StreamError> {
    let mut piece = Vec::with_capacity(WRITE_BYTES.min(body.len()));
    let mut pieces = Pieces::of(body);
    let stream = outgoing.write().map_err(|()| StreamError::Closed)?;
    while pieces.next(&mut piece) {
        write_piece(&stream, &piece).await?;
        piece.clear();
    }
    drop(stream);
    _ = OutgoingBody::finish(outgoing, None);
    Ok(())
}

async fn write_piece(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    while !bytes.is_empty() {
        match stream.check_write()? {
            0 => reactor::wait(stream.subscribe()).await,
            room => {
                let room = usize::try_from(room).unwrap_or(usize::MAX);
                let (now, later) = bytes.split_at(bytes.len().min(room));
                stream.write(now)?;
                bytes = later;
            }
        }
    }
    Ok(())
}
