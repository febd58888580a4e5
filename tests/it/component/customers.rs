//! Customers, imported by the built component in the host from the simulated commercetools into the simulated Klaviyo.

use std::time::Duration;

use sim::faults::{Fault, Rule};
use sim::klaviyo::Choice;
use sim::seed::Kind;

use crate::support::{LOOK, Setup, Shop, calls};

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
    assert!(
        calls(
            shop.world.klaviyo_server(),
            "POST /api/profile-bulk-import-jobs"
        ) <= 2
    );
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
    let mut ids: Vec<String> = shop
        .world
        .commercetools(|project| project.ids(Kind::Customer))
        .iter()
        .step_by(2)
        .map(ToString::to_string)
        .collect();
    let wanted = ids.len();
    ids.push("00000000-0000-4000-8000-000000000000".to_owned());
    ids.push(ids[0].to_uppercase());
    shop.start("customers", &serde_json::json!({"ids": ids}).to_string())
        .await;
    let status = shop.completed("customers").await;
    assert_eq!(status["counts"]["sent"], wanted);
    assert_eq!(status["counts"]["skipped"]["not-found"], 1);
    assert_eq!(
        status["setAside"][0]["id"],
        "00000000-0000-4000-8000-000000000000"
    );
    let profiles = shop
        .world
        .klaviyo(|klaviyo| klaviyo.ledger().profiles().len());
    assert_eq!(profiles, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_that_klaviyo_does_not_take_are_in_the_report_and_the_rest_arrives() {
    let mut setup = Setup::customers(400);
    let world = setup.world().await;
    let ids: Vec<String> = world
        .commercetools(|project| project.ids(Kind::Customer))
        .iter()
        .map(ToString::to_string)
        .collect();
    drop(world);
    let refused: Vec<String> = ids.iter().step_by(40).cloned().collect();
    setup.klaviyo.refuse_profiles = Choice::ids(refused.clone());
    let shop = Shop::open(setup).await;
    shop.start("customers", "").await;
    let status = shop.completed("customers").await;
    assert_eq!(status["counts"]["failed"], refused.len(), "{status}");
    assert_eq!(status["counts"]["sent"], 400 - refused.len());
    let mut reported: Vec<&str> = status["setAside"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|record| record["id"].as_str())
        .collect();
    reported.sort_unstable();
    assert_eq!(reported, refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_refused_whole_loses_only_the_records_at_fault() {
    for points in [true, false] {
        let mut setup = Setup::customers(150);
        let world = setup.world().await;
        let ids = world.commercetools(|project| project.ids(Kind::Customer));
        drop(world);
        let refused: Vec<String> = [ids[3], ids[77], ids[149]]
            .iter()
            .map(ToString::to_string)
            .collect();
        setup.klaviyo.refuse_imports = Choice::ids(refused.clone());
        setup.klaviyo.point_at_records = points;
        let shop = Shop::open(setup).await;
        shop.start("customers", "").await;
        let status = shop.completed("customers").await;
        assert_eq!(status["counts"]["failed"], 3, "{status}");
        let profiles = shop
            .world
            .klaviyo(|klaviyo| klaviyo.ledger().profiles().len());
        assert_eq!(profiles, 147);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_all_kinds_on_both_sides_change_nothing() {
    let shop = Shop::open(
        Setup::customers(1_000)
            .variable("window_seconds", "3")
            .latency_ms(100),
    )
    .await;
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
    loop {
        let answer = shop.post("/sync/customers", "").await;
        match answer.status {
            202 | 423 => break,
            502 | 503 => {}
            _ => panic!("{}", answer.body),
        }
    }
    // a chain that a lost self-call has cut is picked up
    loop {
        let status = shop.get("/sync/customers").await;
        if status.status == 200 && status.body["status"] != "running" {
            break;
        }
        shop.post("/sync/continue", "").await;
        shop.pass(LOOK).await;
    }
    shop.world.commercetools_faults().clear();
    shop.world.klaviyo_faults().clear();
    let status = shop.completed("customers").await;
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
    let ids = shop
        .world
        .commercetools(|project| project.ids(Kind::Customer));
    let mut refused: Vec<String> = ids.iter().map(ToString::to_string).collect();
    refused.retain(|id| !is_taken(id));
    // Klaviyo gives 100 a page
    assert!(refused.len() > 300);
    assert_eq!(status["counts"]["failed"], refused.len(), "{status}");
    let mut reported: Vec<&str> = status["setAside"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|record| record["id"].as_str())
        .collect();
    reported.sort_unstable();
    assert_eq!(reported, refused);
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
