//! The component's guest, as it is, around another app: one that makes the calls that it is asked for, so that tests see
//! what becomes of each at the ports.
#![cfg(target_family = "wasm")]

mod api;
mod app;
mod calls;
mod config;

#[path = "../../../src/ports.rs"]
pub mod ports;

#[path = "../../../src/guest/mod.rs"]
mod guest;
