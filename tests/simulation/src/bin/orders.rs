//! `cargo bench-orders`: the import of many orders in virtual time, beside what a perfect client would have needed: one that
//! knows all orders at the beginning, reads for free, fills each request, and sends it the moment that the limits allow it.
//! It prints and does not judge: only a wrong ledger ends it.
//!
//! Computing takes no time here, as in `cargo bench-catalog`: what is measured is how long the import waits for something
//! that it could have avoided.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use http::{Request, Response};
use jiff::Timestamp;
use native::environment::{Answered, Destination};
use native::shop::run_with;
use native::{Interceptor, Operator, Setup, Shop};
use serde_json::Value;
use sim::klaviyo::{Operation, RateHeaders, Windows, perfect_calls};
use sim::seed::Kind;

/// The path of the requests that are counted.
const EVENTS: &str = "/api/event-bulk-create-jobs";
/// "Maximum payload size: 5 MB".
const MOST_BYTES: u64 = 5_000_000;
/// "Maximum number of events per request: 1,000".
const MOST_EVENTS: u64 = 1_000;
/// Requests of one second of the bursts: how full they are is told.
const BURST: usize = 10;

#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Orders
    #[arg(long, default_value_t = 100_000)]
    orders: u32,
    /// About how long an order is, in bytes
    #[arg(long, default_value_t = 8_000)]
    order_bytes: usize,
    /// The mean time of a call
    #[arg(long, default_value_t = 300)]
    latency_ms: u64,
    /// The length of a window in seconds
    #[arg(long, default_value_t = 20)]
    window_seconds: u64,
    /// `RateLimit-*` headers of the minute, as documented, in the place of those of the second, as recorded
    #[arg(long)]
    documented_headers: bool,
    /// All windows in one instance, as with WASI 0.3; else each has its own
    #[arg(long)]
    one_instance: bool,
    /// How many requests began in each second in which some did, and when windows ended
    #[arg(long)]
    timeline: bool,
}

/// When requests with events began, and their sizes.
#[derive(Default)]
struct Requests {
    shop: OnceCell<Rc<sim::world::World>>,
    begun: RefCell<Vec<(Timestamp, usize)>>,
    throttled: Cell<u64>,
}

impl Interceptor for Requests {
    fn request(&self, _to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        if let Some(world) = self.shop.get()
            && request.uri().path() == EVENTS
        {
            let of = (world.clock().now(), request.body().len());
            self.begun.borrow_mut().push(of);
        }
        None
    }

    fn response(&self, to: Destination, _call: &str, response: Response<Bytes>) -> Answered {
        if to == Destination::Klaviyo && response.status() == 429 {
            self.throttled.set(self.throttled.get() + 1);
        }
        Ok(response)
    }
}

fn main() {
    let arguments = Arguments::parse();
    let mut setup = Setup::orders(arguments.orders)
        .latency_ms(arguments.latency_ms)
        .variable("window_seconds", arguments.window_seconds);
    setup.order_bytes = arguments.order_bytes;
    setup.check_contract = false;
    setup.has_instance_per_call = !arguments.one_instance;
    setup.longest = Duration::from_hours(24);
    setup.klaviyo.rate_headers = match arguments.documented_headers {
        true => RateHeaders::Documented,
        false => RateHeaders::Recorded,
    };
    let requests = Rc::new(Requests::default());
    let seen = requests.clone();
    run_with(setup, requests, async move |shop| {
        _ = seen.shop.set(shop.world.clone());
        let begun = shop.world.clock().now();
        let (status, lines) = import(&shop, begun).await;
        let checked = shop.world.check_ledger_of(&[Kind::Order]);
        assert!(checked.is_ok(), "{checked:?}");
        if arguments.timeline {
            print_timeline(begun, &seen.begun.borrow(), &lines);
        }
        print(begun, &status, &seen, arguments.latency_ms);
    });
}

/// Imports all orders; gives how the run ended, and the log with the times of its lines.
async fn import(shop: &Shop, begun: Timestamp) -> (Value, Vec<(f64, String)>) {
    shop.start("orders", "").await;
    let mut lines = Vec::new();
    loop {
        let after = shop.world.clock().now().duration_since(begun).as_secs_f64();
        let new = shop.log().split_off(lines.len());
        lines.extend(new.into_iter().map(|line| (after, line)));
        let status = shop.status("orders").await;
        if status["status"] != "running" {
            assert_eq!(status["status"], "completed", "{status}");
            return (status, lines);
        }
        shop.pass(Duration::from_millis(200)).await;
    }
}

fn print(begun: Timestamp, status: &Value, seen: &Requests, latency_ms: u64) {
    let requests = seen.begun.borrow();
    let ended: Timestamp = native::operator::moment(&status["finishedAt"]);
    let took = ended.duration_since(begun).as_secs_f64();
    let calls = requests.len() as u64;
    let bytes: u64 = requests.iter().map(|(_, bytes)| *bytes as u64).sum();
    let events = status["counts"]["documents"].as_u64().unwrap_or_default();
    let needed = bytes.div_ceil(MOST_BYTES).max(events.div_ceil(MOST_EVENTS));
    println!(
        "{} orders: {events} events, {:.1} MB, {calls} requests ({needed} needed), {} x 429, {} windows, {took:.1} s",
        status["counts"]["read"],
        bytes as f64 / 1e6,
        seen.throttled.get(),
        status["window"],
    );
    for (name, windows) in [
        (
            "windows of the limits begin with the import",
            Windows::FromStart,
        ),
        ("where they begin is unknown", Windows::Unknown),
    ] {
        let latency = Duration::from_millis(latency_ms);
        let of = |calls| {
            let last = perfect_calls(Operation::BulkCreateEvents, calls, windows);
            (last + latency).as_secs_f64()
        };
        println!(
            "  {name}: a perfect client needs {:.1} s ({:.1} %), and for as many requests {:.1} s ({:.1} %)",
            of(needed),
            100.0 * of(needed) / took,
            of(calls),
            100.0 * of(calls) / took,
        );
    }
}

/// Where the time went: requests in each second in which some began, and pauses between them.
fn print_timeline(begun: Timestamp, requests: &[(Timestamp, usize)], lines: &[(f64, String)]) {
    let after = |at: Timestamp| at.duration_since(begun).as_secs_f64();
    let mut lines = lines.iter().peekable();
    let mut at = 0;
    while at < requests.len() {
        let from = after(requests[at].0);
        while let Some((_, line)) = lines.next_if(|(time, _)| *time <= from) {
            println!("  {line}");
        }
        let in_second = requests[at..]
            .iter()
            .take_while(|(time, _)| after(*time) < from + 1.0);
        let sizes: Vec<usize> = in_second.map(|(_, bytes)| *bytes).collect();
        let bytes: usize = sizes.iter().sum();
        let mark = if sizes.len() < BURST {
            " (not full)"
        } else {
            ""
        };
        println!(
            "  {from:>7.2} s: {:>2} requests of {:.2} MB{mark}",
            sizes.len(),
            bytes as f64 / 1e6 / sizes.len() as f64,
        );
        at += sizes.len();
    }
    for (_, line) in lines {
        println!("  {line}");
    }
}
