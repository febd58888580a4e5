//! What is written about the app holds: its description, README, handbook and deploy files.

pub(crate) mod description;
mod documents;
mod floors;
