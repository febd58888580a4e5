//! Emails, as Klaviyo accepts them.

use std::borrow::Cow;

use crate::json::{self, Part};

/// "Emails under 100 characters" (<https://developers.klaviyo.com/en/reference/events_api_overview#limitations>).
const MAX_CHARACTERS: usize = 99;

/// "Events for addresses at these domains are dropped"
/// (<https://developers.klaviyo.com/en/reference/events_api_overview#limitations>).
const TEST_DOMAINS: [&str; 2] = ["example.com", "test.com"];

/// Whether Klaviyo drops the events of an email, escaped or not.
pub(super) fn is_of_tests(email: &str) -> bool {
    let domain = email.rsplit('@').next().unwrap_or_default();
    TEST_DOMAINS
        .iter()
        .any(|test| domain.eq_ignore_ascii_case(test))
}

/// What is sent of an email.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Email<'a> {
    /// There is none, or only blanks.
    Absent,
    /// It has more characters than Klaviyo accepts, and is left out.
    TooLong,
    /// It is sent, without blanks around it. Escaped as a JSON string, without quotes.
    Sent(Cow<'a, str>),
}

impl<'a> Email<'a> {
    /// Reads the email of a customer or an order.
    pub(super) fn read(email: Option<Part<'a>>) -> Self {
        let Some(text) = email.and_then(Part::filled_text) else {
            return Self::Absent;
        };
        let decoded = text.decoded();
        let trimmed = decoded.trim();
        if trimmed.is_empty() {
            return Self::Absent;
        }
        if trimmed.chars().nth(MAX_CHARACTERS).is_some() {
            return Self::TooLong;
        }
        if trimmed.len() == decoded.len() {
            return Self::Sent(Cow::Borrowed(text.escaped()));
        }
        Self::Sent(Cow::Owned(json::escape(trimmed).into_owned()))
    }

    /// The text that is sent, escaped.
    pub(super) fn sent(&self) -> Option<&str> {
        match self {
            Self::Sent(email) => Some(email),
            Self::Absent | Self::TooLong => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::{RawValue, to_raw_value};

    use super::*;

    fn read(json: &RawValue) -> Email<'_> {
        Email::read(Some(json.into()))
    }

    fn sent(email: &str) -> Option<String> {
        let json = to_raw_value(email).unwrap();
        read(&json).sent().map(str::to_owned)
    }

    #[test]
    fn blanks_around_it_are_left_out_and_the_rest_stands_as_it_is() {
        for email in [
            "ada@shop.test",
            " ada@shop.test",
            "ada@shop.test\t\r\n",
            "\u{a0}ada@shop.test\u{2003}",
        ] {
            assert_eq!(sent(email).as_deref(), Some("ada@shop.test"), "{email:?}");
        }
        assert_eq!(
            sent(" \"a\\ b\"@shop.test").as_deref(),
            Some(r#"\"a\\ b\"@shop.test"#)
        );
        assert_eq!(sent("Ada@Shop.Test").as_deref(), Some("Ada@Shop.Test"));
        // as it is written, whatever its escapes
        let json: Box<RawValue> = serde_json::from_str(r#""\u0061@shop.test""#).unwrap();
        assert_eq!(read(&json).sent(), Some(r"\u0061@shop.test"));
    }

    #[test]
    fn blanks_alone_are_no_email() {
        for email in ["", " ", "\n\t"] {
            let json = to_raw_value(email).unwrap();
            assert_eq!(read(&json), Email::Absent, "{email:?}");
        }
        assert_eq!(Email::read(None), Email::Absent);
        let number: Box<RawValue> = serde_json::from_str("5").unwrap();
        assert_eq!(read(&number), Email::Absent);
    }

    #[test]
    fn it_has_99_characters_at_most_without_the_blanks() {
        let most = format!("{}@shop.test", "é".repeat(89));
        assert_eq!(most.chars().count(), 99);
        assert_eq!(sent(&format!("  {most}  ")), Some(most.clone()));
        let json = to_raw_value(&format!("x{most}")).unwrap();
        assert_eq!(read(&json), Email::TooLong);
    }
}
