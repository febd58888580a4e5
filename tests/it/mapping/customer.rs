//! Customers as profiles.

use klaviyo_bulk_import::config::MappingOptions;
use klaviyo_bulk_import::mapping::Skip;
use klaviyo_bulk_import::mapping::customer::{self, Profile};
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::records::any_json;

/// The profile's JSON text.
fn profile(customer: &str, options: &MappingOptions) -> Result<(Profile, String), Skip> {
    let customer: &RawValue = serde_json::from_str(customer).unwrap();
    let mut out = Vec::new();
    let profile = customer::profile(customer, options, None, &mut out)?;
    Ok((profile, String::from_utf8(out).unwrap()))
}

fn attributes(customer: &Value) -> Value {
    let (_, document) = profile(&customer.to_string(), &MappingOptions::default()).unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["type"], "profile");
    document["attributes"].clone()
}

fn phone(number: &str) -> (Option<String>, bool) {
    phone_in(number, None)
}

/// What is sent of a number at an address in this country, and whether it was left out.
fn phone_in(number: &str, country: Option<&str>) -> (Option<String>, bool) {
    let customer = json!({"id": "c", "addresses": [{"mobile": number, "country": country}]});
    let (profile, document) = profile(&customer.to_string(), &MappingOptions::default()).unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();
    let phone = document["attributes"]["phone_number"]
        .as_str()
        .map(str::to_owned);
    (phone, profile.phone_left_out)
}

/// Names of snapshots and the customers in them.
fn customers() -> Vec<(&'static str, Value)> {
    let address =
        |id: &str| json!({"id": id, "streetName": format!("Street of {id}"), "country": "DE"});
    vec![
        (
            "complete",
            json!({
                "id": "8b5e0c1a", "version": 12, "email": "clara@example.com", "firstName": "Clara", "lastName": "Núñez",
                "title": "Dr.", "companyName": "Acme \"Tools\" & Söhne", "password": "****", "isEmailVerified": true,
                "addresses": [{
                    "id": "a1", "apartment": "3B", "building": "Torre Norte", "streetNumber": "143",
                    "streetName": "Calle Mayor", "additionalStreetInfo": "Patio", "additionalAddressInfo": "ring twice",
                    "city": "Madrid", "country": "ES", "region": "Comunidad de Madrid", "state": "not used",
                    "postalCode": "28013", "mobile": "+34 612-345-678", "phone": "+34910000000"
                }],
                "defaultBillingAddressId": "a1",
                "custom": {"type": {"typeId": "type", "id": "t"}, "fields": {
                    "loyaltyTier": "silver", "points": 0, "newsletter": false, "preferences": ["b"]
                }}
            }),
        ),
        ("only_an_id", json!({"id": "c"})),
        (
            "empty_texts",
            json!({"id": "c", "email": "", "firstName": "", "custom": {"fields": {"a": "", "b": 0}}}),
        ),
        (
            "two_parts_of_a_street",
            json!({"id": "c", "addresses": [{"streetNumber": "143", "streetName": "Calle Mayor"}]}),
        ),
        (
            "an_address_without_parts",
            json!({"id": "c", "addresses": [{"id": "a", "apartment": ""}]}),
        ),
        (
            "the_default_billing_address",
            json!({"id": "c", "addresses": [address("a"), address("b"), address("c")],
                   "defaultBillingAddressId": "c", "billingAddressIds": ["b"]}),
        ),
        (
            "a_default_billing_address_that_is_gone",
            json!({"id": "c", "addresses": [address("a")], "defaultBillingAddressId": "z", "billingAddressIds": ["a"]}),
        ),
        (
            "the_first_of_the_billing_addresses",
            json!({"id": "c", "addresses": [address("a"), address("b"), address("c")], "billingAddressIds": ["b", "c"]}),
        ),
        (
            "the_first_address",
            json!({"id": "c", "addresses": [address("a"), address("b")], "billingAddressIds": [],
                   "defaultShippingAddressId": "b"}),
        ),
        (
            "a_landline_that_is_not_e164",
            json!({"id": "c", "email": "a@example.com", "addresses": [{"phone": "030 123456"}]}),
        ),
        (
            "texts_of_all_scripts",
            json!({"id": "c", "firstName": "包丁", "lastName": "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} \\ \" \n", "companyName": "\u{0}",
                   "addresses": [{"streetName": "Привет", "streetNumber": "\t1"}]}),
        ),
        (
            "wrong_shapes",
            json!({"id": "c", "email": 5, "firstName": null, "lastName": ["x"], "addresses": {"a": 1}, "custom": {"fields": []},
                   "billingAddressIds": "a", "defaultBillingAddressId": {}}),
        ),
        (
            "wrong_shapes_within_an_address",
            json!({"id": "c", "addresses": [null, 7, {"streetName": 5, "city": null, "mobile": 12345678901_u64, "phone": "+4930123456789"}]}),
        ),
    ]
}

#[test]
fn whole_profiles() {
    for (name, customer) in customers() {
        insta::assert_json_snapshot!(name, attributes(&customer));
    }
}

