//! The error table: an example of every row, what is done about it, and the handbook's copy of it.

use std::path::Path;
use std::time::Duration;

use klaviyo_bulk_import::error::{
    Access, Action, Error, Kind, POLICY, Peer, Refusal, handbook_table,
};
use klaviyo_bulk_import::ports::TransportError;

fn refused(peer: Peer, status: u16, code: Option<&str>) -> Error {
    let refusal = Refusal {
        status,
        code: code.map(str::to_owned),
        retry_after: None,
        pointers: Vec::new(),
    };
    Error {
        peer,
        operation: "test",
        access: Access::Write,
        kind: Kind::Refused(refusal),
    }
}

fn everything_refused() -> Error {
    let error = refused(Peer::Klaviyo, 400, None);
    let kind = match error.kind {
        Kind::Refused(refusal) => Kind::EverythingRefused(refusal),
        other => other,
    };
    Error { kind, ..error }
}

fn lost(peer: Peer, error: TransportError) -> Error {
    Error::transport(peer, "test", error)
}

/// Row by row: examples that it must decide about, and what is done about them.
fn examples() -> Vec<(&'static str, Action, Vec<Error>)> {
    use Peer::{Commercetools, CommercetoolsAuth, Klaviyo};
    let all = |status| {
        [CommercetoolsAuth, Commercetools, Klaviyo].map(|peer| refused(peer, status, None))
    };
    let each = |peer, statuses: &[u16]| {
        statuses
            .iter()
            .map(|&status| refused(peer, status, None))
            .collect::<Vec<_>>()
    };
    vec![
        (
            "any: the host is not allowed",
            Action::GiveUp,
            vec![lost(Klaviyo, TransportError::Denied)],
        ),
        (
            "any: the response is too large to hold",
            Action::AskForLess,
            vec![lost(Commercetools, TransportError::TooLarge { limit: 1 })],
        ),
        (
            "any: the instance has no memory for the response now",
            Action::RetryForAWhile,
            vec![lost(Commercetools, TransportError::NoMemory { bytes: 1 })],
        ),
        (
            "commercetools: a run document that this version cannot read",
            Action::GiveUp,
            vec![Error::unreadable_document("test", "container/key")],
        ),
        (
            "commercetools: a document that others change each time",
            Action::Retry,
            vec![Error::contended("test", "container/key")],
        ),
        (
            "commercetools: a page that takes too long (QueryTimedOut, no response in time, 408, 502 to 504)",
            Action::AskForLess,
            [
                vec![
                    refused(Commercetools, 400, Some("QueryTimedOut")),
                    lost(Commercetools, TransportError::Timeout),
                    lost(Commercetools, TransportError::CutOff),
                ],
                each(Commercetools, &[408, 502, 503, 504]),
            ]
            .concat()
            .into_iter()
            .map(|error| error.of(Access::Page))
            .collect(),
        ),
        (
            "any: no connection, no response in time, an incomplete response",
            Action::Retry,
            vec![
                lost(CommercetoolsAuth, TransportError::Timeout),
                lost(Klaviyo, TransportError::Connection(String::new())),
            ],
        ),
        (
            "any: a response that is not as the API describes it",
            Action::RetryForAWhile,
            vec![Error::unreadable(Commercetools, "test", "JSON")],
        ),
        (
            "any: a redirect",
            Action::GiveUp,
            [all(301), all(304), all(307)].concat(),
        ),
        ("any: 429", Action::Wait, all(429).into()),
        (
            "any: 408, 5xx",
            Action::Retry,
            [all(408), all(500), all(503), all(599)].concat(),
        ),
        (
            "commercetools (token): 400 invalid_scope",
            Action::GiveUp,
            vec![refused(CommercetoolsAuth, 400, Some("invalid_scope"))],
        ),
        (
            "commercetools (token): 400, 401, 403",
            Action::GiveUp,
            [
                each(CommercetoolsAuth, &[400, 401, 403]),
                vec![refused(CommercetoolsAuth, 401, Some("invalid_client"))],
            ]
            .concat(),
        ),
        (
            "commercetools (token): any other 4xx",
            Action::GiveUp,
            each(CommercetoolsAuth, &[404, 405, 409]),
        ),
        (
            "commercetools: 401",
            Action::RefreshToken,
            each(Commercetools, &[401]),
        ),
        (
            "commercetools: 403",
            Action::GiveUp,
            each(Commercetools, &[403]),
        ),
        (
            "commercetools: 404",
            Action::GiveUp,
            each(Commercetools, &[404]),
        ),
        (
            "commercetools: any other 4xx",
            Action::GiveUp,
            each(Commercetools, &[400, 409, 413]),
        ),
        (
            "Klaviyo: 401, 403",
            Action::GiveUp,
            each(Klaviyo, &[401, 403]),
        ),
        (
            "Klaviyo: every document is rejected, without a pointer to any of them",
            Action::GiveUp,
            vec![everything_refused()],
        ),
        (
            "Klaviyo: any other 4xx to a read",
            Action::GiveUp,
            each(Klaviyo, &[400, 404, 409, 422])
                .into_iter()
                .map(|error| error.of(Access::Read))
                .collect(),
        ),
        (
            "Klaviyo: 400, 409, 413, 422",
            Action::SetAside,
            each(Klaviyo, &[400, 409, 413, 422]),
        ),
        (
            "Klaviyo: any other 4xx",
            Action::GiveUp,
            each(Klaviyo, &[404, 405, 410]),
        ),
    ]
}

