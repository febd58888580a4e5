//! Bindings of the world `guest` in `guest.wit`: what the component uses of WASI 0.2 and of Spin. A crate of its own, as
//! two components are bound to it: ours, and the one in `tests/probe`.
#![cfg(target_family = "wasm")]
#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    reason = "the code is generated"
)]

wit_bindgen::generate!({
    path: ".",
    generate_all,
    pub_export_macro: true,
});