#[test]
fn custom_fields_follow_the_configured_rules() {
    let mut options = MappingOptions::default();
    let rules = &mut options.sync.customer.custom_fields;
    rules.exclude = vec!["secret".to_owned()];
    rules
        .map
        .insert("tier".to_owned(), "Loyalty Tier".to_owned());
    let customer = r#"{"id":"c","custom":{"fields":{"secret":1,"tier":"gold","size":1.50}}}"#;
    let (_, document) = profile(customer, &options).unwrap();
    assert_eq!(
        document,
        r#"{"type":"profile","attributes":{"external_id":"c","properties":{"Loyalty Tier":"gold","size":1.50}}}"#
    );
}

#[test]
fn values_are_copied_byte_for_byte() {
    let customer = r#"{"id":"c","firstName":"\u00e9\/\ud800","custom":{"fields":{"z":1.10,"a":[ 1e2, {"k" : 1E400}],"big":123456789012345678901234567890}}}"#;
    let (_, document) = profile(customer, &MappingOptions::default()).unwrap();
    assert_eq!(
        document,
        r#"{"type":"profile","attributes":{"external_id":"c","first_name":"\u00e9\/\ud800","properties":{"z":1.10,"a":[ 1e2, {"k" : 1E400}],"big":123456789012345678901234567890}}}"#
    );
}

#[test]
fn phone_numbers_are_sent_in_e164_or_left_out_and_told() {
    for (number, sent) in [
        ("+491701234567", "+491701234567"),
        ("+49 (170) 123-45/67", "+491701234567"),
        ("+1.500.555.0006", "+15005550006"),
        ("+49\u{a0}170\u{2011}1234567", "+491701234567"),
        ("+45 20 12 34 56", "+4520123456"),
        ("0045 20123456", "+4520123456"),
        ("+47 22 12 34 56", "+4722123456"),
        ("+65 6123 4567", "+6561234567"),
        ("+49 (0)30 123456", "+4930123456"),
    ] {
        assert_eq!(phone(number), (Some(sent.to_owned()), false), "{number}");
    }
    for number in [
        "01701234567",
        "+0491701234567",
        "+1234567890",
        "+123456789012345",
        "+1234567890123456",
        "+004520123456",
        "+49170123456x",
        "n/a",
        "+",
        "++491701234567",
    ] {
        assert_eq!(phone(number), (None, true), "{number}");
    }
    assert_eq!(phone(""), (None, false));
    for (number, country, sent) in [
        ("0171 2345678", "DE", "+491712345678"),
        ("20 12 34 56", "DK", "+4520123456"),
        ("(202) 555-0173", "US", "+12025550173"),
        ("+45 20 12 34 56", "DE", "+4520123456"),
    ] {
        let expected = (Some(sent.to_owned()), false);
        assert_eq!(phone_in(number, Some(country)), expected, "{number}");
    }
    for (number, country) in [("20 12 34", "DK"), ("0171 2345678", "XX")] {
        assert_eq!(phone_in(number, Some(country)), (None, true), "{number}");
    }
}

#[test]
fn the_second_try_has_no_phone_number_and_all_the_rest() {
    let whole = r#"{"type":"profile","attributes":{"email":"a@example.com","external_id":"c","phone_number":"+1","properties":{"n":1.0}}}"#;
    let alone =
        r#"{"email":"a@example.com","external_id":"c","phone_number":"+1","properties":{"n":1.0}}"#;
    let mended = r#"{"type":"profile","attributes":{"email":"a@example.com","external_id":"c","properties":{"n":1.0}}}"#;
    for document in [whole, alone] {
        assert_eq!(
            customer::without_phone_number(document.as_bytes()).unwrap(),
            mended.as_bytes()
        );
        assert_eq!(customer::external_id(document).as_deref(), Some("c"));
    }
    for nothing_to_mend in [mended, "{}", "[]", "5", "", "{", r#"{"attributes":7}"#] {
        assert_eq!(
            customer::without_phone_number(nothing_to_mend.as_bytes()),
            None,
            "{nothing_to_mend}"
        );
    }
}

#[test]
fn a_customer_without_an_id_is_skipped_and_leaves_nothing_behind() {
    for customer in [
        "[]",
        "null",
        "\"c\"",
        "{}",
        r#"{"id":""}"#,
        r#"{"id":5}"#,
        r#"{"id":null}"#,
    ] {
        let customer: &RawValue = serde_json::from_str(customer).unwrap();
        let mut out = b"before".to_vec();
        let skip =
            customer::profile(customer, &MappingOptions::default(), None, &mut out).unwrap_err();
        assert_eq!(
            (skip.code(), out.as_slice()),
            ("malformed", b"before".as_slice()),
            "{customer}"
        );
    }
}

const WORDS: &[&str] = &[
    "id",
    "email",
    "firstName",
    "title",
    "addresses",
    "defaultBillingAddressId",
    "billingAddressIds",
    "custom",
    "fields",
    "mobile",
    "phone",
    "streetName",
    "city",
    "+491701234567",
];

proptest! {
    #[test]
    fn any_json_becomes_json_or_a_reason(inner in any_json(WORDS), members in any_json(WORDS)) {
        let others = members.strip_prefix('{').and_then(|members| members.strip_suffix('}')).filter(|members| !members.is_empty());
        let customer = match others {
            Some(others) => format!(r#"{{"addresses":[{inner}],"custom":{{"fields":{inner}}},{others},"id":"c"}}"#),
            None => inner,
        };
        if let Ok((_, document)) = profile(&customer, &MappingOptions::default()) {
            prop_assert!(serde_json::from_str::<&RawValue>(&document).is_ok(), "{}", document);
        }
    }
}
