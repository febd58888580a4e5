//! The API of the native core: every answer is held to its description.

mod answers;
mod catch_up;
mod check;
mod cron;
mod destinations;
mod errors;
mod launches;
mod operating;
mod page;
mod plans;
mod status;
mod stops;
mod telling;
