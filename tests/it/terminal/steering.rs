//! `status` and `stop`, of what was left behind.

use super::programs::{Folder, Running, Sim};

#[test]
fn what_was_left_behind_is_shown_and_stopped() {
    let folder = Folder::new();
    let arguments = "--customers 40 --orders 40 --categories 4 --products 8 --job-scale 50";
    let sim = Sim::start(&folder, arguments);
    let short = "--variable window_seconds=1";
    let mut running = Running::start(&folder, short);
    running.until_running("customers");
    running.kill();

    let status = folder.run("status");
    let line = status
        .stdout
        .lines()
        .find(|line| line.starts_with("customers"));
    assert!(
        line.is_some_and(|line| line.contains("running")),
        "{}",
        status.stdout
    );
    assert!(
        status.stdout.contains("`cargo import --resume`"),
        "{}",
        status.stdout
    );

    // one of them, then the others with their plan
    let stopped = folder.run("stop customers --json").with(0).last_event();
    assert_eq!(
        stopped["stopped"],
        serde_json::json!(["customers"]),
        "{stopped}"
    );
    let stopped = folder.run("stop").with(0);
    assert!(
        stopped
            .stdout
            .contains("plan: stopped; nothing more is sent"),
        "{}",
        stopped.stdout
    );
    let again = folder.run("stop").with(0);
    assert_eq!(again.stdout, "Nothing is going on.\n");
    let status = folder.run("status --json").with(0).last_event();
    for resource in ["customers", "categories"] {
        assert_eq!(
            status["overview"][resource]["status"], "stopped",
            "{status}"
        );
    }
    folder.run("--resume").with(2);
    assert!(!sim.end().0, "it was stopped in the middle");
}

#[test]
fn what_does_not_go_together_is_refused_before_anything_begins() {
    let folder = Folder::new();
    for arguments in [
        "customers status",
        "--dry-run check",
        "--app http://127.0.0.1:9",
        "--token-file token",
        "--app ftp://a --token-file .env",
        "customers --start-id 5c7b9a4e-0000-4000-8000-000000000000",
        "carts",
        "--since yesterday",
    ] {
        let ended = folder.run(arguments).with(2);
        assert!(
            !ended.stderr.is_empty() && ended.stdout.is_empty(),
            "{arguments}: {ended:?}"
        );
    }
    let error = folder
        .run("--app http://127.0.0.1:9 --json")
        .with(2)
        .last_event();
    assert!(
        error["error"]
            .as_str()
            .is_some_and(|error| error.contains("--token-file")),
        "{error}"
    );
}
