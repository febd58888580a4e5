//! The attributes of products and variants, which no mapping reads: they are left out of what is read, as far as
//! commercetools does that.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response};
use native::environment::{Answered, Destination};
use native::shop::run_with;
use native::{Interceptor, Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::commercetools::{GraphqlRefusal, UnknownAttributes};
use sim::faults::{Fault, Rule};
use sim::seed::{Kind, Shop as Kept};

/// What was read of products' projections and of variants'.
#[derive(Default)]
struct Seen {
    /// For each request, whether it names the attributes that are wanted.
    requests: RefCell<Vec<bool>>,
    /// For each response, its status, its bytes, and whether something in it has attributes.
    responses: RefCell<Vec<(u16, usize, bool)>>,
}

impl Seen {
    fn bytes(&self) -> usize {
        let responses = self.responses.borrow();
        responses.iter().map(|(_, bytes, _)| bytes).sum()
    }

    fn has_attributes(&self) -> bool {
        let responses = self.responses.borrow();
        responses.iter().any(|(_, _, has_some)| *has_some)
    }

    fn rejected(&self) -> usize {
        let responses = self.responses.borrow();
        responses
            .iter()
            .filter(|(status, ..)| *status == 400)
            .count()
    }

    /// How many requests name the attributes that are wanted, and how many do not.
    fn named(&self) -> [usize; 2] {
        let requests = self.requests.borrow();
        let named = requests.iter().filter(|is_named| **is_named).count();
        [named, requests.len() - named]
    }
}

impl Interceptor for Seen {
    fn request(&self, _to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let uri = request.uri();
        // what asks for a number of records has none in its response
        let query = uri.query().unwrap_or_default();
        if uri.path().ends_with("-projections") && !query.contains("limit=0") {
            let is_named = query.contains("filter%5Battributes%5D=");
            self.requests.borrow_mut().push(is_named);
        }
        None
    }

    fn response(&self, _to: Destination, call: &str, response: Response<Bytes>) -> Answered {
        if call.ends_with("-projections") {
            let text = String::from_utf8_lossy(response.body());
            let has_some = text.contains(r#""attributes":[{"#);
            let of = (response.status().as_u16(), response.body().len(), has_some);
            self.responses.borrow_mut().push(of);
        }
        Ok(response)
    }
}

fn shop_of(kept: Kept, how: UnknownAttributes, test: impl AsyncFnOnce(&Shop)) -> Rc<Seen> {
    let seen = Rc::new(Seen::default());
    let setup = Setup::catalog(10, 150).kept_as(kept).scheduled();
    run_with(setup, seen.clone(), async |shop| {
        shop.world
            .commercetools(|project| project.answer_unknown_attributes(how));
        test(&shop).await;
    });
    seen
}

const SHOPS: [Kept; 4] = [Kept::Usual, Kept::Standalone, Kept::Modular, Kept::Mixed];

/// Imports the catalog and compares what arrived.
fn imported(kept: Kept, how: UnknownAttributes) -> Rc<Seen> {
    shop_of(kept, how, async |shop| {
        shop.complete("categories", "").await;
        shop.complete("products", "").await;
        shop.assert_ledger(&[Kind::Category, Kind::Product]);
    })
}

#[test]
fn attributes_are_left_out_of_products_and_variants() {
    for kept in SHOPS {
        let seen = imported(kept, UnknownAttributes::LikeOthers);
        assert!(!seen.has_attributes(), "{kept:?}");
        let [named, unnamed] = seen.named();
        assert!(named > 0 && unnamed == 0, "{kept:?}: {named}, {unnamed}");
    }
}

#[test]
fn where_commercetools_ignores_the_name_they_are_read_and_do_no_harm() {
    for kept in SHOPS {
        let seen = imported(kept, UnknownAttributes::Ignored);
        assert!(seen.has_attributes(), "{kept:?}");
        assert_eq!(seen.rejected(), 0, "{kept:?}");
    }
}

#[test]
fn where_commercetools_rejects_the_name_whole_products_are_read_from_then_on() {
    for kept in SHOPS {
        let seen = imported(kept, UnknownAttributes::Refused);
        assert!(seen.has_attributes(), "{kept:?}");
        // the first page goes alone, so nothing else is rejected
        assert_eq!(seen.rejected(), 1, "{kept:?}");
        let [named, unnamed] = seen.named();
        assert!(named == 1 && unnamed > 3, "{kept:?}: {named}, {unnamed}");
    }
}

#[test]
fn what_is_left_out_is_most_of_what_there_is() {
    let [without, with] = [UnknownAttributes::LikeOthers, UnknownAttributes::Ignored]
        .map(|how| imported(Kept::Usual, how).bytes());
    assert!(2 * without < with, "{without} of {with} bytes");
}

fn published(shop: &Shop) -> Vec<String> {
    let mut ids = Vec::new();
    shop.world.commercetools(|project| {
        project.for_each_published_product(|product| {
            let product: Value = serde_json::from_str(product).expect("a product");
            ids.push(product["id"].as_str().expect("an id").to_owned());
        });
    });
    ids
}

#[test]
fn changes_prunes_and_checks_leave_them_out_too() {
    for kept in [Kept::Usual, Kept::Modular] {
        let seen = shop_of(kept, UnknownAttributes::LikeOthers, async |shop| {
            if kept == Kept::Usual {
                // then which products are published is asked of projections
                shop.world
                    .commercetools(|project| project.refuse_graphql(GraphqlRefusal::Always));
            }
            shop.complete("products", "").await;
            for product in published(shop).iter().take(3) {
                shop.change_record(Kind::Product, product, |product| {
                    product["masterData"]["current"]["name"] = json!({"en-US": "Another name"});
                });
            }
            shop.complete("products", json!({"since": "lastRun"})).await;
            shop.complete("products", json!({"prune": true})).await;
            shop.read("/sync/check").await;
            shop.assert_ledger(&[Kind::Product]);
        });
        assert!(!seen.has_attributes(), "{kept:?}");
        assert_eq!(seen.named()[1], 0, "{kept:?}");
    }
}

#[test]
fn a_request_that_is_rejected_for_another_reason_changes_nothing() {
    let seen = shop_of(Kept::Usual, UnknownAttributes::LikeOthers, async |shop| {
        shop.start("products", "").await;
        let faults = shop.world.commercetools_faults();
        // with the parameter, and without
        let rule = Rule::always(Fault::refuse(400)).path("product-projections");
        faults.add(rule.times(2));
        shop.ticked("products").await;
        shop.failed("products").await;
        shop.complete("products", json!({"resume": true})).await;
        shop.assert_ledger(&[Kind::Product]);
    });
    assert!(!seen.has_attributes());
    let [named, unnamed] = seen.named();
    assert!(named > 3 && unnamed == 1, "{named}, {unnamed}");
}
