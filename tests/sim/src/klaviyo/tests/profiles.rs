//! Profiles in bulk and one by one.

use super::*;
use crate::klaviyo::{Choice, JobTimes, Pointers};
use crate::ledger::Written;

const JOBS: &str = "/api/profile-bulk-import-jobs";

impl Account {
    /// Starts an import and answers the job's path.
    #[track_caller]
    fn import(&mut self, profiles: &[Value]) -> String {
        let answer = self.post(JOBS, &import_of(profiles));
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        assert_eq!(answer.body["data"]["attributes"]["status"], "queued");
        format!(
            "{JOBS}/{}",
            answer.body["data"]["id"].as_str().expect("an id")
        )
    }

    fn status(&mut self, job: &str) -> Value {
        self.get(job).body["data"]["attributes"]["status"].clone()
    }
}

fn customer(n: usize) -> Value {
    json!({ "external_id": format!("c{n:05}"), "email": format!("c{n}@shop.example") })
}

#[test]
fn a_job_is_queued_then_processing_then_complete() {
    let mut account = Account::new(Options {
        job_times: JobTimes::Chosen {
            queued: Duration::from_secs(1),
            processing: Duration::from_secs(2),
            jitter: Duration::ZERO,
        },
        ..Options::default()
    });
    let job = account.import(&[customer(1), customer(2)]);
    assert_eq!(account.status(&job), "queued");
    account.wait(Duration::from_secs(1));
    assert_eq!(account.status(&job), "processing");
    assert!(
        account.klaviyo.ledger().profiles().is_empty(),
        "nothing at the beginning"
    );
    account.wait(Duration::from_millis(1999));
    // counts run ahead of the state
    let attributes = account.get(&job).body["data"]["attributes"].take();
    assert_eq!(attributes["status"], "processing");
    assert_eq!(attributes["completed_count"], 2);
    assert_eq!(attributes["completed_at"], Value::Null);
    assert_eq!(account.klaviyo.ledger().profiles().len(), 2);
    account.wait(Duration::from_millis(1));
    let attributes = account.get(&job).body["data"]["attributes"].take();
    assert_eq!(attributes["status"], "complete");
    assert_eq!(attributes["total_count"], 2);
    assert_eq!(attributes["completed_count"], 2);
    assert_eq!(attributes["failed_count"], 0);
    assert_eq!(attributes["completed_at"], "2027-01-15T08:00:03+00:00");
    assert_eq!(account.klaviyo.ledger().profiles().len(), 2);
    let written = account.klaviyo.ledger().last_write(Written::Profiles);
    assert_eq!(
        written.map(Timestamp::as_second),
        Some(START),
        "when it was accepted"
    );
}

#[test]
fn the_same_seed_gives_the_same_times() {
    let times = |seed| {
        let mut account = Account::new(Options {
            seed,
            ..Options::default()
        });
        let job = account.import(&[customer(1)]);
        account.wait_for_jobs();
        account.get(&job).body["data"]["attributes"]["completed_at"].clone()
    };
    assert_eq!(times(1), times(1));
    assert_ne!(times(1), times(2));
}

#[test]
fn a_cancelled_job_takes_nothing_in() {
    let mut account = Account::new(Options::default());
    let job = account.import(&[customer(1)]);
    let id = account.klaviyo.unfinished_jobs(account.now).remove(0);
    let now = account.now;
    assert!(account.klaviyo.cancel_job(&id, now));
    account.wait_for_jobs();
    assert_eq!(account.status(&job), "cancelled");
    assert!(account.klaviyo.ledger().profiles().is_empty());
    assert!(!account.klaviyo.cancel_job(&id, now), "only once");
}

