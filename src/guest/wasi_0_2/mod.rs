//! The guest for WASI 0.2, over bindings of the world `guest` in `wit/`: Spin 3.0 and later.
//!
//! An instance serves one request: it answers, goes on with what that request started, and is gone when
//! [`handle`](Guest::handle) returns.
//!
//! Libraries that were looked at, each as a component that sends a request and hands the answer on:
//!
//! | | exports | crates | wasm | |
//! | --- | --- | --- | --- | --- |
//! | `wit-bindgen` 0.57 and the reactor here | `incoming-handler@0.2.0` | | | |
//! | `wstd` 0.6.8 | `@0.2.12`, which Spin 3.0 does not find | | | an answer before the upload's end is lost; copies each answer |
//! | `spin-sdk` 5.2 | `@0.2.0` | | | `send` has no request options; a future without a pollable is not woken |
//! | `spin-sdk` 6.0 | `handler@0.3.0-rc`, which only some Spins have | | | |
//!
//! Of `wstd`, the executor alone cannot be taken either: it waits for the pollables of its own bindings, of 0.2.12.

mod incoming;
mod outgoing;
mod reactor;
mod streams;

use std::rc::Rc;

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::fermyon::spin::variables;
use bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};

use super::StandardError;
use super::clock::WasiClock;
use crate::config::VARIABLES;
use crate::ports::{LocalFuture, Ports, Spawn};

bindings::export!(Component with_types_in bindings);

struct Component;

impl Guest for Component {
    fn handle(request: IncomingRequest, answer_to: ResponseOutparam) {
        reactor::run(async {
            // one that is not defined counts as empty
            let value = |name| variables::get(name).unwrap_or_default();
            let values = VARIABLES.map(|name| (name, value(name))).into();
            let head = incoming::head(&request);
            let body = incoming::body(request, &head.headers);
            let answer = super::answer(&values, head, body, ports).await;
            incoming::respond(answer, answer_to).await;
        });
    }
}

fn ports() -> Ports {
    Ports {
        http: Rc::new(outgoing::WasiHttp),
        clock: Rc::new(WasiClock::new(|duration| {
            Box::pin(reactor::sleep(duration))
        })),
        spawn: Rc::new(ReactorSpawn),
        log: Rc::new(StandardError),
    }
}

struct ReactorSpawn;

impl Spawn for ReactorSpawn {
    fn spawn(&self, work: LocalFuture<'static, ()>) {
        reactor::spawn(work);
    }
}
