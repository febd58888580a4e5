//! What a platform does to the component: few or many requests to an instance, limits, hosts that may not be called.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use host::{Gate, Options, Wasi};
use native::{Operator, Setup};
use reqwest::Method;
use sim::faults::{Fault, Rule};
use sim::seed::Kind;

use crate::support::component::{Hosted, IntoHosted, Shop, on_each_wasi};
use crate::support::gates::Gates;
use crate::support::root;

on_each_wasi! {
    a_request_that_takes_too_long_is_given_up,
    memory_beyond_the_limit_is_refused_and_ends_the_instance_alone,
    a_host_that_is_not_allowed_is_not_called_and_the_operator_is_told,
    an_app_that_may_not_call_itself_is_carried_by_others,
}

/// A shop whose commercetools takes a second to answer, and a component of WASI 0.3, whose instances serve many requests.
fn slow() -> Hosted {
    Setup::customers(1).latency_ms(1_000).wasi(Wasi::V0_3)
}

async fn get(shop: &Shop) -> u16 {
    shop.get("/sync/customers").await.status
}

/// Sends a request while another is being answered. Gives how many instances the two were handled by.
async fn two_at_once(wasi: Wasi, platform: fn(&mut Options)) -> (Shop, u64) {
    let first = Gate::default();
    let token = (Method::POST, "/oauth/token");
    let gates = Gates::default().before(token, 1..=1, &first);
    let setup = Setup::customers(1).wasi(wasi).outbound(Arc::new(gates));
    // virtual time would pass while the second request is on its way, and the first one's call be given up
    let setup = setup.speed(1.0);
    let shop = Shop::open(setup.platform(platform)).await;
    let second = async {
        first.arrived(1).await;
        let status = get(&shop).await;
        first.open();
        status
    };
    assert_eq!(tokio::join!(get(&shop), second), (200, 200));
    let instances = shop.host().stats().instances;
    (shop, instances)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_of_wasi_0_3_serves_several_requests_at_once_and_one_after_the_other() {
    let (shop, instances) = two_at_once(Wasi::V0_3, |_| {}).await;
    assert_eq!(instances, 1);
    get(&shop).await;
    assert_eq!(shop.host().stats().instances, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_of_wasi_0_3_that_may_serve_one_request_at_a_time_is_joined_by_another() {
    let one = |options: &mut Options| options.max_instance_concurrency = 1;
    let (_, instances) = two_at_once(Wasi::V0_3, one).await;
    assert_eq!(instances, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_of_wasi_0_2_serves_one_request_and_asks_for_its_own_token() {
    let (shop, instances) = two_at_once(Wasi::V0_2, |_| {}).await;
    assert_eq!(instances, 2);
    get(&shop).await;
    assert_eq!(shop.host().stats().instances, 3);
    let issued = shop.world.commercetools(|project| project.tokens_issued());
    assert_eq!(issued, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_of_wasi_0_3_is_replaced_after_so_many_requests() {
    let setup = slow().platform(|options| options.max_instance_reuse = 3);
    let shop = Shop::open(setup).await;
    for _ in 0..7 {
        assert_eq!(get(&shop).await, 200);
    }
    assert_eq!(shop.host().stats().instances, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_of_wasi_0_3_is_dropped_when_it_was_idle_for_long_enough() {
    let setup = slow().platform(|options| options.idle_timeout = Duration::from_secs(10));
    let shop = Shop::open(setup).await;
    for (pause, instances) in [(9, 1), (11, 2)] {
        get(&shop).await;
        shop.pass(Duration::from_secs(pause)).await;
        get(&shop).await;
        assert_eq!(shop.host().stats().instances, instances);
    }
}

async fn a_request_that_takes_too_long_is_given_up(wasi: Wasi) {
    let setup = slow().platform(|options| options.request_timeout = Some(Duration::from_secs(5)));
    let shop = Shop::open(setup.wasi(wasi)).await;
    let held = Fault::Hold(Duration::from_secs(30));
    shop.world
        .commercetools_faults()
        .add(Rule::always(held).times(1));
    let begun = shop.world.clock().elapsed();
    // where a handler of WASI 0.2 ends without an answer, wasmtime does not say why
    let given_up = match wasi {
        Wasi::V0_2 => 500,
        Wasi::V0_3 => 504,
    };
    assert_eq!(get(&shop).await, given_up);
    assert_eq!(shop.world.clock().elapsed() - begun, Duration::from_secs(5));
    assert_eq!(get(&shop).await, 200);
}

async fn memory_beyond_the_limit_is_refused_and_ends_the_instance_alone(wasi: Wasi) {
    let setup = Setup::orders(400).platform(|options| options.memory_limit = 3 << 20);
    let shop = Shop::open(setup.wasi(wasi)).await;
    // the document is written before there is much to hold
    shop.start("orders", "").await;
    shop.pass(Duration::from_secs(5)).await;
    let stats = shop.host().stats();
    assert!(stats.refused_growths > 0 && stats.traps > 0, "{stats:?}");
    assert!(stats.peak_memory <= 3 << 20, "{stats:?}");
    let status = shop.status("orders").await;
    assert_eq!(status["status"], "running", "{status}");
}

/// The application's manifest with other allowed hosts, as a file of its own.
struct Manifest(PathBuf);

impl Manifest {
    fn allowing(wasi: Wasi, name: &str, hosts: &str) -> Self {
        let manifest = root().join("spin.toml");
        let wasm = host::build(&manifest, wasi).expect("the component is built");
        let manifest = std::fs::read_to_string(manifest).expect("a manifest");
        let lines = manifest.lines().map(|line| match line.split_once(" = ") {
            Some(("allowed_outbound_hosts", _)) => format!("allowed_outbound_hosts = {hosts}"),
            Some(("source", _)) => format!("source = {wasm:?}"),
            _ => line.to_owned(),
        });
        let manifest: Vec<String> = lines
            .take_while(|line| !line.ends_with(".build]"))
            .collect();
        let folder = std::env::temp_dir().join(format!("{name}-{wasi:?}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("spin.toml"), manifest.join("\n")).expect("a manifest");
        Self(folder)
    }

    async fn open(&self, setup: Setup) -> Shop {
        Shop::open_as(setup, Options::new(self.0.join("spin.toml"))).await
    }
}

impl Drop for Manifest {
    fn drop(&mut self) {
        // what is left behind is in the system's folder for that
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn a_host_that_is_not_allowed_is_not_called_and_the_operator_is_told(wasi: Wasi) {
    let manifest = Manifest::allowing(
        wasi,
        "without-klaviyo",
        r#"["{{ ct_api_url }}", "{{ ct_auth_url }}", "http://self"]"#,
    );
    let shop = manifest.open(Setup::customers(3)).await;
    shop.start("customers", "").await;
    let advice = shop.failed("customers").await;
    assert!(advice.contains("allowed_outbound_hosts"), "{advice}");
    assert!(shop.host().stats().denied > 0);
    assert!(shop.world.klaviyo_server().calls().is_empty());
}

async fn an_app_that_may_not_call_itself_is_carried_by_others(wasi: Wasi) {
    let manifest = Manifest::allowing(
        wasi,
        "without-itself",
        r#"["{{ ct_api_url }}", "{{ ct_auth_url }}", "{{ klaviyo_api_url }}"]"#,
    );
    let pages_one_by_one = Setup::customers(700)
        .variable("id_ranges", 1)
        .variable("window_seconds", 1)
        .latency_ms(600);
    let shop = manifest.open(pages_one_by_one).await;
    shop.start("customers", "").await;
    let status = shop
        .until("customers", |status| status["chainLooksCut"] == true)
        .await;
    assert_eq!(status["status"], "running", "{status}");
    assert!(shop.host().stats().denied > 0);
    while shop.status("customers").await["status"] == "running" {
        shop.go_on("customers").await;
        shop.pass(Duration::from_secs(10)).await;
    }
    shop.completed("customers").await;
    shop.assert_ledger(&[Kind::Customer]);
}
