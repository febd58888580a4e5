//! What an operator is answered instead of what was asked for.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

/// Why there is no answer to a request.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The app, or what it needs for its answer, cannot be reached: the same request may be answered later.
    #[error("{what}")]
    Away {
        /// What was tried, and what came of it.
        what: String,
        /// How long the app asks to wait.
        retry_after: Option<Duration>,
    },
    /// The app refuses the request: the same one would be refused again.
    #[error("{0}")]
    Refused(Problem),
}

/// A problem document (RFC 9457) of the app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// The status of the response.
    #[serde(skip)]
    pub status: StatusCode,
    /// What is wrong, in a few words.
    pub title: String,
    /// What exactly is wrong.
    pub detail: Option<String>,
    /// What to do.
    pub advice: Option<String>,
    /// The resource that keeps the request from being carried out, by its name.
    pub resource: Option<String>,
}

impl Problem {
    /// A problem that the app did not describe.
    pub fn new(status: StatusCode, title: &str) -> Self {
        Self {
            status,
            title: title.to_owned(),
            ..Self::default()
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.title)?;
        if let Some(resource) = &self.resource {
            write!(out, " ({resource})")?;
        }
        for part in [&self.detail, &self.advice].into_iter().flatten() {
            write!(out, ". {}", part.trim_end_matches('.'))?;
        }
        Ok(())
    }
}

impl Failure {
    /// Nothing came back.
    pub(super) fn away(what: String) -> Self {
        Self::Away {
            what,
            retry_after: None,
        }
    }

    /// What a response means that is no success. The app answers 503 if trying again can help; the other statuses that
    /// say so come from what is in front of it, and have no problem document.
    pub(super) fn of(
        what: &str,
        status: StatusCode,
        body: &[u8],
        retry_after: Option<Duration>,
    ) -> Self {
        let described = serde_json::from_slice::<Problem>(body)
            .ok()
            .filter(|problem| !problem.title.is_empty());
        let can_pass = match status {
            StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::GATEWAY_TIMEOUT
            | StatusCode::REQUEST_TIMEOUT => true,
            StatusCode::BAD_GATEWAY => described.is_none(),
            _ => false,
        };
        let problem =
            described.unwrap_or_else(|| Problem::new(status, &format!("{what}: {status}")));
        let problem = Problem { status, ..problem };
        match can_pass {
            true => Self::Away {
                what: problem.to_string(),
                retry_after,
            },
            false => Self::Refused(problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Failure {
        let status = StatusCode::from_u16(status).expect("a status");
        Failure::of("GET /sync", status, body.as_bytes(), None)
    }

    #[test]
    fn what_can_pass_is_told_from_what_is_refused() {
        let problem =
            r#"{"title":"Locked","detail":"It runs.","advice":"Wait.","resource":"orders"}"#;
        for status in [408, 429, 503, 504] {
            assert!(
                matches!(of(status, problem), Failure::Away { .. }),
                "{status}"
            );
        }
        for status in [400, 401, 404, 409, 423, 500, 502] {
            assert!(
                matches!(of(status, problem), Failure::Refused(_)),
                "{status}"
            );
        }
        // a gateway in front of the app
        assert!(matches!(of(502, "<html>"), Failure::Away { .. }));
        assert!(matches!(of(404, "<html>"), Failure::Refused(_)));
    }

    #[test]
    fn a_problem_is_told_with_its_advice() {
        let told = of(
            423,
            r#"{"title":"Locked","detail":"It runs.","advice":"Wait.","resource":"orders"}"#,
        );
        assert_eq!(told.to_string(), "Locked (orders). It runs. Wait");
        assert_eq!(of(404, "no").to_string(), "GET /sync: 404 Not Found");
    }
}
