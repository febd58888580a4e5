//! Which account a key is of.

use super::*;

#[test]
fn a_key_says_of_which_account_it_is() {
    let mut account = Account::new(Options {
        other_accounts: [("pk_other".to_owned(), "Other1".to_owned())].into(),
        ..Options::default()
    });
    let mut ask = |key: &'static str, path: &'static str| {
        let mut request = request("GET", path, Bytes::new());
        let value = format!("Klaviyo-API-Key {key}").parse();
        let headers = request.headers_mut();
        headers.insert("authorization", value.expect("a header value"));
        account.now += Duration::from_secs(1);
        account.send(&request)
    };
    for (key, id) in [("pk_test", "SimAc1"), ("pk_other", "Other1")] {
        let answer = ask(key, "/api/accounts");
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.ids(), [id]);
    }
    let sparse = ask("pk_test", "/api/accounts?fields%5Baccount%5D=timezone");
    assert_eq!(
        sparse.body["data"][0]["attributes"],
        json!({"timezone": "Europe/Copenhagen"})
    );
    assert_eq!(
        ask("pk_third", "/api/accounts").status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        ask("pk_other", "/api/profiles").status,
        StatusCode::UNAUTHORIZED
    );
}

#[test]
fn a_key_without_the_scope_does_not_say_it_and_one_call_a_second_is_allowed() {
    let mut account = Account::new(Options {
        may_read_account: false,
        ..Options::default()
    });
    let ask = request("GET", "/api/accounts", Bytes::new());
    assert_eq!(account.send(&ask).status, StatusCode::FORBIDDEN);
    assert_eq!(account.send(&ask).status, StatusCode::TOO_MANY_REQUESTS);
}
