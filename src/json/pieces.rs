//! Documents made of several slices of a buffer: what documents share is written once.

use std::ops::Range;

/// The byte ranges of a document in a buffer, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pieces([Range<usize>; 3]);

impl From<Range<usize>> for Pieces {
    fn from(whole: Range<usize>) -> Self {
        Self([whole, 0..0, 0..0])
    }
}

impl From<[Range<usize>; 3]> for Pieces {
    fn from(pieces: [Range<usize>; 3]) -> Self {
        Self(pieces)
    }
}

impl Pieces {
    /// The document's length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(ExactSizeIterator::len).sum()
    }

    /// Whether there is no document.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ranges that are not empty.
    pub fn iter(&self) -> impl Iterator<Item = Range<usize>> {
        self.0.iter().filter(|piece| !piece.is_empty()).cloned()
    }

    /// The document in one piece.
    #[must_use]
    pub fn join(&self, buffer: &[u8]) -> Vec<u8> {
        self.iter()
            .flat_map(|piece| &buffer[piece])
            .copied()
            .collect()
    }
}
