//! What can go wrong with the two APIs, and the one table that says what is done about it.
//!
//! An [`Error`] says what happened. [`Error::action`] and [`Error::advice`] look it up in [`POLICY`]: whether it is tried
//! again, waited for, set aside with the record, or ends the run with advice to the operator. Retrying is the default
//! for what is not known; ending a run must be said by a row.
//!
//! Texts are made of operation names, statuses and codes only: what an API says in `detail` or `message` can quote a
//! customer's data, and errors end up in logs and in the run document.

use std::fmt;
use std::time::Duration;

use crate::ports::TransportError;

/// The API that was asked.
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

/// An error answer: a status of 400 or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The API's own code for it (`errors[0].code`), where it gave one.
    pub code: Option<String>,
    /// How long the server wants to be left alone (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// Klaviyo's `errors[].source.pointer`s, as they are: see [`plain_field`].
    pub pointers: Vec<String>,
}

/// What a call was for: what helps depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Reads one thing, or what is as large as it is.
    #[default]
    Read,
    /// Reads a page of records: fewer can be asked for.
    Page,
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
    /// There is no answer.
    Transport(TransportError),
    /// The answer is an error.
    Refused(Refusal),
    /// The answer's body is not what the API's contract says; the text names what was expected.
    Unreadable(String),
    /// A document of this app's is not as this version writes it; the text names it.
    UnreadableDocument(String),
    /// Every document that was sent was refused, none of them pointed at, and none was taken: it is not the documents.
    EverythingRefused(Refusal),
}

/// A call to one of the APIs that did not do what it was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Who was asked.
    pub peer: Peer,
    /// What for, such as `query customers`.
    pub operation: &'static str,
    /// What kind of call it was.
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
            Kind::Unreadable(what) => write!(formatter, "the answer could not be read: {what}"),
            Kind::UnreadableDocument(which) => write!(formatter, "custom object {which}"),
            Kind::Refused(refusal) => write!(formatter, "{refusal}"),
            Kind::EverythingRefused(refusal) => {
                write!(formatter, "every document is refused: {refusal}")
            }
        }
    }
}

/// The most characters of a code or of a pointer's field that are shown.
const MAX_SHOWN: usize = 200;

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.:~$".contains(&byte)
}

/// A code that an answer gives, where it looks like one: whatever else stands in its place is not shown.
#[must_use]
pub fn plain_code(code: String) -> Option<String> {
    let is_code = (1..=MAX_SHOWN).contains(&code.len()) && code.bytes().all(is_plain);
    is_code.then_some(code)
}

/// The field that a JSON pointer names, as far as it is made of plain names: a pointer into properties of the merchant's
/// own can have anything in it.
#[must_use]
pub fn plain_field(pointer: &str) -> &str {
    let shown = pointer.bytes().take(MAX_SHOWN);
    let length = shown
        .take_while(|&byte| byte == b'/' || is_plain(byte))
        .count();
    match &pointer[..length] {
        whole if length == pointer.len() => whole,
        // the name that is cut short is left out
        part => &part[..part.rfind('/').unwrap_or(0)],
    }
}

/// What is done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Tried again with back-off and jitter; where that does not help, the window ends and the next one tries.
    Retry,
    /// As [`Action::Retry`], but for a few windows only: what an API answers wrongly, it may go on answering.
    RetryForAWhile,
    /// Left alone for as long as the server says, then tried again.
    Wait,
    /// A new token is fetched, once; a second refusal ends the run.
    RefreshToken,
    /// Asked for less at a time.
    AskForLess,
    /// The records that the answer points at are set aside, the others go on.
    SetAside,
    /// The run ends as failed; its cursor stays.
    GiveUp,
}

/// One row of the table: the first row that matches decides.
pub struct Row {
    /// Which errors, in words, for the handbook.
    pub what: &'static str,
    matches: fn(&Error) -> bool,
    /// What is done.
    pub action: Action,
    /// What the operator is told to do.
    pub advice: &'static str,
}

impl fmt::Debug for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Row")
            .field("what", &self.what)
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

fn from(error: &Error, peer: Peer, status: u16) -> bool {
    error.peer == peer && error.status() == Some(status)
}

fn has_code(error: &Error, code: &str) -> bool {
    matches!(&error.kind, Kind::Refused(refusal) if refusal.code.as_deref() == Some(code))
}

/// Whether the API did not get a page together in time: it might with fewer records.
fn is_slow_page(error: &Error) -> bool {
    error.access == Access::Page
        && (error.took_too_long() || matches!(error.status(), Some(408 | 502 | 503 | 504)))
}

