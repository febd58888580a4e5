//! Recorded answers of the real API, replayed: the same request has an answer with the same keys, types and headers.

use std::collections::BTreeSet;

use super::*;
use crate::klaviyo::{Action, JobKind, JobTimes, Kind, recorded_refusal};
use crate::recordings::{self, Recording};

/// How long jobs take here.
const JOB: Duration = Duration::from_secs(12);

/// Recordings of operations that the component does not use, by the beginnings of their names. Their errors say how
/// errors look; nothing else of them is simulated.
const NOT_USED: [&str; 18] = [
    "create_catalog_item",
    "create_catalog_variant",
    "create_event",
    "create_or_update_profile",
    "create_profile",
    "create_segment",
    "delete_catalog_",
    "delete_profile_schema_relationship",
    "get_bulk_suppress_profiles_job",
    "get_catalog_category.",
    "get_catalog_item.",
    "get_catalog_variant.",
    "get_event",
    "get_lists",
    "get_profile",
    "request_profile_deletion",
    "update_profile_schema_relationship",
    "get_profile_schema_relationships",
];

/// Members that have the very values that were recorded, where they are no data of the account.
const SAME: [&str; 5] = ["type", "status", "code", "title", "pointer"];

/// How two documents differ in keys, types, and whether texts are empty. An empty list stands for an empty object: the
/// recordings were written by a language that does not tell them apart.
fn differences(at: &str, recorded: &Value, simulated: &Value, found: &mut Vec<String>) {
    let is_empty = |value: &Value| {
        value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty)
    };
    match (recorded, simulated) {
        (recorded, simulated) if is_empty(recorded) && is_empty(simulated) => {}
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys = |object: &serde_json::Map<String, Value>| -> BTreeSet<String> {
                object.keys().cloned().collect()
            };
            let (ours_keys, theirs_keys) = (keys(ours), keys(theirs));
            for key in ours_keys.symmetric_difference(&theirs_keys) {
                let who = match ours.contains_key(key) {
                    true => "recorded only",
                    false => "simulated only",
                };
                found.push(format!("{at}/{key}: {who}"));
            }
            for key in ours_keys.intersection(&theirs_keys) {
                let (recorded, simulated) = (&ours[key], &theirs[key]);
                let at = format!("{at}/{key}");
                let is_text = recorded.is_string() || recorded.is_number();
                if SAME.contains(&key.as_str()) && is_text && recorded != simulated {
                    found.push(format!("{at}: {recorded} recorded, {simulated} simulated"));
                }
                differences(&at, recorded, simulated, found);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            if ours.is_empty() != theirs.is_empty() {
                found.push(format!("{at}: {} recorded, {}", ours.len(), theirs.len()));
            }
            for (n, recorded) in ours.iter().enumerate() {
                // of several, the one that is most alike
                let least = theirs.iter().map(|simulated| {
                    let mut found = Vec::new();
                    differences(&format!("{at}/{n}"), recorded, simulated, &mut found);
                    found
                });
                found.extend(least.min_by_key(Vec::len).unwrap_or_default());
            }
        }
        (recorded, simulated) => {
            let kind = |value: &Value| (std::mem::discriminant(value), *value == json!(""));
            if kind(recorded) != kind(simulated) {
                found.push(format!("{at}: {recorded} recorded, {simulated} simulated"));
            }
        }
    }
}

