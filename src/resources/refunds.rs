//! The refunds of a page of orders, from their payments.

use std::collections::{HashMap, HashSet};

use super::collection::Records;
use super::lookup::{Lookup, Source};
use super::shop_catalog::ShopCatalog;
use crate::commercetools::query::IDS_A_QUERY;
use crate::error::{Error, Peer};
use crate::json::Part;
use crate::mapping::order::{PaymentRefunds, Refund, payment_ids, refund_of};
use crate::run::documents::Documents;
use crate::run::state::Note;
use crate::time::Deadline;

/// Payments by id. Scope: `view_payments`.
const PAYMENTS: Lookup = Lookup {
    operation: "query payments of orders",
    source: Source::Endpoint {
        path: "payments",
        parameters: &[],
    },
    ids_a_query: IDS_A_QUERY,
    unseen_bytes: 4_000,
};

/// The refunds of payments that have any, by the payment's id.
#[derive(Debug, Default)]
pub(super) struct Refunds {
    by_payment: HashMap<String, PaymentRefunds>,
    /// Payments that are too large to be looked up.
    too_large: HashSet<String>,
}

impl Refunds {
    /// Looks up the payments of these orders.
    ///
    /// # Errors
    /// If commercetools does not respond or rejects the request: a failed look-up never counts as no refund.
    pub(super) async fn of(
        catalog: &ShopCatalog,
        orders: &Records,
        deadline: Deadline,
    ) -> Result<Self, Error> {
        let ids: HashSet<String> = orders.present().flat_map(payment_ids).collect();
        let mut ids: Vec<String> = ids.into_iter().collect();
        ids.sort_unstable();
        let mut by_payment = HashMap::new();
        let looked_up = catalog.lookups().run(&PAYMENTS, &ids, deadline, |payment| {
            let id = crate::mapping::id(payment.part()).ok_or_else(|| {
                let expected = "payments with their ids";
                Error::unreadable(Peer::Commercetools, PAYMENTS.operation, expected)
            })?;
            let refunds = PaymentRefunds::read(payment.part());
            if !refunds.is_empty() {
                by_payment.insert(id, refunds);
            }
            Ok(())
        });
        let too_large = looked_up.await?.into_iter().collect();
        Ok(Self {
            by_payment,
            too_large,
        })
    }

    /// What was refunded of an order. A payment that could not be looked up is noted.
    pub(super) fn of_order(&self, order: Part<'_>, documents: &mut Documents) -> Option<Refund> {
        if self.by_payment.is_empty() && self.too_large.is_empty() {
            return None;
        }
        let ids = payment_ids(order);
        if ids.iter().any(|id| self.too_large.contains(id)) {
            documents.notes.push(Note::RefundsUnread);
        }
        let refunds = ids.iter().filter_map(|id| self.by_payment.get(id));
        refund_of(order, refunds)
    }
}
