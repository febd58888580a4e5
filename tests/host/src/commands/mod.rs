//! One file per command, and what they share.

pub(crate) mod bench;
pub(crate) mod demo;
mod figures;
mod operator;
mod progress;
mod report;
pub(crate) mod serve;
mod testbed;
mod values;
