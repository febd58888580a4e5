//! Imports that are killed, or interrupted with Ctrl-C, and go on.

use std::time::{Duration, Instant};

use super::programs::{Folder, Running, Sim};

/// A shop whose import waits for jobs of Klaviyo's for some seconds.
const SLOW: &str = "--customers 40 --orders 40 --categories 4 --products 8 --job-scale 0.4";
/// With the shortest windows, so that the lease of a killed one ends soon.
const SHORT: &str = "--variable window_seconds=1";

#[test]
fn an_import_that_is_killed_is_met_and_resumed() {
    let folder = Folder::new();
    let sim = Sim::start(&folder, SLOW);
    let mut running = Running::start(&folder, SHORT);
    running.until_running("customers");
    running.kill();

    // a plain start says so, and changes nothing
    let before = folder.run("status --json").last_event();
    assert_eq!(before["overview"]["customers"]["status"], "running");
    let met = folder.run(SHORT).with(2);
    for said in [
        "customers is going on",
        "Nothing was changed",
        "`cargo import --resume`",
        "`cargo import stop`",
    ] {
        assert!(met.stderr.contains(said), "{}", met.stderr);
    }
    let after = folder.run("status --json").last_event();
    for of in ["runId", "window", "updatedAt"] {
        let of = |seen: &serde_json::Value| seen["overview"]["customers"][of].clone();
        assert_eq!(of(&before), of(&after));
    }

    let resumed = folder
        .run(&format!("--resume {SHORT} --json"))
        .with(0)
        .last_event();
    assert_eq!(resumed["plan"]["status"], "completed", "{resumed}");
    assert_eq!(
        resumed["runs"].as_object().map(serde_json::Map::len),
        Some(4)
    );
    sim.has_it_all();
}

#[test]
fn ctrl_c_lets_the_window_save_and_the_import_goes_on_later() {
    let folder = Folder::new();
    // jobs that take longer than the window
    let sim = Sim::start(
        &folder,
        "--customers 40 --orders 0 --categories 0 --products 0 --job-scale 0.8",
    );
    let short = "customers --variable window_seconds=2";
    let mut running = Running::start(&folder, short);
    running.until_running("customers");
    running.interrupt();
    let (ended, last) = running.end();
    assert_eq!(ended.code(), Some(130));
    assert_eq!(
        (&last["event"], &last["exitCode"]),
        (&"interrupted".into(), &130.into())
    );

    let kept = folder.run("status --json").last_event();
    let customers = &kept["overview"]["customers"];
    assert_eq!(customers["status"], "running");
    assert_eq!(customers["killedWindows"], 0, "it saved: {customers}");

    folder.run(&format!("--resume {short}")).with(0);
    sim.has_it_all();
}

#[test]
fn ctrl_c_twice_leaves_at_once() {
    let folder = Folder::new();
    // the job takes minutes, so the window waits for its end
    let _sim = Sim::start(
        &folder,
        "--customers 5 --orders 0 --categories 0 --products 0 --job-scale 50",
    );
    let mut running = Running::start(&folder, "customers --variable window_seconds=25");
    running.until_running("customers");
    let begun = Instant::now();
    running.interrupt();
    // it says that it waits for the window
    running.until(|event| {
        event["text"]
            .as_str()
            .is_some_and(|text| text.contains("again leaves at once"))
    });
    running.interrupt();
    let (ended, _) = running.end();
    assert_eq!(ended.code(), Some(130));
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}
