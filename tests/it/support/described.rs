//! Shops of the native core whose every answer is held to the API's description.

use std::rc::Rc;

use bytes::Bytes;
use http::Response;
use native::{Call, Interceptor, Setup, Shop};

use super::description;

struct Described;

impl Interceptor for Described {
    fn answer(&self, call: &Call, answer: &Response<Bytes>) {
        description::hold(&call.method, &call.path, answer);
    }
}

/// Runs a test of such a shop.
pub(crate) fn run<T>(setup: Setup, test: impl AsyncFnOnce(Shop) -> T) -> T {
    native::shop::run_with(setup, Rc::new(Described), test)
}
