//! Answers of Klaviyo in another form.

use bytes::Bytes;
use http::Response;
use native::Interceptor;
use native::environment::{Answered, Destination};
use serde_json::Value;

/// Changes Klaviyo's answers.
pub(crate) struct Rewrite {
    /// How the calls begin.
    pub(crate) call: &'static str,
    pub(crate) change: Box<dyn Fn(&mut Value)>,
}

impl Interceptor for Rewrite {
    fn response(&self, to: Destination, call: &str, response: Response<Bytes>) -> Answered {
        let body = serde_json::from_slice::<Value>(response.body());
        let (Destination::Klaviyo, true, Ok(mut body)) = (to, call.starts_with(self.call), body)
        else {
            return Ok(response);
        };
        (self.change)(&mut body);
        let (mut parts, _) = response.into_parts();
        parts.headers.remove("content-length");
        Ok(Response::from_parts(parts, Bytes::from(body.to_string())))
    }
}
