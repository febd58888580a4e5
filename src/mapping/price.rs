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

/// Orders the dated prices that are valid: by their beginning, then by their end, an open one last.
type Rank = (Timestamp, bool, Option<Timestamp>);

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
        candidates.find(|price| price.is_plain())
    };
    dated.or_else(undated)
}

impl<'a> Price<'a> {
    /// A price; `None` if it has no amount or no currency.
    pub(super) fn read(price: Part<'a>) -> Option<Self> {
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

    /// Whether it applies whenever no dated price does.
    fn is_plain(&self) -> bool {
        matches!(self.validity, Validity::Always) && !self.for_customer_group
    }

    /// The rank of a dated price among those valid at `now`, lowest first; `None` if it is undated or not valid.
    fn rank_at(&self, now: Timestamp) -> Option<Rank> {
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

/// Of the prices of one variant, read one by one and perhaps tens of thousands, those that can matter at one time: the
/// first of each currency, the dated one that applies, and the first plain one.
#[derive(Debug, Default)]
pub(super) struct Prices {
    kept: Vec<KeptPrice>,
}

#[derive(Debug)]
struct KeptPrice {
    currency: String,
    is_first: bool,
    is_plain: bool,
    rank: Option<Rank>,
    /// The members that the mapping reads.
    json: String,
}

impl Prices {
    /// Adds the next price, if it can be chosen at `now`. Bytes that this keeps.
    pub(super) fn note(&mut self, part: Part<'_>, now: Timestamp) -> usize {
        let Some(price) = Price::read(part) else {
            return 0;
        };
        let (rank, is_plain) = (price.rank_at(now), price.is_plain());
        let currency = &*price.currency;
        let mut of_currency = self.kept.iter().filter(|kept| kept.currency == currency);
        let is_first = of_currency.clone().next().is_none();
        let has_plain = of_currency.clone().any(|kept| kept.is_plain);
        let is_better = rank.is_some_and(|rank| {
            of_currency.all(|kept| kept.rank.is_none_or(|earlier| rank < earlier))
        });
        if !(is_first || is_better || is_plain && !has_plain) {
            return 0;
        }
        if is_better {
            self.kept.retain(|kept| {
                kept.currency != currency || kept.is_first || kept.is_plain || kept.rank.is_none()
            });
        }
        let kept = KeptPrice {
            currency: currency.to_owned(),
            is_first,
            is_plain,
            rank,
            json: members(part),
        };
        let bytes = size_of::<KeptPrice>() + kept.currency.len() + kept.json.len();
        self.kept.push(kept);
        bytes
    }

    /// Appends them as a JSON array, in the order in which they were added.
    pub(super) fn write(&self, out: &mut String) {
        out.push('[');
        for (at, price) in self.kept.iter().enumerate() {
            out.push_str(if at > 0 { "," } else { "" });
            out.push_str(&price.json);
        }
        out.push(']');
    }
}

/// The members of a price that the mapping reads, as a JSON object.
fn members(price: Part<'_>) -> String {
    const NAMES: [&str; 5] = [
        "value",
        "country",
        "customerGroup",
        "validFrom",
        "validUntil",
    ];
    let values = price.pick(NAMES).unwrap_or_default();
    let present = NAMES
        .iter()
        .zip(values)
        .filter_map(|(name, value)| Some(format!("\"{name}\":{}", value?.get())));
    format!("{{{}}}", present.collect::<Vec<_>>().join(","))
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
