//! The calls that an app sends, in their order.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use http::{Method, Request, Uri};
use jiff::Timestamp;
use native::Interceptor;
use native::environment::{Answered, Destination};
use sim::world::World;

/// A call, as it was sent.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) at: Timestamp,
    to: Destination,
    method: Method,
    uri: Uri,
}

impl Sent {
    pub(crate) fn is_to(&self, to: Destination, method: Method) -> bool {
        self.to == to && self.method == method
    }

    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    /// Without the question mark; empty where there is none.
    pub(crate) fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }
}

/// Writes down every call, and lets it go its way.
pub(crate) struct Calls {
    world: Rc<World>,
    sent: RefCell<Vec<Sent>>,
}

impl Calls {
    pub(crate) fn of(world: &Rc<World>) -> Self {
        Self {
            world: world.clone(),
            sent: RefCell::default(),
        }
    }

    /// Such calls, from the first to the last.
    pub(crate) fn all(&self, is_meant: impl Fn(&Sent) -> bool) -> Vec<Sent> {
        let sent = self.sent.borrow();
        sent.iter().filter(|sent| is_meant(sent)).cloned().collect()
    }
}

impl Interceptor for Calls {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        self.sent.borrow_mut().push(Sent {
            at: self.world.clock().now(),
            to,
            method: request.method().clone(),
            uri: request.uri().clone(),
        });
        None
    }
}
