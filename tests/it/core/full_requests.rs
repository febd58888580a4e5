//! Requests with events are as full as they may be, and a minute's limit costs little more than the minute: each request
//! counts for it, however small it is.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use http::Request;
use native::environment::{Answered, Destination};
use native::operator::moment;
use native::shop::run_with;
use native::{Interceptor, Operator, Setup};
use sim::seed::Kind;

/// "Maximum payload size: 5 MB".
const MOST: usize = 5_000_000;
/// A request of fewer bytes would have had room for most orders' events.
const FULL: usize = 4_700_000;

/// The sizes of requests with events.
#[derive(Default)]
struct Sizes(RefCell<Vec<usize>>);

impl Sizes {
    /// How many requests their bytes need.
    fn needed(&self) -> usize {
        let bytes: usize = self.0.borrow().iter().sum();
        bytes.div_ceil(MOST)
    }

    /// How many requests there were, and how many of them were not full.
    fn counts(&self) -> (usize, usize) {
        let sizes = self.0.borrow();
        let small = sizes.iter().filter(|&&size| size < FULL).count();
        (sizes.len(), small)
    }
}

impl Interceptor for Sizes {
    fn request(&self, _to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        if request.uri().path() == "/api/event-bulk-create-jobs" {
            self.0.borrow_mut().push(request.body().len());
        }
        None
    }
}

fn setup(orders: u32) -> Setup {
    let mut setup = Setup::orders(orders).latency_ms(300);
    setup.has_instance_per_call = true;
    setup.check_contract = false;
    setup
}

#[test]
fn a_window_that_ends_sends_one_request_that_is_not_full() {
    let sizes = Rc::new(Sizes::default());
    let setup = setup(8_000).variable("window_seconds", 4);
    run_with(setup, sizes.clone(), async |shop| {
        shop.start("orders", "").await;
        let status = shop.completed("orders").await;
        let windows = status["window"].as_u64().expect("a count");
        assert!(windows > 1, "{status}");
        let (all, small) = sizes.counts();
        assert!(
            small as u64 <= windows,
            "{small} of {all} in {windows} windows"
        );
        shop.assert_ledger(&[Kind::Order]);
    });
}

#[test]
fn the_second_minute_begins_with_full_requests_soon_after_it_may() {
    let sizes = Rc::new(Sizes::default());
    // the first window has time for a minute's requests
    let setup = setup(34_000).variable("window_seconds", 25);
    run_with(setup, sizes.clone(), async |shop| {
        shop.start("orders", "").await;
        let status = shop.completed("orders").await;
        let (all, small) = sizes.counts();
        assert!(all > 152, "{all} requests are no more than a minute's");
        let needed = sizes.needed();
        assert!(all <= needed + 3, "{all} for {needed}, {small} not full");
        let took = moment(&status["finishedAt"]).duration_since(moment(&status["startedAt"]));
        // 2 s until the first request, a minute, 1 s as a margin and for what instances take for the time, and what is left:
        // ten requests, and 0.95 s after their responses the others
        assert!(took.as_secs_f64() < 66.5, "{took}");
        let throttled = shop
            .world
            .klaviyo(|klaviyo| klaviyo.ledger().total_traffic().throttled);
        assert_eq!(throttled, 0);
        shop.assert_ledger(&[Kind::Order]);
    });
}
