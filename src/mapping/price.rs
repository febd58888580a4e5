//! Which of a variant's prices is sent.
//!
//! As the Node plugin chooses: a price that is dated and valid now before an undated one, and of the undated ones only
//! those without a customer group. Channel, country and discount play no part in the choice.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::money;
use crate::json::{Part, Text};

/// One price of a variant, as far as it is looked at.
#[derive(Debug)]
pub(super) struct Price<'a> {
    /// The amount in the currency's main unit, a number as JavaScript writes it: `9303`, `25.206`.
    pub(super) amount: Box<RawValue>,
    /// ISO 4217 code.
    pub(super) currency: Cow<'a, str>,
    /// ISO 3166 alpha-2 code of the country that the price is for, where it is for one.
    pub(super) country: Option<Cow<'a, str>>,
    for_customer_group: bool,
    validity: Validity,
}

#[derive(Debug)]
enum Validity {
    Always,
    Dated {
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    },
    /// Dated with what is not a time: as with the plugin, never valid and not undated either.
    Unreadable,
}

/// The prices in a variant's `prices`, in their order; an element that is not a price with an amount and a currency is
/// left out.
pub(super) fn read(prices: Part<'_>) -> Vec<Price<'_>> {
    prices.array().into_iter().filter_map(Price::read).collect()
}

/// The price that applies at `now` among these, `None` where none does.
pub(super) fn choose<'p, 'a: 'p>(
    candidates: impl Iterator<Item = &'p Price<'a>> + Clone,
    now: Timestamp,
) -> Option<&'p Price<'a>> {
    let dated = candidates
        .clone()
        .filter_map(|price| Some((price.rank_at(now)?, price)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, price)| price);
    let undated = || {
        let mut candidates = candidates;
        candidates
            .find(|price| matches!(price.validity, Validity::Always) && !price.for_customer_group)
    };
    dated.or_else(undated)
}

impl<'a> Price<'a> {
    fn read(price: Part<'a>) -> Option<Self> {
        let [value, country, customer_group, from, until] = price.pick([
            "value",
            "country",
            "customerGroup",
            "validFrom",
            "validUntil",
        ])?;
        let (amount, currency) = money::read(value?)?;
        Some(Self {
            amount: RawValue::from_string(amount).ok()?,
            currency,
            country: country.and_then(Part::filled_text).map(Text::decoded),
            for_customer_group: customer_group.is_some(),
            validity: Validity::read(from, until),
        })
    }

    /// Where a dated price stands among those valid at `now`, lowest first; `None` where it is undated or not valid.
    fn rank_at(&self, now: Timestamp) -> Option<(Timestamp, bool, Option<Timestamp>)> {
        let Validity::Dated { from, until } = self.validity else {
            return None;
        };
        let from = from.unwrap_or(now);
        let valid = from <= now && until.is_none_or(|until| now <= until);
        // An open end sorts after every time.
        valid.then_some((from, until.is_none(), until))
    }
}

impl Validity {
    fn read(from: Option<Part<'_>>, until: Option<Part<'_>>) -> Self {
        match (time(from), time(until)) {
            (Ok(None), Ok(None)) => Self::Always,
            (Ok(from), Ok(until)) => Self::Dated { from, until },
            _ => Self::Unreadable,
        }
    }
}

struct NotATime;

/// A time, where there is one. An empty text counts as none, as with the plugin.
fn time(part: Option<Part<'_>>) -> Result<Option<Timestamp>, NotATime> {
    let Some(part) = part else {
        return Ok(None);
    };
    let text = part.text().ok_or(NotATime)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.decoded().parse().map(Some).map_err(|_| NotATime)
}
