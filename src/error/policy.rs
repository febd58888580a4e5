//! The table that says what is done about which error.

use std::fmt;

use super::failure::{Access, Error, Kind, Peer, has_code};
use crate::ports::TransportError;

/// What is done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Retried with back-off and jitter; if that does not help, the window ends and the next one retries.
    Retry,
    /// As [`Action::Retry`], but for a few windows only: the response may stay wrong.
    RetryForAWhile,
    /// Retried after the wait that the server asks for.
    Wait,
    /// A new token is fetched, and another one after a pause; if that is rejected too, the run ends.
    RefreshToken,
    /// Fewer records are requested at a time.
    AskForLess,
    /// The records that the response names are set aside; the others continue.
    SetAside,
    /// The run ends as failed; its cursor stays.
    GiveUp,
}

/// One row of the table.
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

/// What is done about which error. The first row that matches decides.
pub const POLICY: &[Row] = &[
    Row {
        what: "any: the host is not allowed",
        matches: |error| error.kind == Kind::Transport(TransportError::Denied),
        action: Action::GiveUp,
        advice: "Add the URL's host to allowed_outbound_hosts of the component in spin.toml.",
    },
    Row {
        what: "any: the response is too large to hold",
        matches: |error| matches!(error.kind, Kind::Transport(TransportError::TooLarge { .. })),
        action: Action::AskForLess,
        advice: "Raise memory_mib (and the platform's limit with it): a single record is larger than the buffers.",
    },
    Row {
        what: "any: the instance has no memory for the response now",
        matches: Error::lacks_memory,
        action: Action::RetryForAWhile,
        advice: "Set memory_mib to what the platform allows an instance, or lower.",
    },
    Row {
        what: "commercetools: a run document that this version cannot read",
        matches: |error| matches!(error.kind, Kind::UnreadableDocument(_)),
        action: Action::GiveUp,
        advice: "Deploy the version that wrote it, or delete the custom object that the message names: then a new import can start.",
    },
    Row {
        what: "commercetools: a document that others change each time",
        matches: |error| matches!(error.kind, Kind::Contended(_)),
        action: Action::Retry,
        advice: "Nothing, if it passes. If it stays: see whether a second deployment works on the same project and container.",
    },
    Row {
        what: "commercetools: a page that takes too long (QueryTimedOut, no response in time, 408, 502 to 504)",
        matches: Error::is_slow_page,
        action: Action::AskForLess,
        advice: "Check commercetools' status page; the run continues by itself when commercetools responds.",
    },
    Row {
        what: "any: no connection, no response in time, an incomplete response",
        matches: |error| matches!(error.kind, Kind::Transport(_)),
        action: Action::Retry,
        advice: "Check the API's status page and the URL in the configuration; the run continues by itself when the API responds.",
    },
    Row {
        what: "any: a response that is not as the API describes it",
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
        advice: "Put the API's own URL into ct_api_url, ct_auth_url or klaviyo_api_url: redirects are not followed, because the credentials must not be sent to another host.",
    },
    Row {
        what: "any: 429",
        matches: |error| error.status() == Some(429),
        action: Action::Wait,
        advice: "Nothing: the run continues when the rate limit allows it.",
    },
    Row {
        what: "any: 408, 5xx",
        matches: |error| {
            error
                .status()
                .is_some_and(|status| status == 408 || status >= 500)
        },
        action: Action::Retry,
        advice: "Check the API's status page; the run continues by itself when the API responds.",
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
        advice: "Check ct_api_client: the project rejects tokens of this API client.",
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
        advice: "The project rejected a request of this app. Report it with the operation and the code.",
    },
    Row {
        what: "Klaviyo: 401, 403",
        matches: |error| matches!(error.status(), Some(401 | 403)),
        action: Action::GiveUp,
        advice: "Check klaviyo_auth_key: a private key with full access to profiles, lists, events and catalogs.",
    },
    Row {
        what: "Klaviyo: every document is rejected, without a pointer to any of them",
        matches: |error| matches!(error.kind, Kind::EverythingRefused(_)),
        action: Action::GiveUp,
        advice: "The records are not the cause: check the Klaviyo account and the scopes of klaviyo_auth_key, then resume.",
    },
    Row {
        what: "Klaviyo: any other 4xx to a read",
        matches: |error| error.access != Access::Write,
        action: Action::GiveUp,
        advice: "Klaviyo rejected a request that only reads, so the records are not the cause. Check klaviyo_api_url. If it is right, report the operation and the code.",
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
                "retried with growing pauses of up to 15 minutes, for as long as it takes"
            }
            Self::RetryForAWhile => {
                "retried with growing pauses; after five windows without progress the run fails"
            }
            Self::Wait => {
                "retried after the wait that the API asks for, or a longer one if that does not help, for as long as it takes"
            }
            Self::RefreshToken => {
                "a new token is fetched, and another one after a pause; if that is rejected too, the run fails"
            }
            Self::AskForLess => {
                "fewer records are requested at a time, down to one; then it is retried as an API that does not respond, or the run fails if one record is too large to hold"
            }
            Self::SetAside => {
                "the records are set aside and named in the report; the others continue"
            }
            Self::GiveUp => "the run fails; its cursor is kept",
        }
    }
}

impl Error {
    /// The row of the table that applies to this error.
    #[must_use]
    pub fn row(&self) -> &'static Row {
        POLICY
            .iter()
            .find(|row| (row.matches)(self))
            .unwrap_or(&POLICY[POLICY.len() - 1])
    }

    /// What is done about this error: the first row of [`POLICY`] that matches decides.
    ///
    /// # Examples
    /// ```
    /// use klaviyo_bulk_import::error::{Access, Action, Error, Kind, Peer, Refusal};
    /// use klaviyo_bulk_import::ports::TransportError;
    ///
    /// let response = |status| Error {
    ///     peer: Peer::Klaviyo,
    ///     operation: "create events",
    ///     access: Access::Write,
    ///     kind: Kind::Refused(Refusal {
    ///         status,
    ///         code: None,
    ///         retry_after: None,
    ///         pointers: Vec::new(),
    ///     }),
    /// };
    /// assert_eq!(response(429).action(), Action::Wait);
    /// assert_eq!(response(503).action(), Action::Retry);
    /// assert_eq!(response(400).action(), Action::SetAside);
    /// assert_eq!(response(403).action(), Action::GiveUp);
    /// assert_eq!(response(403).row().what, "Klaviyo: 401, 403");
    ///
    /// let denied = Error::transport(Peer::Klaviyo, "create events", TransportError::Denied);
    /// assert_eq!(denied.action(), Action::GiveUp);
    /// assert!(denied.advice().contains("allowed_outbound_hosts"));
    /// ```
    #[must_use]
    pub fn action(&self) -> Action {
        self.row().action
    }

    /// What the operator can do about this error.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        self.row().advice
    }

    /// Whether the error may pass by itself: the API does not respond, or asks to wait.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self.action() {
            Action::Retry | Action::Wait => true,
            Action::AskForLess => self.is_slow_page(),
            Action::RetryForAWhile | Action::RefreshToken | Action::SetAside | Action::GiveUp => {
                false
            }
        }
    }

    /// Whether somebody has to fix credentials or scopes. After that the run can continue from its cursor.
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
}