#[test]
fn every_row_decides_about_its_examples() {
    let rows: Vec<&str> = POLICY.iter().map(|row| row.what).collect();
    let tested: Vec<&str> = examples().iter().map(|(what, ..)| *what).collect();
    assert_eq!(tested, rows, "rows and examples differ");
    for (what, action, errors) in examples() {
        assert!(!errors.is_empty(), "{what} has no example");
        for error in errors {
            assert_eq!(error.row().what, what, "{error}");
            assert_eq!(error.action(), action, "{error}");
            assert!(
                error.advice().ends_with('.'),
                "{what}: the advice is no sentence"
            );
        }
    }
}

#[test]
fn what_may_pass_is_told_from_what_has_to_be_mended() {
    use Peer::{Commercetools, CommercetoolsAuth, Klaviyo};
    // error, whether it may pass by itself, whether it is of credentials
    let table = [
        (refused(Klaviyo, 503, None), true, false),
        (refused(Klaviyo, 429, None), true, false),
        (refused(CommercetoolsAuth, 500, None), true, false),
        (
            refused(Commercetools, 502, None).of(Access::Page),
            true,
            false,
        ),
        (lost(Klaviyo, TransportError::Timeout), true, false),
        (lost(Klaviyo, TransportError::CutOff), true, false),
        (
            lost(Commercetools, TransportError::TooLarge { limit: 1 }).of(Access::Page),
            false,
            false,
        ),
        (
            refused(CommercetoolsAuth, 401, Some("invalid_client")),
            false,
            true,
        ),
        (
            refused(CommercetoolsAuth, 400, Some("invalid_scope")),
            false,
            true,
        ),
        (refused(Commercetools, 401, None), false, true),
        (
            refused(Commercetools, 403, None).of(Access::Page),
            false,
            true,
        ),
        (refused(Klaviyo, 401, None), false, true),
        (refused(Klaviyo, 403, None), false, true),
        (refused(Klaviyo, 400, None), false, false),
        (refused(Commercetools, 404, None), false, false),
        (everything_refused(), false, false),
    ];
    for (error, may_pass, is_of_credentials) in table {
        assert_eq!(error.may_pass(), may_pass, "{error}");
        assert_eq!(error.is_of_credentials(), is_of_credentials, "{error}");
    }
}

#[test]
fn what_the_server_says_of_when_to_come_back_changes_nothing_about_what_is_done() {
    let mut error = refused(Peer::Klaviyo, 429, None);
    if let Kind::Refused(refusal) = &mut error.kind {
        refusal.retry_after = Some(Duration::from_secs(3));
    }
    assert_eq!(error.action(), Action::Wait);
}

#[test]
fn the_handbook_has_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/HANDBOOK.md");
    let handbook = std::fs::read_to_string(path).expect("docs/HANDBOOK.md can be read");
    let table = handbook_table();
    assert!(
        handbook.contains(&table),
        "docs/HANDBOOK.md, \"Errors\", is to have this table:\n{table}"
    );
}
