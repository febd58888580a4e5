//! The component's guest, as it is, around another app: one that makes the calls that it is asked for, so that tests see
//! what becomes of each at the ports.
#![cfg(target_family = "wasm")]

mod api;
mod app;
mod calls;
mod config;

#[path = "../../../src/ports.rs"]
pub mod ports;

#[path = "../../../src/time.rs"]
#[allow(dead_code, reason = "the core uses all of it")]
pub mod time;

#[path = "../../../src/guest/mod.rs"]
mod guest;
