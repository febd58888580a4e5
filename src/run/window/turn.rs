//! Which ranges the reader chooses from.

/// Which ranges are read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// All, and those of records that are read before their parts before the others.
    RecordsFirst,
    /// Only these.
    OnlyRecords,
    /// All but these.
    NoRecordsFirst,
}
