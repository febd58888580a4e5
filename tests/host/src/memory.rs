//! How much memory an instance may hold.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use wasmtime::ResourceLimiter;

use crate::stats::Counters;

/// Refuses growth beyond a limit on an instance's linear memories together, and keeps the high-water mark.
pub(crate) struct MemoryLimit {
    limit: usize,
    held: usize,
    counters: Arc<Counters>,
}

impl MemoryLimit {
    /// At most `limit` bytes.
    pub(crate) fn new(limit: usize, counters: Arc<Counters>) -> Self {
        Self {
            limit,
            held: 0,
            counters,
        }
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let held = self.held + desired.saturating_sub(current);
        if held > self.limit {
            Counters::count(&self.counters.refused_growths);
            return Ok(false);
        }
        self.held = held;
        self.counters.peak_memory.fetch_max(held, Relaxed);
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_count_together_and_what_was_refused_does_not_count() {
        let counters = Arc::new(Counters::default());
        let mut memory = MemoryLimit::new(100, counters.clone());
        assert!(memory.memory_growing(0, 60, None).unwrap());
        assert!(memory.memory_growing(0, 30, None).unwrap());
        assert!(!memory.memory_growing(60, 80, None).unwrap());
        assert!(memory.memory_growing(60, 70, None).unwrap());
        let stats = counters.snapshot();
        assert_eq!((stats.peak_memory, stats.refused_growths), (100, 1));
    }
}