/// What is done about what.
pub const POLICY: &[Row] = &[
    Row {
        what: "any: the host is not allowed",
        matches: |error| error.kind == Kind::Transport(TransportError::Denied),
        action: Action::GiveUp,
        advice: "Add the URL's host to allowed_outbound_hosts of the component in spin.toml.",
    },
    Row {
        what: "any: the answer is too large to hold",
        matches: |error| matches!(error.kind, Kind::Transport(TransportError::TooLarge { .. })),
        action: Action::AskForLess,
        advice: "Raise memory_mib (and the platform's limit with it): a single record is larger than the buffers.",
    },
    Row {
        what: "commercetools: a run document that this version cannot read",
        matches: |error| matches!(error.kind, Kind::UnreadableDocument(_)),
        action: Action::GiveUp,
        advice: "Deploy the version that wrote it, or delete the custom object that the message names: then its import can start anew.",
    },
    Row {
        what: "commercetools: a page that takes too long (QueryTimedOut, no answer in time, 408, 502 to 504)",
        matches: is_slow_page,
        action: Action::AskForLess,
        advice: "Check commercetools' status page; the run goes on by itself when it answers.",
    },
    Row {
        what: "any: no connection, no answer in time, half an answer",
        matches: |error| matches!(error.kind, Kind::Transport(_)),
        action: Action::Retry,
        advice: "Check the API's status page and the URL in the configuration; the run goes on by itself when it answers.",
    },
    Row {
        what: "any: an answer that is not as the API describes it",
        matches: |error| matches!(error.kind, Kind::Unreadable(_)),
        action: Action::RetryForAWhile,
        advice: "Check the API's status page and the URL in the configuration. If both are right, report the operation.",
    },
    Row {
        what: "any: a redirect",
        matches: |error| {
            error
                .status()
                .is_some_and(|status| (300..400).contains(&status))
        },
        action: Action::GiveUp,
        advice: "Put the API's own URL into ct_api_url, ct_auth_url or klaviyo_api_url: redirects are not followed, as the credentials are for nobody else.",
    },
    Row {
        what: "any: 429",
        matches: |error| error.status() == Some(429),
        action: Action::Wait,
        advice: "Nothing: the run goes on when the rate limit allows it.",
    },
    Row {
        what: "any: 408, 5xx",
        matches: |error| {
            error
                .status()
                .is_some_and(|status| status == 408 || status >= 500)
        },
        action: Action::Retry,
        advice: "Check the API's status page; the run goes on by itself when it answers.",
    },
    Row {
        what: "commercetools (token): 400 invalid_scope",
        matches: |error| {
            from(error, Peer::CommercetoolsAuth, 400) && has_code(error, "invalid_scope")
        },
        action: Action::GiveUp,
        advice: "Give the API client the scopes that ct_scope names, or name only those that it has.",
    },
    Row {
        what: "commercetools (token): 400, 401, 403",
        matches: |error| {
            error.peer == Peer::CommercetoolsAuth && matches!(error.status(), Some(400 | 401 | 403))
        },
        action: Action::GiveUp,
        advice: "Check clientId and secret in ct_api_client, and ct_auth_url: the API client may have been deleted.",
    },
    Row {
        what: "commercetools (token): any other 4xx",
        matches: |error| error.peer == Peer::CommercetoolsAuth,
        action: Action::GiveUp,
        advice: "Check ct_auth_url: it must be the authorization host of the project's region.",
    },
    Row {
        what: "commercetools: 401",
        matches: |error| from(error, Peer::Commercetools, 401),
        action: Action::RefreshToken,
        advice: "Check ct_api_client: the project refuses tokens of this API client.",
    },
    Row {
        what: "commercetools: 403",
        matches: |error| from(error, Peer::Commercetools, 403),
        action: Action::GiveUp,
        advice: "Give the API client the missing scope (GET /sync/check names it) and put it into ct_scope.",
    },
    Row {
        what: "commercetools: 404",
        matches: |error| from(error, Peer::Commercetools, 404),
        action: Action::GiveUp,
        advice: "Check ct_project_id and the region in ct_api_url: there is no such project.",
    },
    Row {
        what: "commercetools: any other 4xx",
        matches: |error| error.peer == Peer::Commercetools,
        action: Action::GiveUp,
        advice: "The project refused a request of this app. Report it with the operation and the code.",
    },
    Row {
        what: "Klaviyo: 401, 403",
        matches: |error| matches!(error.status(), Some(401 | 403)),
        action: Action::GiveUp,
        advice: "Check klaviyo_auth_key: a private key with full access to profiles, lists, events and catalogs.",
    },
    Row {
        what: "Klaviyo: every document is refused, and none of them pointed at",
        matches: |error| matches!(error.kind, Kind::EverythingRefused(_)),
        action: Action::GiveUp,
        advice: "It is not the records: check the Klaviyo account and what klaviyo_auth_key may do, then resume.",
    },
    Row {
        what: "Klaviyo: any other 4xx to a read",
        matches: |error| error.access != Access::Write,
        action: Action::GiveUp,
        advice: "Klaviyo rejected a read of this app, which says nothing of the records. Check klaviyo_api_url. If it is right, report the operation and the code.",
    },
    Row {
        what: "Klaviyo: 400, 409, 413, 422",
        matches: |error| matches!(error.status(), Some(400 | 409 | 413 | 422)),
        action: Action::SetAside,
        advice: "Look at the records that the report names.",
    },
    Row {
        what: "Klaviyo: any other 4xx",
        matches: |_| true,
        action: Action::GiveUp,
        advice: "Check klaviyo_api_url. If it is right, report the operation and the code.",
    },
];

