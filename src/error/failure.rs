//! A failed request: which API, what for, and what happened.

use std::fmt;
use std::time::Duration;

use crate::ports::TransportError;

/// The API that a request was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The commercetools token endpoint (`ct_auth_url`).
    CommercetoolsAuth,
    /// The commercetools HTTP API (`ct_api_url`).
    Commercetools,
    /// The Klaviyo API.
    Klaviyo,
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::CommercetoolsAuth => "commercetools (token)",
            Self::Commercetools => "commercetools",
            Self::Klaviyo => "Klaviyo",
        })
    }
}

/// An error response: any status that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The API's own code for it (`errors[0].code`), if it gave one.
    pub code: Option<String>,
    /// How long to wait before the next request (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// Klaviyo's `errors[].source.pointer`s, as they are: see [`plain_field`](super::plain_field).
    pub pointers: Vec<String>,
}

/// The kind of a request: what is done about an error depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Reads something whose size the request does not set.
    #[default]
    Read,
    /// Reads a page of records, which can be requested with fewer records.
    Page,
    /// Looks up several records, which can be requested a few at a time at once.
    Lookup,
    /// Writes or sends.
    Write,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "status {}", self.status)?;
        self.code
            .as_ref()
            .map_or(Ok(()), |code| write!(formatter, " ({code})"))
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// There is no response.
    Transport(TransportError),
    /// The response is an error.
    Refused(Refusal),
    /// The response's body is not as the API's contract describes it; the text names what was expected.
    Unreadable(String),
    /// A stored document of this app has a form that this version does not read; the text names it.
    UnreadableDocument(String),
    /// A stored document of this app, named by the text, was changed by another invocation at each attempt to write it.
    Contended(String),
    /// Klaviyo rejected every document that was sent, without a pointer to any: the cause is not the documents.
    EverythingRefused(Refusal),
}

/// A request to one of the APIs that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The API.
    pub peer: Peer,
    /// What the request was for, such as `query customers`.
    pub operation: &'static str,
    /// The kind of request.
    pub access: Access,
    /// What happened.
    pub kind: Kind,
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}: ", self.peer, self.operation)?;
        match &self.kind {
            Kind::Transport(error) => write!(formatter, "{error}"),
            Kind::Unreadable(what) => write!(formatter, "the response could not be read: {what}"),
            Kind::UnreadableDocument(which) => write!(formatter, "custom object {which}"),
            Kind::Contended(which) => {
                write!(
                    formatter,
                    "custom object {which} was changed by others each time"
                )
            }
            Kind::Refused(refusal) => write!(formatter, "{refusal}"),
            Kind::EverythingRefused(refusal) => {
                write!(formatter, "every document is rejected: {refusal}")
            }
        }
    }
}

/// Whether the error is an error response with this code.
pub(super) fn has_code(error: &Error, code: &str) -> bool {
    matches!(&error.kind, Kind::Refused(refusal) if refusal.code.as_deref() == Some(code))
}

impl Error {
    /// A request without a response.
    #[must_use]
    pub fn transport(peer: Peer, operation: &'static str, error: TransportError) -> Self {
        Self {
            peer,
            operation,
            access: Access::default(),
            kind: Kind::Transport(error),
        }
    }

    /// A request that was not sent, or would be refused, before this has passed: as a 429 with `Retry-After`.
    #[must_use]
    pub fn throttled(peer: Peer, operation: &'static str, code: &str, wait: Duration) -> Self {
        Self {
            peer,
            operation,
            access: Access::default(),
            kind: Kind::Refused(Refusal {
                status: 429,
                code: Some(code.to_owned()),
                retry_after: Some(wait),
                pointers: Vec::new(),
            }),
        }
    }

    /// A response whose body is not as the contract describes it.
    #[must_use]
    pub fn unreadable(peer: Peer, operation: &'static str, expected: impl Into<String>) -> Self {
        Self {
            peer,
            operation,
            access: Access::default(),
            kind: Kind::Unreadable(expected.into()),
        }
    }

    /// A stored document of this app, named by the text, that this version cannot read.
    #[must_use]
    pub fn unreadable_document(operation: &'static str, which: impl Into<String>) -> Self {
        Self {
            peer: Peer::Commercetools,
            operation,
            access: Access::Read,
            kind: Kind::UnreadableDocument(which.into()),
        }
    }

    /// A stored document of this app, named by the text, that another invocation changed at each attempt to write it.
    #[must_use]
    pub fn contended(operation: &'static str, which: impl Into<String>) -> Self {
        Self {
            peer: Peer::Commercetools,
            operation,
            access: Access::Write,
            kind: Kind::Contended(which.into()),
        }
    }

    /// The error with this kind of request.
    #[must_use]
    pub fn of(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// Whether the API rejected the request itself, not its credentials or its rate: what was requested does not exist,
    /// or not in this form.
    #[must_use]
    pub fn is_rejection(&self) -> bool {
        self.status().is_some_and(|status| {
            (400..500).contains(&status) && !matches!(status, 401 | 403 | 408 | 429)
        })
    }

    /// Whether the response has more bytes than the caller, or the instance now, can hold.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        let too_large = |error: &TransportError| matches!(error, TransportError::TooLarge { .. });
        matches!(&self.kind, Kind::Transport(error) if too_large(error)) || self.lacks_memory()
    }

    /// Whether the instance has no memory now for a response that the caller could hold.
    #[must_use]
    pub fn lacks_memory(&self) -> bool {
        matches!(self.kind, Kind::Transport(TransportError::NoMemory { .. }))
    }

    /// Whether the API took too long for the request.
    #[must_use]
    pub fn took_too_long(&self) -> bool {
        let is_timeout = self.kind == Kind::Transport(TransportError::Timeout);
        has_code(self, "QueryTimedOut") || is_timeout || self.was_cut_off()
    }

    /// Whether the caller had less time left than a response may take.
    #[must_use]
    pub fn was_cut_off(&self) -> bool {
        self.kind == Kind::Transport(TransportError::CutOff)
    }

    /// Whether a page took too long, so that fewer records may help.
    #[must_use]
    pub fn is_slow_page(&self) -> bool {
        let is_slow = self.took_too_long() || matches!(self.status(), Some(408 | 502 | 503 | 504));
        matches!(self.access, Access::Page | Access::Lookup) && is_slow
    }

    /// The response's status; `None` if there is no response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match &self.kind {
            Kind::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// The error response; `None` if the error is of another kind.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.kind {
            Kind::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}
