//! `GET /api/accounts`: which account the key of the call is of.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::answer::{Refusal, document};
use super::call::Call;
use super::options::Options;

const FIELDS: [&str; 7] = [
    "contact_information",
    "industry",
    "locale",
    "preferred_currency",
    "public_api_key",
    "test_account",
    "timezone",
];

/// The account of a key that is known.
pub(super) fn list(
    call: &Call<'_>,
    key: &str,
    options: &Options,
) -> Result<Response<Bytes>, Refusal> {
    call.query.allow(&["fields[account]"])?;
    if !options.may_read_account {
        return Err(Refusal::permission_denied("accounts:read"));
    }
    let account = options.other_accounts.get(key).unwrap_or(&options.account);
    let Value::Object(mut attributes) = json!({
        "test_account": true,
        "contact_information": {
            "default_sender_name": "Simulated Shop",
            "default_sender_email": "shop@example.com",
            "website_url": "http://www.example.com",
            "organization_name": "Simulated Shop",
            "street_address": {
                "address1": "Examplegade 12",
                "address2": "1.tv.",
                "city": "Copenhagen",
                "region": null,
                "country": "Denmark",
                "zip": "1000",
            },
        },
        "industry": "Software / SaaS",
        "timezone": "Europe/Copenhagen",
        "preferred_currency": "DKK",
        "public_api_key": account,
        "locale": "en-US",
    }) else {
        unreachable!("it is an object")
    };
    call.query.sparse("account", &FIELDS, &mut attributes)?;
    let resource = call.resource("account", "accounts", account, attributes);
    let links = call.page_links(None);
    Ok(document(
        StatusCode::OK,
        &json!({ "data": [resource], "links": links }),
    ))
}