#[test]
fn bad_profiles_become_import_errors() {
    let mut account = Account::new(Options {
        refuse_profiles: Choice::ids(["c00005"]),
        ..Options::default()
    });
    let profiles = [
        customer(0),
        json!({ "external_id": "c1", "email": "no address" }),
        json!({ "external_id": "c2", "phone_number": "0170 1234567" }),
        json!({ "first_name": "Nobody" }),
        json!({ "external_id": "c4", "email": null, "phone_number": null, "title": null }),
        customer(5),
    ];
    let job = account.import(&profiles);
    assert_eq!(
        account.get(&format!("{job}/import-errors")).ids(),
        [""; 0],
        "not yet"
    );
    account.wait_for_jobs();
    let attributes = account.get(&job).body["data"]["attributes"].take();
    assert_eq!(attributes["completed_count"], 2);
    assert_eq!(attributes["failed_count"], 4);
    let errors = account.get(&format!("{job}/import-errors"));
    let errors = errors.body["data"].as_array().expect("errors");
    let told: Vec<(&Value, &Value)> = errors
        .iter()
        .map(|error| &error["attributes"])
        .map(|error| {
            (
                &error["source"]["pointer"],
                &error["original_payload"]["attributes"],
            )
        })
        .collect();
    let at = |place: &str| json!(format!("/data/attributes/profiles/data/{place}"));
    assert_eq!(
        told,
        [
            (&at("1/attributes/email"), &profiles[1]),
            (&at("2/attributes/phone_number"), &profiles[2]),
            (&at("3/attributes"), &profiles[3]),
            (&at("5"), &profiles[5]),
        ]
    );
    let ledger = account.klaviyo.ledger().profiles();
    assert!(ledger.by_external_id("c00000").is_some());
    let attributes = &ledger.by_external_id("c4").expect("imported").attributes;
    assert_eq!(
        json!(attributes),
        json!({ "external_id": "c4" }),
        "nulls are ignored"
    );
    assert_eq!(ledger.len(), 2);
}