/// The recording without what is not simulated: lists, which the component does not use.
fn without_lists(mut body: Value) -> Value {
    let document = body.as_object_mut().expect("a document");
    if document
        .get("included")
        .is_some_and(|included| included[0]["type"] == "list")
    {
        document.remove("included");
    }
    let data = match document.get_mut("data") {
        Some(Value::Array(list)) => list.iter_mut().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    for job in data {
        if let Some(lists) = job.pointer_mut("/relationships/lists") {
            lists
                .as_object_mut()
                .expect("a relationship")
                .remove("data");
        }
    }
    body
}

#[track_caller]
fn assert_alike(recording: &Recording, answer: &Answer) {
    let name = &recording.name;
    assert_eq!(answer.status, recording.status, "{name}: {}", answer.body);
    let body = match recording.body.is_null() {
        true => Value::Null,
        false => without_lists(recording.body.clone()),
    };
    let mut found = Vec::new();
    differences("", &body, &answer.body, &mut found);
    let header = |name: &str| {
        let value = answer.headers.get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    for (name, recorded) in &recording.headers {
        let simulated = header(name);
        let is_alike = match name.as_str() {
            // how much is left, and for how long to wait, depends on what was called before
            "ratelimit-remaining" | "retry-after" => simulated
                .as_deref()
                .is_some_and(|value| value.parse::<u32>().is_ok()),
            _ => simulated.as_deref() == Some(recorded),
        };
        if !is_alike {
            found.push(format!("{name}: {recorded} recorded, {simulated:?}"));
        }
    }
    for name in answer.headers.keys() {
        if !recording.headers.contains_key(name.as_str()) {
            found.push(format!("{name}: simulated only"));
        }
    }
    assert_eq!(found, [""; 0], "{name}: {}", answer.body);
}

fn new_account() -> Account {
    Account::new(Options {
        job_times: JobTimes::taking(JOB),
        ..Options::default()
    })
}

/// Two entries of a kind for an action; `gone` if the job is not to find them.
fn entries(kind: Kind, action: Action, gone: bool) -> Vec<Value> {
    let ids = if gone {
        ["gone1", "gone2"]
    } else {
        ["one", "two"]
    };
    let entry = |id: &str| {
        let compound = format!("$custom:::$default:::{id}");
        let mut entry = match (action, kind) {
            (Action::Create, Kind::Category) => catalog::category(id),
            (Action::Create, Kind::Item) => catalog::item(id, &[]),
            (Action::Create, Kind::Variant) => catalog::variant(id, "item"),
            (Action::Update, Kind::Category) => json!({ "attributes": { "name": "new" } }),
            (Action::Update, _) => json!({ "attributes": { "title": "new" } }),
            (Action::Delete, _) => json!({}),
        };
        if action != Action::Create {
            entry["id"] = compound.into();
            entry["type"] = kind.resource().into();
        }
        entry
    };
    ids.map(entry).to_vec()
}

impl Account {
    /// An account in which an action finds its entries.
    fn prepared(kind: Kind, action: Action) -> Self {
        let mut account = new_account();
        let mut create = |kind, entries: &[Value]| {
            account.start(kind, Action::Create, entries);
            account.wait(JOB);
            account.klaviyo.settle(account.now);
        };
        create(Kind::Item, &[catalog::item("item", &[])]);
        if action != Action::Create {
            create(kind, &entries(kind, Action::Create, false));
        }
        account
    }

    fn replay(&mut self, recording: &Recording, path: &str) -> Answer {
        let query: Vec<(String, String)> = recording.query.clone();
        let query: Vec<_> = query
            .into_iter()
            .filter(|(name, value)| !(name == "include" && value == "lists"))
            .collect();
        self.get(&Recording::target(path, &query))
    }
}

/// The job kind of an operation, by the resource's name in it.
fn job_of(name: &str) -> Option<(Kind, Action)> {
    let action = [Action::Create, Action::Update, Action::Delete]
        .into_iter()
        .find(|action| name.contains(&format!("bulk_{}", action.word())))?;
    let kind = match name {
        _ if name.contains("categories") => Kind::Category,
        _ if name.contains("items") => Kind::Item,
        _ if name.contains("variants") => Kind::Variant,
        _ => return None,
    };
    Some((kind, action))
}

fn replay_catalog_job(recording: &Recording, (kind, action): (Kind, Action)) {
    let mut account = Account::prepared(kind, action);
    let collection = catalog::path(kind, action);
    if recording.method == "POST" {
        let body = catalog::body(kind, action, &entries(kind, action, false));
        let answer = account.post(&collection, &body);
        return assert_alike(recording, &answer);
    }
    let job = account.start(kind, action, &entries(kind, action, false));
    if recording.body["data"].is_array() {
        if action != Action::Create {
            account.start(kind, action, &entries(kind, action, true));
        }
        account.wait(JOB);
        let answer = account.replay(recording, &collection);
        return assert_alike(recording, &answer);
    }
    if recording.status == 404 {
        let unknown = recording.path.rsplit('/').next().expect("an id");
        let answer = account.replay(recording, &format!("{collection}/{unknown}"));
        return assert_alike(recording, &answer);
    }
    let attributes = &recording.body["data"]["attributes"];
    if attributes["status"] == "complete" {
        account.wait(JOB);
    } else if attributes["completed_count"] != 0 {
        // counts run ahead of the state
        account.wait(JOB - Duration::from_millis(1));
    }
    let answer = account.replay(recording, &job);
    assert_alike(recording, &answer);
}

fn replay_import(recording: &Recording) {
    let mut account = new_account();
    account.klaviyo.options_mut().job_times = JobTimes::Chosen {
        queued: JOB,
        processing: JOB,
        jitter: Duration::ZERO,
    };
    let profiles = ["a", "b", "c"].map(|id| json!({ "external_id": id }));
    let jobs = "/api/profile-bulk-import-jobs";
    let started = account.post(jobs, &import_of(&profiles));
    if recording.method == "POST" {
        return assert_alike(recording, &started);
    }
    let id = started.body["data"]["id"].as_str().expect("an id");
    let path = match recording.name.as_str() {
        "get_bulk_import_profiles_jobs.200" => {
            account.wait(JOB * 2);
            jobs.to_owned()
        }
        "get_errors_for_bulk_import_profiles_job.200" => {
            account.wait(JOB * 2);
            format!("{jobs}/{id}/import-errors")
        }
        "get_bulk_import_profiles_job.404" => format!("{jobs}/NOPE01"),
        _ => format!("{jobs}/{id}"),
    };
    let answer = account.replay(recording, &path);
    assert_alike(recording, &answer);
}

/// An entry to be created with what was recorded of it. What was recorded empty is not sent: it has to come back empty.
fn as_recorded(mut entry: Value, attributes: &Value) -> Value {
    let sent = entry["attributes"].as_object_mut().expect("attributes");
    for (name, value) in attributes.as_object().into_iter().flatten() {
        let is_empty = *value == json!("") || *value == json!([]);
        match name.as_str() {
            "created" | "updated" | "external_id" => {}
            _ if value.is_null() || is_empty => drop(sent.remove(name)),
            _ => drop(sent.insert(name.clone(), value.clone())),
        }
    }
    entry
}

/// A listing of the catalog: of an account that has what was recorded.
fn replay_listing(recording: &Recording) {
    let mut account = new_account();
    let mut create = |kind: Kind, entries: &[Value]| {
        account.start(kind, Action::Create, entries);
        account.wait(JOB);
        account.klaviyo.settle(account.now);
    };
    let listed = |kind: Kind| {
        let both = [&recording.body["data"], &recording.body["included"]];
        let both = both
            .into_iter()
            .flat_map(|list| list.as_array().into_iter().flatten());
        let of_kind = both.filter(move |entry| entry["type"] == kind.resource());
        of_kind.map(|entry| {
            let id = entry["id"].as_str().expect("an id");
            let id = id.trim_start_matches("$custom:::$default:::").to_owned();
            (id, entry["attributes"].clone())
        })
    };
    let mut items: Vec<Value> = listed(Kind::Item)
        .map(|(id, attributes)| as_recorded(catalog::item(&id, &[]), &attributes))
        .collect();
    let categories: Vec<Value> = listed(Kind::Category)
        .map(|(id, attributes)| as_recorded(catalog::category(&id), &attributes))
        .collect();
    let item_of = |variant: &str| {
        variant
            .rsplit_once("-v")
            .map_or("", |(item, _)| item)
            .to_owned()
    };
    if !categories.is_empty() {
        create(Kind::Category, &categories);
        let ids: Vec<String> = listed(Kind::Category).map(|(id, _)| id).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let item = ids[0].replace("-cat1", "-item1");
        items.push(catalog::item(&item, &ids));
    }
    for (id, _) in listed(Kind::Variant).filter(|_| listed(Kind::Item).next().is_none()) {
        items.push(catalog::item(&item_of(&id), &[]));
    }
    create(Kind::Item, &items);
    let variants: Vec<Value> = listed(Kind::Variant)
        .map(|(id, attributes)| as_recorded(catalog::variant(&id, &item_of(&id)), &attributes))
        .collect();
    if !variants.is_empty() {
        create(Kind::Variant, &variants);
    }
    let answer = account.replay(recording, &recording.path);
    assert_alike(recording, &answer);
}

fn replay_category(recording: &Recording) {
    let body = json!({ "data": catalog::category("one") });
    let mut account = new_account();
    // one of the 75 was used up by a call before it
    account.post(
        &recording.path,
        &json!({ "data": catalog::category("two") }),
    );
    let answer = account.post(&recording.path, &body);
    assert_alike(recording, &answer);
}

fn replay_accounts(recording: &Recording) {
    let mut account = new_account();
    match recording.status {
        401 => account.klaviyo.options_mut().api_key = "pk_other".to_owned(),
        429 => drop(account.get("/api/accounts")),
        _ => {}
    }
    let answer = account.replay(recording, &recording.path);
    assert_alike(recording, &answer);
}

fn replay_events(recording: &Recording) {
    let event = json!({
        "type": "event",
        "attributes": {
            "properties": {},
            "metric": { "data": { "type": "metric", "attributes": { "name": "Placed Order" } } },
            "unique_id": "1",
        },
    });
    let profile = json!({ "type": "profile", "attributes": { "external_id": "a" } });
    let body = json!({ "data": { "type": "event-bulk-create-job", "attributes": {
        "events-bulk-create": { "data": [{ "type": "event-bulk-create", "attributes": {
            "profile": { "data": profile },
            "events": { "data": [event] },
        } }] },
    } } });
    let answer = new_account().post(&recording.path, &body);
    assert_alike(recording, &answer);
}

#[test]
fn recorded_answers_and_simulated_ones_are_alike() {
    let Some(recordings) = recordings::shared() else {
        return;
    };
    let mut replayed = 0;
    for (name, recording) in &recordings {
        let is_used = !NOT_USED.iter().any(|unused| name.starts_with(unused));
        if !is_used {
            continue;
        }
        replayed += 1;
        match job_of(name) {
            Some(job) => replay_catalog_job(recording, job),
            None if name.contains("import_profiles") => replay_import(recording),
            None if name.starts_with("create_catalog_category") => replay_category(recording),
            None if name.contains("catalog") => replay_listing(recording),
            None if name.contains("accounts") => replay_accounts(recording),
            None if name.contains("events") => replay_events(recording),
            None => panic!("{name}: neither replayed nor said to be unused"),
        }
    }
    assert!(replayed >= 50, "{replayed} of {}", recordings.len());
}

#[test]
fn errors_that_were_recorded_of_other_operations_look_alike() {
    let Some(recordings) = recordings::shared() else {
        return;
    };
    let mut account = new_account();
    account.post("/api/profiles", &one_profile());
    let conflict = account.post("/api/profiles", &one_profile());
    assert_alike(&recordings["create_profile.409"], &conflict);
    let job = JobKind::Catalog(Kind::Item, Action::Create).collection();
    let unknown = account.get(&format!("/api/{job}/none"));
    let recorded = &recordings["get_catalog_item.404"];
    let mut found = Vec::new();
    differences("", &recorded.body, &unknown.body, &mut found);
    assert_eq!(found, [""; 0]);
}

#[test]
fn refusals_on_the_way_look_as_recorded() {
    let Some(recordings) = recordings::shared() else {
        return;
    };
    for (name, retry_after) in [
        ("create_profile_schema_relationship.500", None),
        ("create_segment.429", Some(1)),
    ] {
        let recording = &recordings[name];
        let refusal = recorded_refusal(recording.status, retry_after).expect("it was recorded");
        let body: Value = serde_json::from_slice(refusal.body()).expect("JSON");
        let mut found = Vec::new();
        differences("", &recording.body, &body, &mut found);
        assert_eq!(found, [""; 0], "{name}");
        for header in ["content-type", "retry-after"] {
            let (recorded, simulated) = (
                recording.headers.get(header).map(String::as_str),
                refusal.headers().get(header),
            );
            let simulated = simulated.and_then(|value| value.to_str().ok());
            assert_eq!(recorded, simulated, "{name}: {header}");
        }
    }
    assert!(recorded_refusal(503, None).is_none());
}

fn one_profile() -> Value {
    json!({ "data": { "type": "profile", "attributes": { "email": "a@b.org" } } })
}

#[test]
fn what_differs_is_found() {
    let found = |recorded: Value, simulated: Value| {
        let mut found = Vec::new();
        differences("", &recorded, &simulated, &mut found);
        found
    };
    let one = json!({ "data": [{ "status": "complete", "errors": [], "at": null, "image": "" }] });
    assert_eq!(found(one.clone(), one.clone()), [""; 0]);
    for (pointer, other) in [
        ("/data/0/status", json!("queued")),
        ("/data/0/errors", json!([{}])),
        ("/data/0/at", json!("2026-07-15")),
        ("/data/0/image", json!("none")),
        (
            "/data/0",
            json!({ "status": "complete", "errors": [], "image": "" }),
        ),
        ("/data", json!([])),
    ] {
        let mut changed = one.clone();
        *changed.pointer_mut(pointer).expect("a member") = other;
        assert_eq!(found(one.clone(), changed).len(), 1, "{pointer}");
    }
}
