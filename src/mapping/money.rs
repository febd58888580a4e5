//! Money: amounts as exact decimal numbers in the currency's main unit, written as JavaScript writes numbers.

use std::borrow::Cow;

use crate::json::Part;

/// commercetools: `fractionDigits` of `HighPrecisionMoney` is at most 20.
const MAX_FRACTION_DIGITS: usize = 20;

/// The amount (`9303`, `25.206`) and the ISO 4217 code of a `TypedMoney`; `None` if it is not one.
///
/// `centPrecision` is `centAmount / 10^fractionDigits`. `highPrecision` is `preciseAmount / 10^fractionDigits`: its
/// `fractionDigits` count the digits of `preciseAmount`, not those of `centAmount`.
pub(super) fn read(money: Part<'_>) -> Option<(String, Cow<'_, str>)> {
    let [kind, cents, precise, digits, currency] = money.pick([
        "type",
        "centAmount",
        "preciseAmount",
        "fractionDigits",
        "currencyCode",
    ])?;
    let is_precise = kind.is_some_and(|kind| kind.get() == r#""highPrecision""#);
    let amount = if is_precise { precise? } else { cents? };
    let digits = digits?
        .get()
        .parse()
        .ok()
        .filter(|digits| *digits <= MAX_FRACTION_DIGITS)?;
    let currency = currency?.filled_text()?.decoded();
    Some((shifted(amount.get(), digits)?, currency))
}

/// A whole number divided by `10^fraction_digits`; `None` if the text is not a whole number.
fn shifted(whole: &str, fraction_digits: usize) -> Option<String> {
    let (sign, digits) = whole
        .strip_prefix('-')
        .map_or(("", whole), |digits| ("-", digits));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    let (units, fraction) = digits.split_at(digits.len().saturating_sub(fraction_digits));
    let significant = fraction.trim_end_matches('0');
    let zeros = fraction_digits - fraction.len();
    Some(match (units, significant) {
        ("", "") => "0".to_owned(),
        (units, "") => [sign, units].concat(),
        // JavaScript writes numbers below 0.000001 with an exponent
        ("", significant) if zeros >= 6 => {
            let (first, others) = significant.split_at(1);
            let point = if others.is_empty() { "" } else { "." };
            format!("{sign}{first}{point}{others}e-{}", zeros + 1)
        }
        ("", significant) => format!("{sign}0.{:0>zeros$}{significant}", ""),
        (units, significant) => [sign, units, ".", significant].concat(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn amount(json: &str) -> Option<(String, String)> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        read(raw.into()).map(|(amount, currency)| (amount, currency.into_owned()))
    }

    #[test]
    fn amounts_are_exact_and_written_as_in_javascript() {
        for (whole, digits, expected) in [
            ("12152", 0, "12152"),
            ("25206", 3, "25.206"),
            ("1999", 2, "19.99"),
            ("1900", 2, "19"),
            ("1910", 2, "19.1"),
            ("5", 2, "0.05"),
            ("-5", 2, "-0.05"),
            ("-1999", 2, "-19.99"),
            ("0", 2, "0"),
            ("-0", 2, "0"),
            ("9007199254740993", 2, "90071992547409.93"),
            ("1", 6, "0.000001"),
            ("1", 7, "1e-7"),
            ("-1234", 12, "-1.234e-9"),
        ] {
            assert_eq!(
                shifted(whole, digits).as_deref(),
                Some(expected),
                "{whole} / 10^{digits}"
            );
        }
        for not_whole in ["1.5", "1e3", "", "-", r#""5""#, "null", "true"] {
            assert_eq!(shifted(not_whole, 2), None, "{not_whole}");
        }
    }

    #[test]
    fn high_precision_counts_the_digits_of_the_precise_amount() {
        let money = r#"{"type":"highPrecision","currencyCode":"JPY","centAmount":9303,"preciseAmount":9303456,"fractionDigits":3}"#;
        assert_eq!(
            amount(money),
            Some(("9303.456".to_owned(), "JPY".to_owned()))
        );
        let money = r#"{"type":"centPrecision","currencyCode":"KWD","centAmount":25206,"fractionDigits":3}"#;
        assert_eq!(amount(money), Some(("25.206".to_owned(), "KWD".to_owned())));
    }

    #[test]
    fn what_is_not_money_has_no_amount() {
        for json in [
            "null",
            "[]",
            "{}",
            r#"{"centAmount":5,"fractionDigits":2}"#,
            r#"{"centAmount":5,"currencyCode":"EUR"}"#,
            r#"{"centAmount":"5","currencyCode":"EUR","fractionDigits":2}"#,
            r#"{"centAmount":5,"currencyCode":"EUR","fractionDigits":2000000000}"#,
            r#"{"centAmount":5,"currencyCode":"EUR","fractionDigits":-2}"#,
            r#"{"type":"highPrecision","centAmount":5,"currencyCode":"EUR","fractionDigits":2}"#,
        ] {
            assert_eq!(amount(json), None, "{json}");
        }
    }

    proptest! {
        #[test]
        fn an_amount_is_the_number_that_javascript_computes(cents in -9_007_199_254_740_992_i64..9_007_199_254_740_992, digits in 0_usize..4) {
            let text = shifted(&cents.to_string(), digits).unwrap();
            let expected = cents as f64 / 10_f64.powi(digits as i32);
            prop_assert_eq!(text.parse::<f64>().unwrap(), expected);
        }
    }
}
