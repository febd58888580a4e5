//! Somebody who tampers with answers on their way.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use klaviyo_bulk_import::ports::TransportError;

use crate::mutation::mutate;
use crate::script::Script;

/// Whose answers are tampered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// commercetools' records and tokens.
    Commercetools,
    /// The run documents that commercetools keeps.
    RunDocuments,
    /// Klaviyo's.
    Klaviyo,
}

/// Changes the answer to a call, which is told by its method and path.
type Change = dyn FnMut(&str, &mut Response<Bytes>);

/// Who tampers with answers.
#[derive(Default)]
pub(crate) enum Tamper {
    #[default]
    Nobody,
    Script(Target, Script),
    Function(Box<Change>),
}

impl Tamper {
    /// Whether answers arrive as they were given from now on.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Nobody => true,
            Self::Script(_, script) => script.is_over(),
            Self::Function(_) => false,
        }
    }

    /// What becomes of an answer to a call, which is told by its method and path.
    pub(crate) fn spoil(
        &mut self,
        target: Target,
        call: &str,
        mut answer: Response<Bytes>,
    ) -> Result<Response<Bytes>, TransportError> {
        match self {
            Self::Script(wanted, script) if *wanted == target && !script.is_over() => {
                return spoil(answer, script);
            }
            Self::Function(spoil) => spoil(call, &mut answer),
            _ => {}
        }
        Ok(answer)
    }
}

/// Header values that are not what anyone expects.
const HEADERS: [(&str, &str); 12] = [
    ("retry-after", "18446744073709551615"),
    ("retry-after", "18446744073709551616"),
    ("retry-after", "-1"),
    ("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT"),
    ("retry-after", "0"),
    ("ratelimit-remaining", "0"),
    ("ratelimit-remaining", "-1"),
    ("ratelimit-reset", "4294967295"),
    ("ratelimit-reset", "1e9"),
    ("content-type", "text/html"),
    ("location", "http://elsewhere.example/"),
    ("date", "a Tuesday"),
];

/// Statuses beside those that the APIs are known for.
const STATUSES: [u16; 20] = [
    200, 201, 202, 204, 206, 301, 302, 304, 307, 400, 401, 403, 404, 409, 413, 422, 429, 500, 503,
    599,
];

fn spoil(
    mut answer: Response<Bytes>,
    script: &mut Script,
) -> Result<Response<Bytes>, TransportError> {
    let ways = script.byte();
    match ways {
        // as it is: the calls that come later have their turn
        0..=79 => return Ok(answer),
        80..=87 => return Err(TransportError::Connection("lost".to_owned())),
        88..=91 => return Err(TransportError::Timeout),
        _ => {}
    }
    if ways >= 240 {
        let status = script.pick(&STATUSES);
        *answer.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    }
    if ways >= 224 {
        for _ in 0..=script.below(3) {
            let (name, value) = script.pick(&HEADERS);
            answer.headers_mut().insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
    }
    if ways < 232 {
        *answer.body_mut() = mutate(answer.body(), script).into();
    }
    Ok(answer)
}
