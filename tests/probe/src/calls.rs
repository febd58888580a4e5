//! Calls through the ports.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_channel::oneshot;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::app::App;
use crate::ports::{Body, Limits, TransportError};
use crate::time::yield_now;

/// Bodies are made of slices of this size, in bytes, which are all the same one.
const SLICE_BYTES: usize = 10_000;
/// How often the tasks hand a message around.
const ROUNDS: u32 = 100;

/// Makes all the calls at once.
pub(crate) async fn all(app: &App, asked: &Value) -> Value {
    let calls = each(asked).map(|call| one(app, call));
    Value::Array(join_all(calls).await)
}

/// Makes the calls, one after the other.
pub(crate) async fn one_by_one(app: &App, asked: &Value) {
    for call in each(asked) {
        one(app, call).await;
    }
}

/// Makes the first of them.
pub(crate) async fn first(app: &App, asked: &Value) {
    if let Some(call) = each(asked).next() {
        one(app, call).await;
    }
}

/// Makes all but the first, one after the other.
pub(crate) async fn others(app: &App, asked: &Value) {
    for call in each(asked).skip(1) {
        one(app, call).await;
    }
}

fn each(asked: &Value) -> impl Iterator<Item = &Value> {
    asked.as_array().into_iter().flatten()
}

/// Makes a call as the core does; one that is to be bounded "by the platform" through the port alone, so that what ends it
/// is what the platform has been told.
async fn one(app: &App, call: &Value) -> Value {
    let number = |name: &str| call[name].as_u64();
    let url = match (call["url"].as_str(), call["path"].as_str()) {
        (Some(url), _) => url.to_owned(),
        (None, Some(path)) => format!("{}{path}", app.config.peer),
        (None, None) => format!("{}/echo", app.ports.http.self_url()),
    };
    let length = number("send").unwrap_or_default();
    let body = body(usize::try_from(length).unwrap_or(usize::MAX));
    let request = http::Request::post(url).header("x-twice", "1");
    let Ok(request) = request.header("x-twice", "2").body(body) else {
        return json!({"error": "no request"});
    };
    let limits = Limits {
        timeout: Duration::from_millis(number("timeout").unwrap_or(60_000)),
        max_bytes: usize::try_from(number("most").unwrap_or(64 << 20)).unwrap_or(usize::MAX),
    };
    let outcome = match call["bounded"].as_str() {
        Some("by the platform") => app.ports.http.send(request, limits).await,
        _ => app.ports.send(request, limits).await,
    };
    match outcome {
        Ok(answer) => json!({
            "status": answer.status().as_u16(),
            "bytes": answer.body().len(),
            "checksum": checksum(answer.body()),
            "headers": answer.headers().get_all("x-twice").iter().count(),
            "text": std::str::from_utf8(answer.body()).ok().filter(|text| text.len() < 1_000),
        }),
        Err(error) => json!({"error": match error {
            TransportError::Timeout | TransportError::CutOff => "timeout".to_owned(),
            TransportError::TooLarge { .. } => "too large".to_owned(),
            TransportError::NoMemory { .. } => "no memory".to_owned(),
            TransportError::Denied => "denied".to_owned(),
            TransportError::Connection(what) => format!("connection: {what}"),
        }}),
    }
}

/// A body that takes no memory worth mentioning.
fn body(length: usize) -> Body {
    let slice = Bytes::from_iter((0..SLICE_BYTES).map(pattern));
    let mut slices = vec![slice.clone(); length / SLICE_BYTES];
    slices.push(slice.slice(..length % SLICE_BYTES));
    Body::from_slices(slices)
}

fn pattern(index: usize) -> u8 {
    (index % 251) as u8
}

/// A number that is another one where a byte is another one, or at another place.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum: u32, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(*byte))
    })
}

/// Tasks that wait for each other, for the clock, and for nothing at all but their turn. Gives the number of messages that
/// came around; a lost wake-up leaves it without an answer.
pub(crate) async fn tasks(app: &Rc<App>) -> Value {
    let mut messages = 0;
    for round in 0..ROUNDS {
        let (to_first, first) = oneshot::channel::<u32>();
        let (to_second, second) = oneshot::channel::<u32>();
        let (to_us, ours) = oneshot::channel::<u32>();
        let clock = app.ports.clock.clone();
        // started before what it waits for, and waits for another task alone
        app.ports.spawn.spawn(Box::pin(async move {
            if let Ok(message) = second.await {
                _ = to_us.send(message + 1);
            }
        }));
        app.ports.spawn.spawn(Box::pin(async move {
            let Ok(message) = first.await else { return };
            match round % 3 {
                0 => clock.sleep(Duration::from_millis(1)).await,
                1 => yield_now().await,
                _ => {}
            }
            _ = to_second.send(message + 1);
        }));
        if round % 2 == 0 {
            yield_now().await;
        }
        _ = to_first.send(1);
        // while a task waits for a clock that strikes later, others are woken
        let late = app.ports.clock.sleep(Duration::from_secs(3_600));
        match futures_util::future::select(ours, late).await {
            futures_util::future::Either::Left((Ok(message), _)) => messages += message,
            _ => break,
        }
    }
    json!({"messages": messages, "expected": ROUNDS * 3})
}
