//! Sizes of the buffers, from the memory that the window may use.

/// A window does not work with less: a page and a batch have to fit, whatever else there is.
const LEAST_MIB: usize = 8;

/// Sizes of a window's buffers.
#[derive(Debug, Clone, Copy)]
pub(super) struct MemoryLimits {
    /// Bytes of pages.
    pub(super) pages: usize,
    /// Bytes of one response.
    pub(super) answer: usize,
    /// Bytes of a response with one record, while no other page is held: more than commercetools' 16 MB for a record in
    /// the least memory (<https://docs.commercetools.com/api/limits>).
    pub(super) alone: usize,
    /// Batches that are being sent at the same time.
    pub(super) sends: usize,
}

impl MemoryLimits {
    /// The sizes for so much memory, halved so many times.
    pub(super) fn of(memory_mib: usize, halvings: u32) -> Self {
        let memory_mib = memory_mib >> halvings.min(16);
        let bytes = memory_mib.max(LEAST_MIB) * 1024 * 1024;
        Self {
            pages: bytes / 5,
            answer: bytes / 5,
            alone: bytes * 2 / 5,
            sends: (memory_mib / 24).clamp(2, 5),
        }
    }
}
