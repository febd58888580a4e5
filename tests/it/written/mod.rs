//! What is written about the app holds: its description, README, handbook and deploy files.

mod description;
mod documents;
mod floors;
mod terminal;
