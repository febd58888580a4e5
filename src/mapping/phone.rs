//! Phone numbers as people write them -> E.164, the only form that Klaviyo takes.
//!
//! The numbering plans (calling codes, trunk and access prefixes, and the possible lengths of each country's numbers)
//! are libphonenumber's, as the crate `phonelib` has them. Compared in November 2026, each as the growth of a component
//! that parses one number (`opt-level = 3`, fat LTO, stripped):
//!
//! | crate | released | crates that it brings | growth |
//! | --- | --- | --- | --- |
//! | `phonelib` 2.1.0, tables of libphonenumber 9.0.40 | 2026-09 | none | 97 KB |
//! | `rlibphonenumber` 2.2.15 with `regex-lite`, 9.0.42 | 2026 | over 20, a Protobuf compiler at build time | 449 KB |
//! | the same with `regex` | 2026 | over 25 | 1,484 KB |
//! | `phonenumber` 0.3.10, 9.0.33 | 2026 | over 25 | 2,211 KB |
//!
//! The component itself grew by 104 KB, from 1,999 KB to 2,103 KB at that time.
//!
//! The two ports check a number against the ranges that are in use, which age, and compile regular expressions for it.
//! Asked for here is only whether a number is possible, and that is a matter of its length. Of 200,000 example numbers
//! of libphonenumber, of every type and region and in its three formats, this module reads 99.8 % as `rlibphonenumber`
//! does and none otherwise: the rest are left out (Argentinian mobile numbers with `15`, Iranian numbers of five digits,
//! Canadian ones of seven).

use std::ops::RangeInclusive;

use phonelib::{ParseError, PhoneNumber, country_by_code};

/// "International public telecommunication numbers" have 15 digits at most (ITU-T E.164, 6.1); a number of less than 7
/// cannot be called from abroad anywhere.
const DIGITS: RangeInclusive<usize> = 7..=15;
/// The calling code of the North American Numbering Plan, and how many digits its numbers have after it.
const NANP: (&str, usize) = ("1", 10);

/// The E.164 form of a phone number: `+4520123456`.
///
/// An international number names its country (`+45 ...`, `0045 ...`); any other is a national number of the country with
/// this ISO 3166-1 code. `None` for what is no possible number of its country, and for a national number without a
/// country.
pub(super) fn e164(number: &str, country: Option<&str>) -> Option<String> {
    let plain = without_formatting(number);
    let e164 = match after_access_code(&plain) {
        Some(digits) => international(digits).or_else(|| {
            // A trunk zero in brackets goes even where the country has none: +45 (0)20 12 34 56.
            let plain = without_formatting(&number.replacen("(0)", " ", 1));
            international(after_access_code(&plain)?)
        }),
        None => national(&plain, &country?.to_ascii_uppercase()),
    };
    e164.filter(|number| is_e164(number))
}

/// What follows `+` or `00`; `None` for a national number.
fn after_access_code(number: &str) -> Option<&str> {
    let access_codes = ["+", "\u{ff0b}", "00"];
    access_codes
        .iter()
        .find_map(|code| number.strip_prefix(code))
        .map(str::trim_start)
}

/// Reads a calling code and what follows it. No calling code begins with 0: what is meant by `+0045` or `0000` cannot be
/// told.
fn international(digits: &str) -> Option<String> {
    let parsed = PhoneNumber::try_parse(&format!("+{digits}"));
    accept(parsed, digits, false).filter(|_| !digits.starts_with('0'))
}

fn national(number: &str, country: &str) -> Option<String> {
    let calling_code = country_by_code(country)?.prefix.to_string();
    let parsed = PhoneNumber::try_parse_with_country(number, country);
    accept(parsed, number, calling_code.starts_with(NANP.0))
}

fn accept(
    parsed: Result<PhoneNumber, ParseError>,
    number: &str,
    may_lack_nanp_code: bool,
) -> Option<String> {
    let has_letters = number.chars().any(char::is_alphabetic);
    match parsed {
        // Letters are an extension or words, never digits of a keypad.
        Ok(parsed) if has_letters && parsed.extension().is_none() => None,
        Ok(parsed) => Some(parsed.e164().to_owned()),
        // A possible number: which area codes are in use changes every year. None begins with 0 or 1.
        Err(ParseError::InvalidAreaCode | ParseError::InvalidExchange) if !has_letters => {
            let digits: String = number.chars().filter(char::is_ascii_digit).collect();
            let (code, length) = NANP;
            let national = match digits.strip_prefix(code) {
                Some(national) if national.len() == length => national,
                _ if may_lack_nanp_code => &digits,
                _ => return None,
            };
            let is_possible = national.len() == length && !national.starts_with(['0', '1']);
            is_possible.then(|| format!("+{code}{national}"))
        }
        Err(_) => None,
    }
}

/// The number with blanks in the place of everything that only groups digits.
fn without_formatting(number: &str) -> String {
    let is_formatting = |character: char| {
        character.is_whitespace()
            || matches!(
                character,
                // With the hyphens, the marks that set the direction of writing: pasted from a page, they stand around
                // a number unseen.
                '-' | '\u{2010}'..='\u{2015}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
                    | '\u{2212}' | '/' | '.' | '(' | ')' | '[' | ']'
            )
    };
    let number = number.trim();
    let number = number.strip_prefix("tel:").unwrap_or(number);
    number.replace(is_formatting, " ").trim().to_owned()
}