/// The table as the handbook has it, in Markdown.
#[must_use]
pub fn handbook_table() -> String {
    let mut table =
        String::from("| what happened | what is done | what you do |\n| --- | --- | --- |\n");
    for row in POLICY {
        table.push_str(&format!(
            "| {} | {} | {} |\n",
            row.what,
            row.action.in_words(),
            row.advice
        ));
    }
    table
}

impl Action {
    fn in_words(self) -> &'static str {
        match self {
            Self::Retry => {
                "tried again, with growing pauses of up to 15 minutes, for as long as it takes"
            }
            Self::RetryForAWhile => {
                "tried again, with growing pauses; after five windows without progress the run fails"
            }
            Self::Wait => {
                "waited for as long as the API asks, longer where that leads nowhere, for as long as it takes"
            }
            Self::RefreshToken => {
                "a new token is fetched, and another one after a pause; refused again, the run fails"
            }
            Self::AskForLess => {
                "asked for fewer records at a time, down to one; then waited for as an API that does not answer, or, where one record is too large to hold, the run fails"
            }
            Self::SetAside => "the records are set aside and named in the report, the others go on",
            Self::GiveUp => "the run fails; its cursor is kept",
        }
    }
}

impl Error {
    /// An error of this call without an answer.
    #[must_use]
    pub fn transport(peer: Peer, operation: &'static str, error: TransportError) -> Self {
        Self {
            peer,
            operation,
            access: Access::default(),
            kind: Kind::Transport(error),
        }
    }

    /// An error of this call whose answer is not what the contract says.
    #[must_use]
    pub fn unreadable(peer: Peer, operation: &'static str, expected: impl Into<String>) -> Self {
        Self {
            peer,
            operation,
            access: Access::default(),
            kind: Kind::Unreadable(expected.into()),
        }
    }

    /// A document of this app's, named by the text, that this version cannot read.
    #[must_use]
    pub fn unreadable_document(operation: &'static str, which: impl Into<String>) -> Self {
        Self {
            peer: Peer::Commercetools,
            operation,
            access: Access::Read,
            kind: Kind::UnreadableDocument(which.into()),
        }
    }

    /// The error, of this kind of call.
    #[must_use]
    pub fn of(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// Whether the answer is a rejection that has nothing to do with credentials or rates: what was asked for is not
    /// there, or not in this form.
    #[must_use]
    pub fn is_rejection(&self) -> bool {
        self.status().is_some_and(|status| {
            (400..500).contains(&status) && !matches!(status, 401 | 403 | 408 | 429)
        })
    }

    /// Whether the answer took its time and then was none.
    #[must_use]
    pub fn took_too_long(&self) -> bool {
        has_code(self, "QueryTimedOut") || self.kind == Kind::Transport(TransportError::Timeout)
    }

    /// Whether it may pass by itself: the API does not answer, or asks to wait.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self.action() {
            Action::Retry | Action::Wait => true,
            Action::AskForLess => is_slow_page(self),
            Action::RetryForAWhile | Action::RefreshToken | Action::SetAside | Action::GiveUp => {
                false
            }
        }
    }

    /// Whether a person has to mend credentials or scopes: once that is done the run can go on from where it stands.
    #[must_use]
    pub fn is_of_credentials(&self) -> bool {
        let is_token = self.peer == Peer::CommercetoolsAuth;
        !matches!(self.action(), Action::Retry | Action::RetryForAWhile)
            && match self.status() {
                Some(400) => is_token,
                Some(401 | 403) => true,
                _ => false,
            }
    }

    /// The answer's status, where there is an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match &self.kind {
            Kind::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// The refusal, where the answer is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.kind {
            Kind::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// The row of the table that decides about it.
    #[must_use]
    pub fn row(&self) -> &'static Row {
        POLICY
            .iter()
            .find(|row| (row.matches)(self))
            .unwrap_or(&POLICY[POLICY.len() - 1])
    }

    /// What is done about it.
    #[must_use]
    pub fn action(&self) -> Action {
        self.row().action
    }

    /// What the operator can do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        self.row().advice
    }
}
