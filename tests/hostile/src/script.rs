//! Bytes, read as a series of decisions.

/// Decisions that are left. One whose bytes are used up decides 0 for ever.
#[derive(Debug, Clone, Default)]
pub struct Script {
    bytes: Vec<u8>,
    at: usize,
}

impl Script {
    /// The decisions in these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            at: 0,
        }
    }

    /// Whether all its bytes are used up.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let byte = self.bytes.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        byte
    }

    /// A number below `bound`, from one byte where that is enough, else from two; 0 where the bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let number = match bound {
            0..=256 => usize::from(self.byte()),
            _ => usize::from(u16::from_be_bytes([self.byte(), self.byte()])),
        };
        number.checked_rem(bound).unwrap_or(0)
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// The next bytes as they are, at most `most`.
    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest[..rest.len().min(most)].to_vec();
        self.at += most;
        taken
    }
}
