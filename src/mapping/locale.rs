//! Localized strings: the locale whose text is sent.

use std::borrow::Cow;

use crate::json::{Part, Text};

/// The text of a `LocalizedString` that is sent: that of the preferred locale, else that of its language, else the
/// first in the record's own order. Empty texts are ignored; `None` if there is no other.
///
/// Each field is looked at on its own: a record may be sent with a French name and a Japanese description.
#[must_use]
pub fn localized<'a>(value: impl Into<Part<'a>>, preferred: Option<&str>) -> Option<Text<'a>> {
    let value = value.into();
    preferred
        .filter(|locale| is_locale(locale))
        .and_then(|locale| text_in(value, locale).or_else(|| text_in(value, language(locale))))
        .or_else(|| first_text(value))
}

fn text_in<'a>(value: Part<'a>, locale: &str) -> Option<Text<'a>> {
    let [text] = value.pick([locale])?;
    text?.filled_text()
}

fn first_text(value: Part<'_>) -> Option<Text<'_>> {
    let mut first: Option<(Cow<'_, str>, Option<Text<'_>>)> = None;
    value.walk().object(|locale, walk| match &mut first {
        Some((name, text)) if *name == locale => *text = walk.value().filled_text(),
        Some(_) => {}
        None => first = Some((locale, walk.value().filled_text())),
    });
    let (_, text) = first?;
    // the first text is rarely empty
    text.or_else(|| value.object()?.into_values().find_map(Part::filled_text))
}

/// The part before the first `-`. A locale written with `_` has no separate language, as in the Node plugin.
fn language(locale: &str) -> &str {
    locale.split('-').next().unwrap_or(locale)
}

/// Whether this has the form of a locale: a language, optionally a script and a country (`en`, `en_US`, `zh-Hans-CN`).
fn is_locale(text: &str) -> bool {
    let letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_language = |part: &str| (2..=4).contains(&part.len()) && letters(part);
    let is_script = |part: &str| part.len() == 4 && letters(part);
    let is_country = |part: &str| {
        (part.len() == 2 && letters(part))
            || (part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let parts: Vec<&str> = text.split(['-', '_']).collect();
    match parts[..] {
        [first] => is_language(first),
        [first, second] => is_language(first) && (is_script(second) || is_country(second)),
        [first, second, third] => is_language(first) && is_script(second) && is_country(third),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn chosen(json: &str, preferred: Option<&str>) -> Option<String> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        localized(raw, preferred).map(|text| text.decoded().into_owned())
    }

    #[test]
    fn the_preferred_locale_then_its_language_then_the_first_that_is_not_empty() {
        let name = r#"{"fr-FR":"Couteau & étui 224","de-DE":"Messer","de":"Klinge"}"#;
        assert_eq!(chosen(name, Some("de-DE")).as_deref(), Some("Messer"));
        assert_eq!(chosen(name, Some("de-AT")).as_deref(), Some("Klinge"));
        assert_eq!(
            chosen(name, Some("en-US")).as_deref(),
            Some("Couteau & étui 224")
        );
        assert_eq!(chosen(name, None).as_deref(), Some("Couteau & étui 224"));
        assert_eq!(
            chosen(r#"{"z":"","de":"","a":"x"}"#, Some("de")).as_deref(),
            Some("x")
        );
        assert_eq!(
            chosen(r#"{"de-DE":"","de":"Klinge","a":"x"}"#, Some("de-DE")).as_deref(),
            Some("Klinge")
        );
    }

    #[test]
    fn an_underscore_is_part_of_the_language() {
        assert_eq!(
            chosen(r#"{"a":"x","en":"y"}"#, Some("en_US")).as_deref(),
            Some("x")
        );
        assert_eq!(
            chosen(r#"{"a":"x","en_US":"y"}"#, Some("en_US")).as_deref(),
            Some("y")
        );
    }

    #[test]
    fn what_is_not_shaped_like_a_locale_is_no_preference() {
        for not_a_locale in [
            "english",
            "e",
            "en-",
            "en-USA1",
            "en US",
            "",
            "1",
            "en-US-x-y",
        ] {
            let json = format!(r#"{{"a":"first","{not_a_locale}":"other"}}"#);
            assert_eq!(
                chosen(&json, Some(not_a_locale)).as_deref(),
                Some("first"),
                "{not_a_locale}"
            );
        }
        for locale in [
            "en",
            "fil",
            "en-US",
            "en_US",
            "zh-Hans-CN",
            "zh-Hans",
            "es-419",
        ] {
            assert!(is_locale(locale), "{locale}");
        }
    }

    #[test]
    fn what_is_not_a_localized_string_has_no_text() {
        for json in [
            "null",
            "[]",
            "1",
            r#""x""#,
            "{}",
            r#"{"en":1,"de":null}"#,
            r#"{"en":""}"#,
        ] {
            assert_eq!(chosen(json, Some("en")), None, "{json}");
        }
        assert_eq!(
            chosen(r#"{"en":"a\ud800b"}"#, None).as_deref(),
            Some("a\u{fffd}\u{fffd}\u{fffd}b")
        );
    }
}