/// Whether this is `+` and 7 to 15 digits, the first not 0.
fn is_e164(number: &str) -> bool {
    number.strip_prefix('+').is_some_and(|digits| {
        DIGITS.contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0')
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_international_number_says_its_country_itself() {
        for (number, expected) in [
            ("+45 20 12 34 56", "+4520123456"),
            ("0045 20123456", "+4520123456"),
            ("00 45 20 12 34 56", "+4520123456"),
            ("+47 22 12 34 56", "+4722123456"),
            ("+65 6123 4567", "+6561234567"),
            ("+49 (0)30 123456", "+4930123456"),
            ("+49 (0) 170 / 123 45-67", "+491701234567"),
            ("0049 (0)170 1234567", "+491701234567"),
            ("+44 (0)20 7946 0958", "+442079460958"),
            ("+45 (0)20 12 34 56", "+4520123456"),
            ("+39 06 6982 1234", "+390669821234"),
            ("+39 (0)6 6982 1234", "+390669821234"),
            ("+1.500.555.0006", "+15005550006"),
            ("+1 (555) 123-4567", "+15551234567"),
            ("+49\u{a0}170\u{2011}1234567", "+491701234567"),
            ("\u{202a}+49 170 1234567\u{202c}", "+491701234567"),
            ("＋４５ ２０１２３４５６", "+4520123456"),
            ("+49 30 123456 ext. 12", "+4930123456"),
            ("tel:+49-30-123456", "+4930123456"),
            ("(+45) 20 12 34 56", "+4520123456"),
        ] {
            for country in [None, Some("DE"), Some("XX"), Some("")] {
                assert_eq!(
                    e164(number, country).as_deref(),
                    Some(expected),
                    "{number} {country:?}"
                );
            }
        }
    }

    #[test]
    fn a_national_number_is_of_the_address_country() {
        for (number, country, expected) in [
            ("0171 2345678", "DE", "+491712345678"),
            ("030 / 12 34 56", "DE", "+4930123456"),
            ("20 12 34 56", "DK", "+4520123456"),
            ("221 23 456", "NO", "+4722123456"),
            ("6123 4567", "SG", "+6561234567"),
            ("06 12 34 56 78", "FR", "+33612345678"),
            ("612 345 678", "ES", "+34612345678"),
            ("06 6982 1234", "IT", "+390669821234"),
            ("(202) 555-0173", "US", "+12025550173"),
            ("1-202-555-0173", "US", "+12025550173"),
            ("(555) 123-4567", "US", "+15551234567"),
            ("(416) 555-0198", "CA", "+14165550198"),
            ("020 7946 0958", "GB", "+442079460958"),
            ("044 668 18 00", "CH", "+41446681800"),
            ("03-1234-5678", "JP", "+81312345678"),
            ("06 1 234 5678", "HU", "+3612345678"),
            ("8 916 123-45-67", "RU", "+79161234567"),
            ("0171 2345678", "de", "+491712345678"),
        ] {
            assert_eq!(
                e164(number, Some(country)).as_deref(),
                Some(expected),
                "{number} {country}"
            );
        }
    }

    #[test]
    fn what_is_no_possible_number_is_none() {
        for (number, country) in [
            ("0171 2345678", None),
            ("0171 2345678", Some("XX")),
            ("202 555 0173", None),
            ("+45 20 12 34", None),
            ("+45 20 12 34 56 78 9", None),
            ("+0491701234567", Some("DE")),
            ("+004520123456", Some("DK")),
            ("+1234567890", None),
            ("+123456789012345", None),
            ("+1234567890123456", None),
            ("+49170123456x", Some("DE")),
            ("+49 170 CALLNOW", Some("DE")),
            ("++491701234567", Some("DE")),
            ("call me", Some("DE")),
            ("n/a", Some("DE")),
            ("+", Some("DE")),
            ("", Some("DE")),
            ("1", Some("US")),
            ("012 345 6789", Some("US")),
            ("+1 123 456 7890", None),
            ("555-0173", Some("US")),
            ("110", Some("DE")),
            ("030 1234567 / 0171 2345678", Some("DE")),
        ] {
            assert_eq!(e164(number, country), None, "{number} {country:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_becomes_e164_or_nothing(
            number in r"[+0-9 ()/.x\-]{0,24}|\PC{0,20}",
            country in prop::option::of(prop_oneof![
                prop::sample::select(&["DE", "DK", "NO", "SG", "US", "IT", "JP", "RU", "HU", "AX", "XX"][..]).prop_map(str::to_owned),
                any::<String>(),
            ]),
        ) {
            if let Some(sent) = e164(&number, country.as_deref()) {
                let digits = sent.strip_prefix('+').unwrap();
                prop_assert!((7..=15).contains(&digits.len()), "{}", sent);
                prop_assert!(digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0'), "{}", sent);
                // What has been sent is what is sent again.
                prop_assert_eq!(e164(&sent, country.as_deref()), Some(sent));
            }
        }
    }
}
