//! Chooses the price of a variant that is sent.
//!
//! As in the Node plugin: a dated price that is valid now comes before an undated one, and of the undated ones only
//! those without a customer group are used. Channel, country and discount are ignored.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::money;
use crate::json::{Part, Text};

/// One price of a variant, with the members that the mapping reads.
#[derive(Debug)]
pub(super) struct Price<'a> {
    /// The amount in the currency's main unit, a number as JavaScript writes it: `9303`, `25.206`.
    pub(super) amount: Box<RawValue>,
    /// ISO 4217 code.
    pub(super) currency: Cow<'a, str>,
    /// ISO 3166 alpha-2 code of the country that the price is for, if it is for one.
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
    /// Dated with a text that is not a timestamp: never valid and not undated either, as in the plugin.
    Unreadable,
}

/// The prices in a variant's `prices`, in order, without elements that have no amount or no currency.
pub(super) fn read(prices: Part<'_>) -> Vec<Price<'_>> {
    prices.array().into_iter().filter_map(Price::read).collect()
}

/// The price among these that applies at `now`; `None` if none does.
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

    /// The rank of a dated price among those valid at `now`, lowest first; `None` if it is undated or not valid.
    fn rank_at(&self, now: Timestamp) -> Option<(Timestamp, bool, Option<Timestamp>)> {
        let Validity::Dated { from, until } = self.validity else {
            return None;
        };
        let from = from.unwrap_or(now);
        let valid = from <= now && until.is_none_or(|until| now <= until);
        // an open end sorts after every timestamp
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

/// A timestamp, if there is one. An empty text counts as none, as in the plugin.
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
