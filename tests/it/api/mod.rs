//! The API of the native core: every answer is held to its description.

mod answers;
mod check;
mod cron;
mod errors;
mod operating;
mod plans;
mod status;
