//! Bodies on their way: those that are sent, in pieces; those that arrive, in one buffer.

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;

use crate::ports::{Body, TransportError};

/// Bodies are sent in pieces of this size, in bytes: their slices are small and many, and each piece is a call of the
/// host.
pub(super) const WRITE_BYTES: usize = 256 * 1024;
/// The first piece of a body that is read where its length is not known, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// A body that is sent piece by piece.
pub(super) struct Pieces {
    slices: std::vec::IntoIter<Bytes>,
    slice: Bytes,
}

impl Pieces {
    pub(super) fn of(body: Body) -> Self {
        Self {
            slices: body.into_slices().into_iter(),
            slice: Bytes::new(),
        }
    }

    /// Moves the next bytes into an empty `piece`, up to [`WRITE_BYTES`]; `false` where there are none.
    pub(super) fn next(&mut self, piece: &mut Vec<u8>) -> bool {
        while piece.len() < WRITE_BYTES {
            if self.slice.is_empty() {
                match self.slices.next() {
                    Some(slice) => self.slice = slice,
                    None => break,
                }
            }
            let length = self.slice.len().min(WRITE_BYTES - piece.len());
            piece.extend_from_slice(&self.slice[..length]);
            self.slice.advance(length);
        }
        !piece.is_empty()
    }
}

/// The length that a message announces of its body.
pub(super) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The capacity of a buffer for so many bytes: an eighth of a power of two more at most. Buffers of about the same length
/// then have the same capacity, and one takes the place of another that is gone. Buffers of their exact lengths do not: each
/// that is a few bytes longer than all before needs new memory, as small allocations keep what is free in pieces, and
/// linear memory never shrinks.
fn rounded(length: usize) -> usize {
    match length {
        0..READ_BYTES => length,
        _ => length.next_multiple_of(length.next_power_of_two() / 8),
    }
}

/// A body that arrives: never more than a limit, and in one buffer. Where its length is announced, that is all that is
/// allocated, once; where it is not, the buffer grows, but not beyond the limit.
pub(super) struct Arriving {
    bytes: Vec<u8>,
    announced: Option<usize>,
    max_bytes: usize,
}

impl Arriving {
    /// A body of `max_bytes` at most.
    ///
    /// # Errors
    /// Where more than that is announced, or more than there is memory for.
    pub(super) fn new(announced: Option<u64>, max_bytes: usize) -> Result<Self, TransportError> {
        let mut body = Self {
            bytes: Vec::new(),
            announced: None,
            max_bytes,
        };
        if let Some(announced) = announced {
            match usize::try_from(announced) {
                Ok(length) if length <= max_bytes => {
                    body.announced = Some(length);
                    body.grow_to(rounded(length).min(max_bytes))?;
                }
                _ => return Err(body.too_large()),
            }
        }
        Ok(body)
    }

    /// Whether all has arrived that was announced: nothing can come after that.
    pub(super) fn is_whole(&self) -> bool {
        self.announced == Some(self.bytes.len())
    }

    /// Takes in the next bytes, as many as there may be.
    ///
    /// # Errors
    /// Where there are more, or no memory for them.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), TransportError> {
        let fitting = piece.len().min(self.max_bytes - self.bytes.len());
        self.reserve(fitting)?;
        self.bytes.extend_from_slice(&piece[..fitting]);
        if fitting < piece.len() {
            return Err(self.too_large());
        }
        Ok(())
    }

    /// Hands out a buffer to be read into, with room in it; [`Self::restore`] takes it back. Where as much has arrived as
    /// may, it is another one: only the end can follow.
    ///
    /// # Errors
    /// Where there is no memory for more.
    #[cfg(feature = "wasi-0-3")]
    pub(super) fn take(&mut self) -> Result<Vec<u8>, TransportError> {
        if self.bytes.len() == self.max_bytes {
            return Ok(Vec::with_capacity(1));
        }
        self.reserve(1)?;
        Ok(std::mem::take(&mut self.bytes))
    }

    /// Takes back what [`Self::take`] handed out, with what has been read.
    ///
    /// # Errors
    /// Where more has arrived than may.
    #[cfg(feature = "wasi-0-3")]
    pub(super) fn restore(&mut self, read: Vec<u8>) -> Result<(), TransportError> {
        if self.bytes.is_empty() && read.len() <= self.max_bytes {
            self.bytes = read;
            return Ok(());
        }
        self.push(&read)
    }

    /// Makes room for `length` more bytes, which there may be.
    fn reserve(&mut self, length: usize) -> Result<(), TransportError> {
        let needed = self.bytes.len() + length;
        if needed <= self.bytes.capacity() {
            return Ok(());
        }
        let doubled = self.bytes.capacity().saturating_mul(2).max(READ_BYTES);
        self.grow_to(doubled.max(needed).min(self.max_bytes))
    }

    fn grow_to(&mut self, capacity: usize) -> Result<(), TransportError> {
        let more = capacity.saturating_sub(self.bytes.len());
        self.bytes
            .try_reserve_exact(more)
            .map_err(|_| TransportError::NoMemory { bytes: capacity })
    }

    fn too_large(&self) -> TransportError {
        TransportError::TooLarge {
            limit: self.max_bytes,
        }
    }

    /// The body.
    ///
    /// # Errors
    /// Where less, or more, has arrived than was announced.
    pub(super) fn finish(self) -> Result<Bytes, TransportError> {
        match self.announced {
            Some(length) if length != self.bytes.len() => {
                Err(TransportError::Connection("half an answer".to_owned()))
            }
            _ => Ok(self.bytes.into()),
        }
    }
}
