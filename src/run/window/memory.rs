//! Sizes of the buffers, from the memory that the window may use.

/// Sizes of a window's buffers.
#[derive(Debug, Clone, Copy)]
pub(super) struct MemoryLimits {
    /// Bytes of pages.
    pub(super) pages: usize,
    /// Bytes of one answer.
    pub(super) answer: usize,
    /// Batches that are being sent at the same time.
    pub(super) sends: usize,
}

impl MemoryLimits {
    pub(super) fn of(memory_mib: usize) -> Self {
        let bytes = memory_mib * 1024 * 1024;
        Self {
            pages: bytes / 8,
            answer: bytes / 5,
            sends: (memory_mib / 24).clamp(2, 5),
        }
    }
}
