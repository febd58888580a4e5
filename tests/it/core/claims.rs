//! Claiming the lease of a run while others write its document.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use klaviyo_bulk_import::run::chain::PREDECESSOR;
use native::call::Call;
use native::environment::{Answered, Destination};
use native::{CONTAINER, Interceptor, Operator, Setup};
use serde_json::{Value, json};
use sim::seed::Kind;
use sim::world::World;

use crate::support::calls::{Calls, Sent};
use crate::support::described::run;

/// Somebody writes the run's document just before each of so many saves of it: its lease is given back then.
#[derive(Default)]
struct LastSave {
    world: OnceCell<Rc<World>>,
    times: Cell<u32>,
}

impl Interceptor for LastSave {
    fn request(&self, _to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let is_save =
            request.method() == "POST" && request.uri().path().ends_with("/custom-objects");
        let draft: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let times = self.times.get();
        if times > 0 && is_save && draft["key"] == "customers" {
            self.times.set(times - 1);
            let world = self.world.get()?;
            let now = world.clock().now();
            world.commercetools(|project| {
                let mut document = project.custom_object(CONTAINER, "customers")?.value.clone();
                document["lease"] = Value::Null;
                document["writeId"] = format!("another's {times}").into();
                project.put_custom_object(now, CONTAINER, "customers", &document);
                Some(())
            });
        }
        None
    }
}

/// A window's last save can take effect after the window has given it up for lost and called the next one, which claims
/// the lease at that moment.
#[test]
fn a_window_goes_on_although_the_last_save_of_the_one_before_comes_between() {
    for (times, is_claimed) in [(0, true), (1, true), (2, true), (3, false)] {
        run(Setup::customers(40).scheduled(), async |shop| {
            shop.start("customers", "").await;
            let until = shop.world.clock().now() + Duration::from_secs(20);
            shop.change_document("customers", |document| {
                document["lease"] = json!({"holder": "before", "until": until.to_string()});
            });
            let last_save = LastSave::default();
            last_save.times.set(times);
            assert!(last_save.world.set(shop.world.clone()).is_ok());
            let next = shop.another_with(&[], Rc::new(last_save));
            let call = Call::post("/sync/customers/continue", "").header(PREDECESSOR, "before");
            let answer = next.send(call).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let status = shop.status("customers").await;
            let is_over = status["status"] == "completed";
            assert_eq!(is_over, is_claimed, "{times} others: {status}");
            if is_claimed {
                shop.assert_ledger(&[Kind::Customer]);
            }
        });
    }
}

/// The first page of customers.
fn is_read(call: &Sent) -> bool {
    call.path().ends_with("/customers") && call.query().contains("sort=")
}

/// Somebody else's start is faster: its document is there when the first one arrives.
struct Outrun {
    calls: Calls,
    world: Rc<World>,
    is_over: Cell<bool>,
}

impl Interceptor for Outrun {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let is_save = request.uri().path().ends_with("/custom-objects");
        if is_save && !self.is_over.replace(true) {
            let draft: Value = serde_json::from_slice(request.body()).expect("a draft");
            let mut document = draft["value"].clone();
            document["runId"] = "another".into();
            document["writeId"] = "another's".into();
            document["lease"]["holder"] = "another".into();
            let now = self.world.clock().now();
            self.world.commercetools(|project| {
                project.put_custom_object(now, CONTAINER, "customers", &document);
            });
        }
        self.calls.request(to, request)
    }
}

#[test]
fn a_run_begins_to_read_while_it_is_written_down() {
    run(Setup::customers(40).latency_ms(200), async |shop| {
        let calls = Rc::new(Calls::of(&shop.world));
        let watched = shop.another_with(&[], calls.clone());
        watched.complete("customers", "").await;
        let saves = calls.all(|call| call.path().ends_with("/custom-objects"));
        assert_eq!(calls.all(is_read)[0].at, saves[0].at, "side by side");
        shop.assert_ledger(&[Kind::Customer]);
    });
}

#[test]
fn what_is_read_ahead_is_given_up_where_another_start_was_faster() {
    run(Setup::customers(40).latency_ms(200), async |shop| {
        let outrun = Rc::new(Outrun {
            calls: Calls::of(&shop.world),
            world: shop.world.clone(),
            is_over: Cell::new(false),
        });
        let late = shop.another_with(&[], outrun.clone());
        let answer = late.posted("/sync/customers", "", 423).await;
        assert_eq!(answer["resource"], "customers", "{answer}");
        shop.pass(Duration::from_secs(20)).await;
        assert!(!outrun.calls.all(is_read).is_empty());
        let sent = |call: &Sent| call.is_to(Destination::Klaviyo, Method::POST);
        assert_eq!(outrun.calls.all(sent).len(), 0, "nothing is sent");
    });
}
