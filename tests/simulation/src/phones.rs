//! Customers who have one phone number. What Klaviyo makes of that was never recorded: it may take them for one person where
//! nothing else identifies them, refuse all but one, or take them all.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use sim::commercetools::Commercetools;
use sim::klaviyo::SharedPhones;
use sim::seed::Kind;

use crate::world::World;

/// The number.
const SHARED: &str = "+4930901820";
/// One of so many customers has it.
const ONE_OF: usize = 5;

/// Gives the number to some customers.
pub(crate) fn share(project: &mut Commercetools, now: Timestamp) {
    for id in project.ids(Kind::Customer).into_iter().step_by(ONE_OF) {
        project.change(Kind::Customer, id, now, |customer| {
            customer["addresses"] = json!([{"id": "shared", "country": "DE", "mobile": SHARED}]);
            customer["defaultBillingAddressId"] = "shared".into();
        });
    }
}

fn has_number(customer: &Value) -> bool {
    customer["defaultBillingAddressId"] == "shared"
}

impl World {
    /// The ids of the customers who have the number.
    pub(crate) fn sharing(&self) -> BTreeSet<String> {
        let mut sharing = BTreeSet::new();
        if self.schedule.shares_phones() {
            self.project.borrow().for_each(Kind::Customer, |customer| {
                let customer: Value = serde_json::from_str(customer).expect("a record is JSON");
                let id = customer["id"].as_str().filter(|_| has_number(&customer));
                sharing.extend(id.map(str::to_owned));
            });
        }
        sharing
    }

    /// Each of them has their own profile, with the number or without one. Klaviyo may take those of different requests for one
    /// person, if it knows persons by their numbers: then nothing is asked for.
    ///
    /// # Errors
    /// Whose profile is not theirs.
    pub(crate) fn sharing_are_themselves(&self, except: &BTreeSet<String>) -> Result<(), String> {
        if self.schedule.unrecorded.shared_phones == SharedPhones::Merges {
            return Ok(());
        }
        let (project, klaviyo) = (self.project.borrow(), self.klaviyo.borrow());
        let profiles = klaviyo.ledger().profiles();
        for id in self.sharing().difference(except) {
            let customer = id.parse().ok();
            let customer = customer.and_then(|id| project.record(Kind::Customer, id));
            let customer = customer.unwrap_or_default();
            let profile = profiles.by_external_id(id);
            let profile = profile.ok_or_else(|| format!("customer {id} has no profile"))?;
            let is_own = profile.text("email") == customer["email"].as_str();
            let phone = profile.text("phone_number");
            if !is_own || phone.is_some_and(|phone| phone != SHARED) {
                return Err(format!("customer {id} has another's profile: {phone:?}"));
            }
        }
        Ok(())
    }
}
