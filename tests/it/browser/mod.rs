//! The page in a real browser, with the built component in the host and the simulators.
//!
//! Where no browser is installed these tests say that they are skipped; `.ci/run` installs one and sets `BROWSER_TESTS`,
//! with which a missing one fails them. Pictures of the page's states are in `target/screenshots` afterwards.

mod driver;
mod looks;
mod operating;
mod picture;
mod visit;
