//! Customers, imported by the built component in the host from the simulated commercetools into the simulated Klaviyo.

use std::time::Duration;

use native::operator::reported;
use native::{Operator, Setup};
use serde_json::json;
use sim::faults::{Fault, Rule};
use sim::klaviyo::{Choice, Pointers};
use sim::seed::Kind;

use crate::support::component::{IntoHosted, Shop};

fn profiles(shop: &Shop) -> usize {
    shop.world
        .klaviyo(|klaviyo| klaviyo.ledger().profiles().len())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_customers_arrive_as_profiles() {
    let shop = Shop::open(Setup::customers(700)).await;
    let answer = shop.post("/sync/customers", "{}").await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.headers["location"], "/sync/customers");
    assert_eq!(answer.body["status"], "running");
    let status = shop.completed("customers").await;
    assert_eq!(status["runId"], answer.body["runId"]);
    assert_eq!(status["counts"]["read"], 700);
    assert_eq!(status["percent"], 100);
    shop.assert_ledger(&[Kind::Customer]);
    // packed: not one profile a request, as the Node plugin does
    let klaviyo = shop.world.klaviyo_server();
    assert!(klaviyo.calls_of("POST /api/profile-bulk-import-jobs") <= 2);
    let log = shop.log().join("\n");
    assert!(
        log.contains("run_started") && log.contains("run_completed"),
        "{log}"
    );
    assert!(!log.contains('@'), "an e-mail address in the log: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_customers_and_one_customer_are_imports_too() {
    for count in [0, 1] {
        let shop = Shop::open(Setup::customers(count)).await;
        shop.start("customers", "").await;
        assert_eq!(shop.completed("customers").await["counts"]["read"], count);
        shop.assert_ledger(&[Kind::Customer]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_arrive_in_real_time_too() {
    let shop = Shop::open(Setup::customers(300).speed(1.0)).await;
    shop.start("customers", "").await;
    assert_eq!(shop.completed("customers").await["counts"]["read"], 300);
    shop.assert_ledger(&[Kind::Customer]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_customers_asked_for_are_imported_and_a_missing_one_is_said() {
    let shop = Shop::open(Setup::customers(300)).await;
    let mut ids: Vec<String> = shop.ids(Kind::Customer).into_iter().step_by(2).collect();
    let wanted = ids.len();
    let missing = "00000000-0000-4000-8000-000000000000";
    ids.push(missing.to_owned());
    ids.push(ids[0].to_uppercase());
    shop.start("customers", json!({"ids": ids})).await;
    let status = shop.completed("customers").await;
    assert_eq!(status["counts"]["sent"], wanted);
    assert_eq!(status["counts"]["skipped"]["not-found"], 1);
    assert_eq!(status["setAside"][0]["id"], missing);
    assert_eq!(profiles(&shop), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_that_klaviyo_does_not_take_are_in_the_report_and_the_rest_arrives() {
    let shop = Shop::open(Setup::customers(400)).await;
    let ids = shop.ids(Kind::Customer);
    let refused: Vec<String> = ids.into_iter().step_by(40).collect();
    shop.world.klaviyo(|klaviyo| {
        klaviyo.options_mut().refuse_profiles = Choice::ids(refused.clone());
    });
    shop.start("customers", "").await;
    let status = shop.completed("customers").await;
    assert_eq!(status["counts"]["failed"], refused.len(), "{status}");
    assert_eq!(status["counts"]["sent"], 400 - refused.len());
    assert_eq!(reported(&status), refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_refused_whole_loses_only_the_records_at_fault() {
    for pointers in [Pointers::Record, Pointers::Nowhere] {
        let mut setup = Setup::customers(150);
        setup.klaviyo.pointers = pointers;
        let shop = Shop::open(setup).await;
        let ids = shop.ids(Kind::Customer);
        let refused = [3, 77, 149].map(|at| ids[at].clone());
        shop.world.klaviyo(|klaviyo| {
            klaviyo.options_mut().refuse_imports = Choice::ids(refused);
        });
        shop.start("customers", "").await;
        let status = shop.completed("customers").await;
        assert_eq!(status["counts"]["failed"], 3, "{status}");
        assert_eq!(profiles(&shop), 147);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_all_kinds_on_both_sides_change_nothing() {
    let setup = Setup::customers(1_000).variable("window_seconds", 3);
    let shop = Shop::open(setup.latency_ms(100)).await;
    for faults in [
        shop.world.commercetools_faults(),
        shop.world.klaviyo_faults(),
    ] {
        for (share, fault) in [
            (0.05, Fault::LoseRequest),
            (0.05, Fault::LoseAnswer),
            (0.05, Fault::HalfAnswer),
            (0.05, Fault::refuse(503)),
            (0.03, Fault::throttle(2)),
            (0.02, Fault::Hold(Duration::from_secs(20))),
        ] {
            // the start itself may be refused by a fault: that has its own test
            faults.add(Rule::chance(share, fault));
        }
    }
    shop.start_despite_faults("customers").await;
    // a chain that a lost self-call has cut is picked up
    let status = shop.complete_despite_faults("customers", u32::MAX).await;
    shop.end_faults();
    assert_eq!(status["counts"]["read"], 1_000);
    shop.assert_ledger(&[Kind::Customer]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_a_jobs_errors_is_read() {
    let is_taken = |id: &str| id.ends_with(['0', '8']);
    let mut setup = Setup::customers(400);
    setup.klaviyo.refuse_profiles = Choice::By(Box::new(move |id| !is_taken(id)));
    let shop = Shop::open(setup).await;
    shop.start("customers", "").await;
    let status = shop.completed("customers").await;
    let mut refused = shop.ids(Kind::Customer);
    refused.retain(|id| !is_taken(id));
    // Klaviyo gives 100 a page
    assert!(refused.len() > 300);
    assert_eq!(status["counts"]["failed"], refused.len(), "{status}");
    assert_eq!(reported(&status), refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_phone_number_costs_the_number_and_not_the_profile() {
    // refused by the job, and at once
    for at_once in [false, true] {
        let mut setup = Setup::customers(300);
        let all = || Choice::By(Box::new(|_: &str| true));
        setup.klaviyo.refuse_phone_numbers = all();
        if at_once {
            setup.klaviyo.refuse_imports = all();
        }
        let shop = Shop::open(setup).await;
        shop.start("customers", "").await;
        let status = shop.completed("customers").await;
        assert_eq!(status["counts"]["sent"], 300, "{status}");
        let note = &status["counts"]["notes"]["sent-again-without-phone-number"];
        assert!(note.as_u64() > Some(50), "{status}");
        shop.world.klaviyo(|klaviyo| {
            let profiles = klaviyo.ledger().profiles();
            assert_eq!(profiles.len(), 300);
            let has_number =
                |profile: &sim::ledger::Profile| profile.text("phone_number").is_some();
            assert!(!profiles.iter().any(has_number));
        });
    }
}
