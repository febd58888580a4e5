//! Refunds of an order: the successful `Refund` transactions of its payments.

use jiff::Timestamp;

use crate::json::{Part, Text};
use crate::mapping::money;

/// What was refunded of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The sum in the currency's main unit, a number as JavaScript writes it.
    pub amount: String,
    /// ISO 4217 code.
    pub currency: String,
    /// When the last refund was made; `None` if no transaction says so.
    pub at: Option<Timestamp>,
}

/// The successful refunds of one payment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentRefunds(Vec<Transaction>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Transaction {
    currency: String,
    /// In the smallest unit of the currency.
    cent_amount: i64,
    fraction_digits: i64,
    at: Option<Timestamp>,
}

/// The ids of the payments of an order.
#[must_use]
pub fn payment_ids<'a>(order: impl Into<Part<'a>>) -> Vec<String> {
    let payments = || {
        let [info] = order.into().pick(["paymentInfo"])?;
        let [payments] = info?.pick(["payments"])?;
        Some(payments?.array())
    };
    let ids = payments().unwrap_or_default().into_iter();
    ids.filter_map(|payment| Some(payment.pick(["id"])?[0]?.id()?.into_owned()))
        .collect()
}

impl PaymentRefunds {
    /// The successful refunds of a payment (<https://docs.commercetools.com/api/projects/payments#transaction>).
    #[must_use]
    pub fn read<'a>(payment: impl Into<Part<'a>>) -> Self {
        let [transactions] = payment.into().pick(["transactions"]).unwrap_or_default();
        let transactions = transactions.map(Part::array).unwrap_or_default();
        Self(
            transactions
                .into_iter()
                .filter_map(Transaction::successful_refund)
                .collect(),
        )
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Transaction {
    fn successful_refund(transaction: Part<'_>) -> Option<Self> {
        let [kind, state, amount, at] =
            transaction.pick(["type", "state", "amount", "timestamp"])?;
        if (kind?.get(), state?.get()) != (r#""Refund""#, r#""Success""#) {
            return None;
        }
        let [currency, cents, digits] =
            amount?.pick(["currencyCode", "centAmount", "fractionDigits"])?;
        Some(Self {
            currency: currency?.filled_text()?.decoded().into_owned(),
            cent_amount: cents?.get().parse().ok()?,
            fraction_digits: digits?.get().parse().ok()?,
            at: at
                .and_then(Part::filled_text)
                .map(Text::decoded)
                .and_then(|at| at.parse().ok()),
        })
    }
}

/// What was refunded of an order by these payments: the sum of their successful refunds, in the currency of the order if
/// there is one in it, else in that of the first; others are not converted. `None` without any.
#[must_use]
pub fn refund_of<'a, 'p>(
    order: impl Into<Part<'a>>,
    payments: impl IntoIterator<Item = &'p PaymentRefunds>,
) -> Option<Refund> {
    let all: Vec<&Transaction> = payments
        .into_iter()
        .flat_map(|refunds| &refunds.0)
        .collect();
    let [total] = order.into().pick(["totalPrice"]).unwrap_or_default();
    let of_order = total.and_then(money::read).map(|(_, currency)| currency);
    let first = all
        .iter()
        .find(|refund| of_order.as_deref() == Some(&refund.currency))
        .or(all.first())?;
    let counted = || {
        all.iter().filter(|refund| {
            refund.currency == first.currency && refund.fraction_digits == first.fraction_digits
        })
    };
    let cents = counted().fold(0_i64, |sum, refund| sum.saturating_add(refund.cent_amount));
    let sum = serde_json::json!({
        "type": "centPrecision", "centAmount": cents, "fractionDigits": first.fraction_digits,
        "currencyCode": first.currency,
    });
    let sum = serde_json::value::to_raw_value(&sum).ok()?;
    let (amount, _) = money::read((&sum).into())?;
    Some(Refund {
        amount,
        currency: first.currency.clone(),
        at: counted().filter_map(|refund| refund.at).max(),
    })
}
