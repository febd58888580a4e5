//! The ports of an instance.

use std::cell::RefCell;

use clock::Clock as Time;
use http::Method;

use super::*;
use crate::setup::BEGINNING;

/// Answers every call with ten letters, and takes down what is sent.
struct Letters {
    executor: Executor,
    sent: RefCell<Vec<String>>,
}

impl Environment for Letters {
    fn executor(&self) -> &Executor {
        &self.executor
    }

    fn send(
        self: Rc<Self>,
        instance: u64,
        to: Destination,
        request: Request<Bytes>,
    ) -> LocalFuture<'static, Answered> {
        let host = request.headers()[HOST].to_str().expect("a host");
        let line = format!("{instance} {to:?} {host} {}", request.uri());
        self.sent.borrow_mut().push(line);
        Box::pin(async { Ok(Response::new(Bytes::from_static(b"abcdefghij"))) })
    }

    fn denied(&self, request: &Request<Bytes>) {
        self.sent
            .borrow_mut()
            .push(format!("denied {}", request.uri()));
    }

    fn log(&self, instance: u64, line: &str) {
        self.sent
            .borrow_mut()
            .push(format!("{instance} logs {line}"));
    }
}

fn letters() -> Rc<Letters> {
    Rc::new(Letters {
        executor: Executor::new(Time::virtual_from(BEGINNING), 0),
        sent: RefCell::default(),
    })
}

fn send(letters: &Rc<Letters>, url: &str, max_bytes: usize) -> Answered {
    let ports = ports(letters, 7);
    let request = Request::builder().method(Method::POST).uri(url);
    let request = request.body(Body::default()).expect("a request");
    let limits = Limits {
        timeout: Duration::from_secs(1),
        max_bytes,
    };
    letters.executor.block_on(ports.send(request, limits))
}

#[test]
fn a_call_reaches_whom_it_is_for_as_a_server_gets_it_and_nobody_else() {
    let letters = letters();
    for (url, line) in [
        (
            "https://commercetools.test/shop/orders?limit=1",
            "7 Commercetools commercetools.test /shop/orders?limit=1",
        ),
        (
            "https://klaviyo.test/api/x",
            "7 Klaviyo klaviyo.test /api/x",
        ),
        (&format!("{SELF_URL}/sync"), "7 Itself self.alt /sync"),
    ] {
        assert!(send(&letters, url, 10).is_ok(), "{url}");
        assert_eq!(letters.sent.take(), [line]);
    }
    for url in [
        "http://elsewhere.example/x",
        "https://klaviyo.test.example/x",
        "http://klaviyo.test/x",
    ] {
        assert_eq!(send(&letters, url, 10).err(), Some(TransportError::Denied));
        assert_eq!(letters.sent.take(), [format!("denied {url}")]);
    }
}

#[test]
fn an_answer_that_is_larger_than_the_caller_can_hold_is_not_given() {
    let letters = letters();
    let url = "https://klaviyo.test/api/x";
    assert!(send(&letters, url, 10).is_ok());
    let too_large = TransportError::TooLarge { limit: 9 };
    assert_eq!(send(&letters, url, 9).err(), Some(too_large));
}

#[test]
fn an_instances_work_time_and_log_are_its_environments() {
    let letters = letters();
    letters
        .executor
        .block_on(letters.executor.sleep(Duration::from_secs(5)));
    let ports = ports(&letters, 7);
    assert_eq!(ports.clock.now(), BEGINNING + Duration::from_secs(5));
    assert_eq!(ports.clock.monotonic(), Duration::ZERO);
    let (log, sleep) = (ports.log.clone(), ports.clock.sleep(Duration::from_secs(1)));
    ports.spawn.spawn(Box::pin(async move {
        sleep.await;
        log.line("late");
    }));
    assert!(letters.executor.is_busy(7));
    letters
        .executor
        .block_on(letters.executor.sleep(Duration::from_secs(2)));
    assert_eq!(letters.sent.take(), ["7 logs late"]);
    assert_eq!(ports.clock.monotonic(), Duration::from_secs(2));
}
