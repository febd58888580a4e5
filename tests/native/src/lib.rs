//! The core in this process.

pub mod executor;