#[test]
fn import_errors_come_in_pages() {
    let mut account = Account::new(Options {
        refuse_profiles: Choice::By(Box::new(|id| id.ends_with('0'))),
        ..Options::default()
    });
    let profiles: Vec<Value> = (0..2_500).map(customer).collect();
    let job = account.import(&profiles);
    account.wait_for_jobs();
    assert_eq!(account.get(&format!("{job}/import-errors")).ids().len(), 20);
    let mut seen = Vec::new();
    let mut page = Some(format!("{job}/import-errors?page%5Bsize%5D=100"));
    let mut pages = 0;
    while let Some(path) = page {
        let answer = account.get(&path);
        seen.extend(answer.ids().into_iter().map(str::to_owned));
        page = answer.next();
        pages += 1;
    }
    assert_eq!((seen.len(), pages), (250, 3));
    seen.dedup();
    assert_eq!(seen.len(), 250);
    for bad in ["page[size]=101", "page[cursor]=zz", "page[number]=2"] {
        let answer = account.get(&format!("{job}/import-errors?{bad}"));
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[test]
fn jobs_are_listed_by_status_and_in_pages() {
    let mut account = Account::unlimited();
    for n in 0..5 {
        account.import(&[customer(n)]);
        account.wait_for_jobs();
    }
    let job = account.import(&[customer(6)]);
    let queued = account.get(&format!("{JOBS}?filter=equals(status,'queued')"));
    assert_eq!(
        queued.ids(),
        [job.trim_start_matches(JOBS).trim_start_matches('/')]
    );
    let all = account.get(&format!(
        "{JOBS}?filter=any(status,[%22queued%22,%22complete%22])"
    ));
    assert_eq!(all.ids().len(), 6);
    let first = account.get(&format!(
        "{JOBS}?sort=-created_at&page%5Bsize%5D=4&fields%5Bprofile-bulk-import-job%5D=status"
    ));
    let second = account.get(&first.next().expect("a second page"));
    assert_eq!(second.next(), None);
    let mut descending = all.ids();
    descending.reverse();
    assert_eq!([first.ids(), second.ids()].concat(), descending);
    assert_eq!(
        account.get(&format!("{JOBS}/none")).status,
        StatusCode::NOT_FOUND
    );
}

#[test]
fn requests_are_bounded() {
    let mut account = Account::unlimited();
    let many = |count: usize| import_of(&(0..count).map(customer).collect::<Vec<_>>());
    assert_eq!(
        account.post(JOBS, &many(10_000)).status,
        StatusCode::ACCEPTED
    );
    account.refused(JOBS, &many(10_001), &["/data/attributes/profiles/data"]);
    account.refused(JOBS, &many(0), &["/data/attributes/profiles/data"]);
    let long = json!({ "external_id": "a", "properties": { "x": "x".repeat(100_000) } });
    account.refused(
        JOBS,
        &import_of(&[customer(1), long]),
        &["/data/attributes/profiles/data/1"],
    );
    let long = json!({ "external_id": "a", "properties": { "x": "x".repeat(5_000_000) } });
    let answer = account.post(JOBS, &import_of(&[long]));
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[test]
fn unknown_fields_and_types_are_refused_with_a_pointer() {
    let mut account = Account::unlimited();
    let bad = json!({ "email": "a@b.org", "mail": "x", "location": { "town": "B" }, "title": 1 });
    let at = "/data/attributes/profiles/data/1/attributes";
    account.refused(
        JOBS,
        &import_of(&[customer(1), bad]),
        &[
            &format!("{at}/mail"),
            &format!("{at}/location/town"),
            &format!("{at}/title"),
        ],
    );
    let mut body = import_of(&[customer(1)]);
    body["data"]["type"] = "profile".into();
    body["data"]["attributes"]["lists"] = json!([]);
    account.refused(JOBS, &body, &["/data/type", "/data/attributes/lists"]);
    assert_eq!(account.klaviyo.ledger().last_write_of_all(), None);
}

#[test]
fn a_request_can_be_refused_whole() {
    let mut account = Account::new(Options {
        refuse_imports: Choice::ids(["c00001"]),
        ..Options::default()
    });
    let body = import_of(&[customer(0), customer(1)]);
    account.refused(JOBS, &body, &["/data/attributes/profiles/data/1"]);
    for (pointers, at) in [
        (Pointers::List, "/data/attributes/profiles/data"),
        (Pointers::Request, "/data"),
        (Pointers::Nowhere, "nowhere"),
    ] {
        account.klaviyo.options_mut().pointers = pointers;
        account.refused(JOBS, &body, &[at]);
    }
    account.import(&[customer(0)]);
}

#[test]
fn a_chosen_phone_number_is_refused_and_its_profile_without_it_is_not() {
    let mut account = Account::new(Options {
        refuse_phone_numbers: Choice::ids(["c00001"]),
        ..Options::default()
    });
    let with_number = |n| {
        let mut customer = customer(n);
        customer["phone_number"] = "+491701234567".into();
        customer
    };
    let job = account.import(&[with_number(0), with_number(1)]);
    account.wait_for_jobs();
    let errors = account.get(&format!("{job}/import-errors"));
    assert_eq!(
        errors.body["data"][0]["attributes"]["source"]["pointer"],
        "/data/attributes/profiles/data/1/attributes/phone_number"
    );
    account.klaviyo.options_mut().refuse_imports = Choice::ids(["c00001"]);
    account.refused(
        JOBS,
        &import_of(&[with_number(1)]),
        &["/data/attributes/profiles/data/0/attributes/phone_number"],
    );
    account.import(&[customer(1)]);
}

#[test]
fn one_profile_is_created_updated_and_found() {
    let mut account = Account::unlimited();
    let body =
        |attributes: Value| json!({ "data": { "type": "profile", "attributes": attributes } });
    let create = body(json!({ "external_id": "a", "email": "a@b.org", "title": "Dr" }));
    let created = account.post("/api/profiles", &create);
    assert_eq!(created.status, StatusCode::CREATED);
    let id = created.body["data"]["id"].clone();
    let conflict = account.post("/api/profiles", &create);
    assert_eq!(conflict.status, StatusCode::CONFLICT);
    assert_eq!(
        conflict.body["errors"][0]["meta"]["duplicate_profile_id"],
        id
    );

    let import = body(json!({ "email": "a@b.org", "title": null }));
    let imported = account.post("/api/profile-import", &import);
    assert_eq!(
        (imported.status, &imported.body["data"]["id"]),
        (StatusCode::OK, &id)
    );
    assert_eq!(
        imported.body["data"]["attributes"].get("title"),
        None,
        "a null clears"
    );
    let other = body(json!({ "email": "c@d.org" }));
    assert_eq!(
        account.post("/api/profile-import", &other).status,
        StatusCode::CREATED
    );

    let id = id.as_str().expect("an id");
    let patch = |id: &str| {
        let body =
            json!({ "data": { "type": "profile", "id": id, "attributes": { "title": "Prof" } } });
        request(
            "PATCH",
            &format!("/api/profiles/{id}"),
            body.to_string().into(),
        )
    };
    assert_eq!(account.send(&patch(id)).status, StatusCode::OK);
    assert_eq!(account.send(&patch("nobody")).status, StatusCode::NOT_FOUND);

    let found = account
        .get("/api/profiles?filter=any(email,['a@b.org','x@y.org'])&fields%5Bprofile%5D=title");
    assert_eq!(found.ids(), [id]);
    assert_eq!(
        found.body["data"][0]["attributes"],
        json!({ "title": "Prof" })
    );
    let first = account.get("/api/profiles?page%5Bsize%5D=1");
    let second = account.get(&first.next().expect("a second page"));
    assert_eq!((second.ids().len(), second.next()), (1, None));

    for (attributes, pointer) in [
        (json!({}), "/data/attributes"),
        (json!({ "email": "x" }), "/data/attributes/email"),
        (
            json!({ "phone_number": "123" }),
            "/data/attributes/phone_number",
        ),
        (json!({ "mail": "x" }), "/data/attributes/mail"),
    ] {
        account.refused("/api/profile-import", &body(attributes), &[pointer]);
    }
}
