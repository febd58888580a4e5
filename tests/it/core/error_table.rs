//! The error table: an example of every row, what is done about it, and the handbook's copy of it.

use std::path::Path;
use std::time::Duration;

use klaviyo_bulk_import::error::{Action, Error, Kind, POLICY, Peer, Refusal, handbook_table};
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
        kind: Kind::Refused(refusal),
    }
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
            "commercetools: a run document that this version cannot read",
            Action::GiveUp,
            vec![Error::unreadable_document("test", "container/key")],
        ),
        (
            "any: no connection, no response in time, an incomplete response",
            Action::Retry,
            vec![
                lost(CommercetoolsAuth, TransportError::Timeout),
                lost(Klaviyo, TransportError::Connection(String::new())),
                Error::unreadable(Commercetools, "test", "JSON"),
            ],
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
