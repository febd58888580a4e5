//! The countries that use a currency.
//!
//! The list is ISO 4217's List One (kept by SIX,
//! <https://www.six-group.com/en/products-services/financial-information/data-standards.html>) as the crate
//! `iso_currency` has it, with the few corrections below. Countries are the officially assigned ISO 3166 alpha-2 codes
//! and no others: neither reserved ones (`UK`, `EU`) nor user-assigned ones (`XK`).

use iso_currency::{Country, Currency};

/// Countries that the crate lists under a currency and List One does not: the currency is accepted there, but is not
/// the country's own. With them, a price in dollars would replace the price in Barbados dollars.
const NOT_IN_LIST_ONE: [(Currency, Country); 4] = [
    (Currency::GBP, Country::IO),
    (Currency::USD, Country::BB),
    (Currency::USD, Country::BM),
    (Currency::USD, Country::KH),
];

/// Countries of List One that are missing in the crate.
const MISSING: [(Currency, Country); 1] = [(Currency::NAD, Country::NA)];

/// The countries that use the currency with this ISO 4217 code, as alpha-2 codes.
///
/// Empty for a code that is no currency, for a currency of no country (gold, special drawing rights) and for one that
/// has been replaced (`HRK` since Croatia has the euro): old prices must not be used as the country's current ones.
pub(super) fn using(currency_code: &str) -> Vec<String> {
    let Some(currency) = Currency::from_code(currency_code) else {
        return Vec::new();
    };
    // List One has both of Venezuela's units (1 VED is 1,000,000 VES).
    let replaced = currency.is_superseded().is_some() && currency != Currency::VES;
    if replaced {
        return Vec::new();
    }
    let missing = MISSING
        .iter()
        .filter(|(of, _)| *of == currency)
        .map(|(_, country)| *country);
    currency
        .used_by()
        .into_iter()
        .filter(|country| !NOT_IN_LIST_ONE.contains(&(currency, *country)))
        .chain(missing)
        .map(|country| country.to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::using;

    /// List One of 1 January 2026, for currencies of more than one country and for those that are easy to get wrong.
    const LIST_ONE: [(&str, &str); 33] = [
        (
            "EUR",
            "AD AT AX BE BG BL CY DE EE ES FI FR GF GP GR HR IE IT LT LU LV MC ME MF MQ MT NL PM PT RE SI SK SM TF VA YT",
        ),
        (
            "USD",
            "AS BQ EC FM GU HT IO MH MP PA PR PW SV TC TL UM US VG VI",
        ),
        ("GBP", "GB GG IM JE"),
        ("AUD", "AU CC CX HM KI NF NR TV"),
        ("NZD", "CK NU NZ PN TK"),
        ("CHF", "CH LI"),
        ("DKK", "DK FO GL"),
        ("NOK", "BV NO SJ"),
        ("MAD", "EH MA"),
        ("XOF", "BF BJ CI GW ML NE SN TG"),
        ("XAF", "CF CG CM GA GQ TD"),
        ("XPF", "NC PF WF"),
        ("XCD", "AG AI DM GD KN LC MS VC"),
        ("XCG", "CW SX"),
        ("ZAR", "LS NA ZA"),
        ("NAD", "NA"),
        ("LSL", "LS"),
        ("INR", "BT IN"),
        ("BTN", "BT"),
        ("BBD", "BB"),
        ("BMD", "BM"),
        ("KHR", "KH"),
        ("HTG", "HT"),
        ("PAB", "PA"),
        ("SVC", "SV"),
        ("VES", "VE"),
        ("VED", "VE"),
        ("SLE", "SL"),
        ("ZWG", "ZW"),
        ("CUP", "CU"),
        ("TWD", "TW"),
        ("GIP", "GI"),
        ("JPY", "JP"),
    ];

    /// All 249 officially assigned alpha-2 codes.
    const ASSIGNED: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ \
        CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR \
        GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP \
        KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT \
        MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW \
        SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ \
        UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

    #[test]
    fn the_countries_of_a_currency_are_those_of_list_one() {
        for (currency, countries) in LIST_ONE {
            let expected: BTreeSet<String> = countries.split(' ').map(str::to_owned).collect();
            let found: BTreeSet<String> = using(currency).into_iter().collect();
            assert_eq!(found, expected, "{currency}");
        }
    }

    #[test]
    fn every_assigned_country_has_a_currency_and_no_other_code_appears() {
        let assigned: BTreeSet<&str> = ASSIGNED.split_ascii_whitespace().collect();
        assert_eq!(assigned.len(), 249);
        let mut served = BTreeSet::new();
        for first in b'A'..=b'Z' {
            for second in b'A'..=b'Z' {
                for third in b'A'..=b'Z' {
                    let code = [first, second, third].map(char::from);
                    served.extend(using(&String::from_iter(code)));
                }
            }
        }
        let served: BTreeSet<&str> = served.iter().map(String::as_str).collect();
        assert!(
            served.is_subset(&assigned),
            "{:?}",
            served.difference(&assigned)
        );
        // Antarctica and South Georgia: "no universal currency".
        let without: Vec<&&str> = assigned.difference(&served).collect();
        assert_eq!(without, [&"AQ", &"GS"]);
    }

    #[test]
    fn a_replaced_or_unknown_currency_serves_no_country() {
        for currency in [
            "HRK", "BGN", "ZWL", "CUC", "SLL", "ANG", "DEM", "XAU", "XXX", "eur", "", "€",
        ] {
            assert!(using(currency).is_empty(), "{currency}");
        }
    }
}
