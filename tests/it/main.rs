//! Integration tests, in one binary, in folders by what they look at.

mod api;
mod browser;
mod component;
mod core;
mod hostile;
mod mapping;
mod support;
mod terminal;
mod written;
