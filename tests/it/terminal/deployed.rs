//! The command line of an app that is served elsewhere.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use host::Options;
use native::{Operator, Setup, TOKEN};
use sim::klaviyo::JobTimes;
use tokio::task::block_in_place;

use super::programs::{Folder, Running};
use crate::support::component::{IntoHosted, Shop};
use crate::support::root;

/// A folder with the token, and what follows every command.
fn operator(shop: &Shop) -> (Folder, String) {
    let folder = Folder::new();
    folder.write("token", &format!("{TOKEN}\n"));
    let app = format!("--app http://{} --token-file token", shop.host().address());
    (folder, app)
}

fn setup(jobs: Duration) -> Setup {
    let mut setup = Setup::everything();
    setup.klaviyo.job_times = JobTimes::taking(jobs);
    setup
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_checked_imported_from_and_looked_at() {
    let shop = Shop::open(setup(Duration::from_millis(200)).speed(1.0)).await;
    let (folder, app) = operator(&shop);
    let run = |arguments: &str| block_in_place(|| folder.run(&format!("{arguments} {app}")));
    run("check").with(0);
    let report = run("customers orders --json").with(0).last_event();
    let runs = report["runs"].as_object().expect("runs");
    assert_eq!(runs.keys().collect::<Vec<_>>().len(), 2, "{report}");
    let status = run("status").with(0);
    assert_eq!(
        status.stdout.matches("completed").count(),
        5,
        "{}",
        status.stdout
    );
    assert_eq!(
        status.stdout.matches("never imported").count(),
        2,
        "{}",
        status.stdout
    );
    assert_eq!(folder.files(), ["token"]);
    // somebody else's token
    folder.write("token", "not-the-token-of-this-app");
    let refused = run("customers").with(2);
    assert!(
        refused.stderr.contains("Unauthorized"),
        "{}",
        refused.stderr
    );
    assert!(
        !refused.stderr.contains("not-the-token"),
        "{}",
        refused.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_an_app_that_goes_on_until_it_is_stopped() {
    let shop = Shop::open(setup(Duration::from_secs(600)).speed(1.0)).await;
    let (folder, app) = operator(&shop);
    block_in_place(|| {
        let mut running = Running::start(&folder, &format!("customers {app}"));
        running.until_running("customers");
        running.interrupt();
        running.until(|event| {
            event["text"]
                .as_str()
                .is_some_and(|text| text.contains("goes on by itself"))
        });
        let (ended, _) = running.end();
        assert_eq!(ended.code(), Some(130));
    });
    assert_eq!(shop.status("customers").await["status"], "running");
    let stopped = block_in_place(|| folder.run(&format!("stop {app}")).with(0));
    assert!(
        stopped
            .stdout
            .contains("customers: stopped; nothing more is sent"),
        "{}",
        stopped.stdout
    );
    assert_eq!(shop.status("customers").await["status"], "stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_away_for_a_while_is_waited_for() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
    let mut options = Options::new(root().join("spin.toml"));
    options.listen = port.expect("a free port");
    let setup = setup(Duration::from_secs(4)).variable("window_seconds", 1);
    let mut shop = Shop::open_as(setup.speed(1.0), options).await;
    let (folder, app) = operator(&shop);
    let mut running = block_in_place(|| {
        let mut running = Running::start(&folder, &format!("customers {app}"));
        running.until_running("customers");
        running
    });
    shop.kill().await;
    block_in_place(|| {
        running.until(|event| {
            event["text"]
                .as_str()
                .is_some_and(|text| text.starts_with("No answer: "))
        });
    });
    shop.revive().await;
    let (ended, report) = block_in_place(|| {
        running.until(|event| event["text"] == "It answers again.");
        running.end()
    });
    assert_eq!(ended.code(), Some(0), "{report}");
    assert_eq!(
        report["runs"]["customers"][0]["status"], "completed",
        "{report}"
    );
}
