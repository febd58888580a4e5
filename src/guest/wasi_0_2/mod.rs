//! The guest for WASI 0.2, over bindings of the world `guest` in `wit/`: Spin 3.0 and later.
//!
//! An instance serves one request: it answers, goes on with what that request started, and is gone when
//! [`handle`](Guest::handle) returns.
//!
//! Libraries that were compared by what such a guest needs:
//!
//! | | exports | adds crates | |
//! | --- | --- | --- | --- |
//! | `wit-bindgen` 0.57 and the reactor here | `incoming-handler@0.2.0` | 18, all known to the lock file | taken |
//! | `wstd` 0.6.8 | `incoming-handler@0.2.12`, which Spin 3.0 does not find | 29 | an answer is not read before the upload has ended, and is lost where that fails; a body is collected, then copied |
//! | `spin-sdk` 5.2 | `incoming-handler@0.2.0` | 39 | `send` has no request options; a future without a pollable is not woken |
//! | `spin-sdk` 6.0 | `handler@0.3.0-rc`, which no final Spin has | | |
//!
//! The executor of `wstd` alone cannot be taken either: it waits for the pollables of its own bindings.

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
            let values = VARIABLES.iter().map(|&name| read_variable(name)).collect();
            let head = incoming::head(&request);
            let body = incoming::body(request, &head.headers);
            let answer = super::answer(values, head, body, ports).await;
            incoming::respond(answer, answer_to).await;
        });
    }
}

/// A variable; one that is not defined counts as empty.
fn read_variable(name: &'static str) -> Result<(&'static str, String), &'static str> {
    match variables::get(name) {
        Ok(value) => Ok((name, value)),
        Err(variables::Error::Undefined(_)) => Ok((name, String::new())),
        Err(_) => Err(name),
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
