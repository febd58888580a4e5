//! The built component, in the host.

mod api;
mod catalog;
mod chain;
mod crash_points;
mod customers;
mod imports;
mod limits;
mod many_variants;
mod memory;
mod operating;
mod orders;
mod page;
mod platform;
mod ports;
mod races;
mod security;
mod shops;
