//! Imports from an empty folder with a `.env`, to their end.

use sim::seed::{Kind, Seed, Sizes};
use sim::world::{World, WorldOptions};

use super::programs::{Folder, Sim};

/// A shop that is imported within seconds.
const SMALL: &str = "--customers 30 --orders 30 --categories 4 --products 8 --job-scale 0.02";

#[test]
fn everything_is_imported_from_a_folder_with_nothing_but_variables() {
    let folder = Folder::new();
    let sim = Sim::start(&folder, SMALL);
    // nobody has to think of a token for an app that nobody else calls
    sim.edit(|line| (!line.starts_with("SPIN_VARIABLE_API_TOKEN")).then(|| line.to_owned()));
    let ended = folder.run("").with(0);
    for resource in ["customers", "orders", "categories", "products"] {
        for text in [&ended.stderr, &ended.stdout] {
            let line = text.lines().rfind(|line| line.starts_with(resource));
            assert!(
                line.is_some_and(|line| line.ends_with("completed")),
                "{text}"
            );
        }
    }
    assert!(
        ended
            .stdout
            .ends_with("Everything completed, and nothing failed.\n"),
        "{}",
        ended.stdout
    );
    assert_eq!(folder.files(), [".env"], "it left something there");
    // a report of a dry run has samples, and sends nothing: what is there stays equal
    let dry = folder.run("orders --dry-run").with(0);
    assert!(dry.stdout.contains("\nsample "), "{}", dry.stdout);
    folder.run("--since lastRun").with(0);
    sim.has_it_all();
}

#[test]
fn records_that_fail_are_named_and_have_an_exit_code() {
    let folder = Folder::new();
    let sim = Sim::start(
        &folder,
        "--customers 6 --orders 0 --categories 0 --products 0 --job-scale 0.02 --reject-customers 2",
    );
    let ended = folder.run("customers").with(1);
    let bad: Vec<String> = ids(6).into_iter().take(2).collect();
    for id in &bad {
        assert!(
            ended.stdout.contains(&format!("{id} failed: ")),
            "{}",
            ended.stdout
        );
    }
    assert!(
        ended
            .stdout
            .contains("`cargo import customers --retry-failed`"),
        "{}",
        ended.stdout
    );
    let again = folder.run("--retry-failed --json").with(1).last_event();
    let run = &again["runs"]["customers"][0];
    assert_eq!(
        (&run["counts"]["read"], &run["counts"]["failed"]),
        (&2.into(), &2.into()),
        "{again}"
    );
    let forgotten = folder.run("customers --dismiss-failed").with(0);
    assert!(
        forgotten
            .stdout
            .contains("customers: 2 failed records are forgotten"),
        "{}",
        forgotten.stdout
    );
    let none = folder.run("--retry-failed").with(0);
    assert!(
        none.stdout.contains("No record has failed"),
        "{}",
        none.stdout
    );
    assert!(!sim.end().0, "two customers are missing");
}

