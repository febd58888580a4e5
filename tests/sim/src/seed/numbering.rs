//! Phone numbers of the countries that customers of the seed live in, as people write them and in E.164: worked out from
//! each country's numbering plan, sharing nothing with the component's code.

/// A country's numbering plan, as far as the seed's numbers need it.
struct Plan {
    country: &'static str,
    calling_code: &'static str,
    /// How many digits its numbers have without calling code and trunk zero, from and up to.
    digits: (usize, usize),
}

const PLANS: [Plan; 12] = [
    plan("BR", "55", (8, 11)),
    plan("CH", "41", (9, 9)),
    plan("DE", "49", (5, 13)),
    plan("DK", "45", (8, 8)),
    plan("ES", "34", (9, 9)),
    plan("GB", "44", (9, 10)),
    plan("JP", "81", (9, 10)),
    plan("KW", "965", (7, 8)),
    plan("NO", "47", (8, 8)),
    plan("PL", "48", (9, 9)),
    plan("SG", "65", (8, 8)),
    plan("US", "1", (10, 10)),
];

const fn plan(country: &'static str, calling_code: &'static str, digits: (usize, usize)) -> Plan {
    Plan {
        country,
        calling_code,
        digits,
    }
}

/// The E.164 form of a number that somebody of `country` has written, `None` for what cannot be one.
pub(super) fn e164(written: &str, country: &str) -> Option<String> {
    let plain: String = written
        .replace("(0)", "")
        .chars()
        .filter(|c| !" -/().".contains(*c))
        .collect();
    let international = plain.strip_prefix('+').or_else(|| plain.strip_prefix("00"));
    let (plan, national) = match international {
        Some(digits) => PLANS
            .iter()
            .find_map(|plan| Some((plan, digits.strip_prefix(plan.calling_code)?)))?,
        None => {
            let plan = PLANS.iter().find(|plan| plan.country == country)?;
            (plan, plain.strip_prefix('0').unwrap_or(&plain))
        }
    };
    let (least, most) = plan.digits;
    let fits = (least..=most).contains(&national.len())
        && national.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| format!("+{}{national}", plan.calling_code))
}

#[cfg(test)]
mod tests {
    use super::e164;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (written, country, expected) in [
            ("+49 (170) 123-45.67", "US", Some("+491701234567")),
            ("+491701234567", "DE", Some("+491701234567")),
            ("0049 (0)170 1234567", "JP", Some("+491701234567")),
            ("+45 20 12 34 56", "DE", Some("+4520123456")),
            ("20 12 34 56", "DK", Some("+4520123456")),
            ("0170 1234567", "DE", Some("+491701234567")),
            ("+0049170123456", "DE", None),
            ("+4930123456789012", "DE", None),
            ("020 12 34 56 78", "DK", None),
            ("0170 1234567", "", None),
            ("call me", "DE", None),
            ("", "DE", None),
        ] {
            assert_eq!(
                e164(written, country).as_deref(),
                expected,
                "{written} {country}"
            );
        }
    }
}
