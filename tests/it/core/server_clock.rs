//! commercetools' time, as the client knows it by the responses: leases are held against it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::header::DATE;
use http::{HeaderValue, Request, Response};
use jiff::Timestamp;
use klaviyo_bulk_import::commercetools::Client;
use klaviyo_bulk_import::config::{CommercetoolsConfig, Secret};
use klaviyo_bulk_import::ports::{Body, Clock, Http, Limits, LocalFuture, Ports, TransportError};
use klaviyo_bulk_import::time::{Deadline, later};
use native::Setup;
use native::shop::run;
use serde_json::json;
use sim::world::COMMERCETOOLS;

/// A platform that lets the instance stand still while a response is on its way.
struct Platform {
    clock: Rc<dyn Clock>,
    /// How long it stood still in all.
    stood_still: Cell<Duration>,
    /// What the next response shows, and how long the instance stands still before it sees it.
    next: RefCell<(Timestamp, Duration)>,
}

impl Clock for Platform {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic() + self.stood_still.get()
    }

    fn sleep(&self, duration: Duration) -> LocalFuture<'static, ()> {
        self.clock.sleep(duration)
    }
}

impl Http for Platform {
    fn send(
        &self,
        request: Request<Body>,
        _limits: Limits,
    ) -> LocalFuture<'_, Result<Response<Bytes>, TransportError>> {
        let body = match request.uri().path().ends_with("/oauth/token") {
            true => {
                json!({"access_token": "t", "expires_in": 172_800, "scope": "manage_project:shop"})
            }
            false => json!({"version": 3, "key": "shop"}),
        };
        Box::pin(async move {
            let (date, stands_still) = *self.next.borrow();
            self.stood_still.set(self.stood_still.get() + stands_still);
            let mut response = Response::new(Bytes::from(body.to_string()));
            let date =
                jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date);
            let date = date.expect("a date of HTTP");
            let date = HeaderValue::try_from(date).expect("a header");
            response.headers_mut().insert(DATE, date);
            Ok(response)
        })
    }
}

/// What the client takes commercetools' time for after responses with these dates, in seconds since the first, each after
/// the instance stood still for so many seconds.
fn seconds_known(responses: &'static [(i64, u64)]) -> Vec<i64> {
    run(Setup::default(), async |shop| {
        let start: Timestamp = "2026-07-15T00:00:00Z".parse().expect("a time");
        let platform = Rc::new(Platform {
            clock: shop.ports().clock,
            stood_still: Cell::default(),
            next: RefCell::new((start, Duration::ZERO)),
        });
        let ports = Ports {
            http: platform.clone(),
            clock: platform.clone(),
            ..shop.ports()
        };
        let config = CommercetoolsConfig {
            api_url: COMMERCETOOLS.to_owned(),
            auth_url: COMMERCETOOLS.to_owned(),
            project: "shop".to_owned(),
            scope: String::new(),
            client_id: "id".to_owned(),
            client_secret: Secret::from("secret".to_owned()),
        };
        let client = Client::new(ports, config);
        let deadline = Deadline::after(&*platform, Duration::from_secs(3_600));
        client.granted_scope(deadline).await.expect("a token");
        let mut known = Vec::new();
        for &(date, stands_still) in responses {
            let date = match date {
                0.. => later(start, Duration::from_secs(date.unsigned_abs())),
                _ => start - Duration::from_secs(date.unsigned_abs()),
            };
            *platform.next.borrow_mut() = (date, Duration::from_secs(stands_still));
            let model = client.catalog_model(deadline).await;
            model.expect("the project");
            known.push(client.server_now().as_second() - start.as_second());
        }
        known
    })
}

#[test]
fn a_response_that_an_instance_sees_after_it_stood_still_is_no_news() {
    assert_eq!(seconds_known(&[(5, 0), (5, 100), (60, 0)]), [5, 105, 105]);
}

#[test]
fn a_time_that_no_request_has_been_sent_at_was_wrong() {
    assert_eq!(
        seconds_known(&[(300, 0), (100, 0), (50, 30)]),
        [300, 100, 130]
    );
}