#[test]
fn what_is_not_configured_is_said_with_its_fix() {
    let folder = Folder::new();
    let ended = folder.run("").with(2);
    for named in [
        "`ct_api_url`",
        "`klaviyo_auth_key`",
        "SPIN_VARIABLE_",
        ".env",
    ] {
        assert!(ended.stderr.contains(named), "{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("`api_token`"), "{}", ended.stderr);

    let sim = Sim::start(&folder, SMALL);
    sim.edit(|line| Some(line.replace("pk_test", "pk_revoked")));
    let ended = folder.run("").with(2);
    assert!(
        ended.stderr.contains("failed   Klaviyo"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("fix: ") && ended.stderr.contains("klaviyo_auth_key"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("nothing was started"),
        "{}",
        ended.stderr
    );
    let check = folder.run("check").with(2);
    assert!(
        check.stdout.lines().any(|line| line.starts_with("ok ")),
        "{}",
        check.stdout
    );
    assert!(check.stdout.contains("fix: "), "{}", check.stdout);
    let check = folder.run("check --json").with(2).last_event();
    assert_eq!(check["ok"], false);

    sim.edit(|line| Some(line.replace("pk_revoked", "pk_test")));
    let status = folder.run("status").with(0);
    assert_eq!(
        status.stdout.matches("never imported").count(),
        4,
        "{}",
        status.stdout
    );
    folder.run("check").with(0);
}

/// The ids of a shop with so many customers, as the simulators' program has it.
fn ids(customers: u32) -> Vec<String> {
    let sizes = Sizes {
        customers,
        orders: 0,
        categories: 0,
        products: 0,
    };
    let seed = Seed {
        number: 1,
        sizes,
        ..Seed::default()
    };
    let world = World::in_process(WorldOptions {
        seed,
        ..WorldOptions::default()
    });
    let ids = world.commercetools(|project| project.ids(Kind::Customer));
    ids.iter().map(ToString::to_string).collect()
}

#[test]
fn more_ids_than_a_run_takes_are_several_runs_with_one_report() {
    const CUSTOMERS: u32 = 5_003;
    let folder = Folder::new();
    let arguments =
        format!("--customers {CUSTOMERS} --orders 0 --categories 0 --products 0 --job-scale 0.02");
    let sim = Sim::start(&folder, &arguments);
    let ids = ids(CUSTOMERS);
    folder.write("ids.txt", &ids.join("\n"));

    // what is no id is found before anything begins
    folder.write("wrong.txt", &format!("{}\nid\n", ids[0]));
    let wrong = folder.run("customers --ids-file wrong.txt").with(2);
    assert!(
        wrong.stderr.contains("wrong.txt: line 2: `id`"),
        "{}",
        wrong.stderr
    );
    folder.run("--ids-file ids.txt").with(2);

    // the last of them first, as if the others had been imported before
    let rest = folder
        .run("customers --ids-file ids.txt --skip 5000 --json")
        .with(0)
        .last_event();
    let runs = rest["runs"]["customers"].as_array().expect("runs");
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0]["counts"]["read"], 3);
    let report = folder
        .run("customers --ids-file ids.txt --json")
        .with(0)
        .last_event();
    let runs = report["runs"]["customers"].as_array().expect("runs");
    let read: Vec<_> = runs
        .iter()
        .map(|run| run["counts"]["read"].clone())
        .collect();
    assert_eq!(read, [5_000, 3]);
    sim.has_it_all();
}

#[test]
fn a_deletion_is_asked_for() {
    let folder = Folder::new();
    let sim = Sim::start(
        &folder,
        "--customers 0 --orders 0 --categories 3 --products 0 --job-scale 0.02",
    );
    folder.run("categories").with(0);
    // there is nothing in Klaviyo that commercetools has not
    let prune = folder.run("--prune --prune-unmarked --json").with(0);
    let prune = prune.last_event();
    for resource in ["categories", "products"] {
        let run = &prune["runs"][resource][0];
        assert_eq!(run["status"], "completed", "{prune}");
        assert!(run["removal"].is_null(), "{prune}");
    }
    for answer in ["", "yes\n", "products\n"] {
        let ended = folder.answer("--delete-all categories", answer).with(2);
        assert!(ended.stderr.contains("ALL categories"), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("nothing was deleted"),
            "{}",
            ended.stderr
        );
    }
    let deleted = |ended: &super::programs::Ended| {
        let run = &ended.last_event()["runs"]["categories"][0];
        assert_eq!(run["options"]["deleteAll"], true);
        run["counts"]["sent"].as_u64().expect("a count")
    };
    let ended = folder
        .answer("--delete-all categories --json", "categories\n")
        .with(0);
    assert_eq!(deleted(&ended), 3);
    folder.run("categories").with(0);
    let ended = folder.run("--delete-all categories --yes --json").with(0);
    assert_eq!(deleted(&ended), 3);
    assert!(!sim.end().0, "the categories are gone");
}
