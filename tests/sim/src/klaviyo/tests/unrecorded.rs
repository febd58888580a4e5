//! What was never recorded is answered in the way that an option chooses.

use super::catalog::{body, category, item, path};
use super::*;
use crate::klaviyo::{
    Action, Choice, EntryErrors, Existing, ImportErrors, JobLimit, JobOrder, JobTimes,
    JobsOfOthers, Kind, Pointers, TooManyJobs,
};

impl Account {
    /// The attributes of a job that creates two categories of which the second is there already.
    fn create_again(&mut self) -> Value {
        let job = self.start(Kind::Category, Action::Create, &[category("x")]);
        self.wait_for_jobs();
        assert_eq!(self.get(&job).body["data"]["attributes"]["failed_count"], 0);
        let job = self.start(
            Kind::Category,
            Action::Create,
            &[category("w"), category("x")],
        );
        self.wait_for_jobs();
        self.get(&job).body["data"].take()
    }
}

#[test]
fn an_entry_that_exists_is_named_in_each_of_the_forms() {
    for form in EntryErrors::ALL {
        let mut account = Account::unlimited();
        account.klaviyo.options_mut().entry_errors = form;
        let job = account.create_again();
        let made = &job["relationships"]["categories"]["data"];
        assert_eq!(made.as_array().map(Vec::len), Some(1));
        let error = &job["attributes"]["errors"][0];
        let named = (
            &error["code"],
            &error["meta"]["id"],
            &error["meta"]["external_id"],
            &error["source"]["pointer"],
        );
        let (id, list) = (
            json!("$custom:::$default:::x"),
            "/data/attributes/categories/data",
        );
        let at = |place: &str| json!(format!("{list}{place}"));
        let (invalid, nothing) = (json!("invalid"), Value::Null);
        let expected = match form {
            EntryErrors::MetaId => (&invalid, &id, &nothing, &at("/attributes/external_id")),
            EntryErrors::NullCode => (&nothing, &id, &nothing, &at("/attributes/external_id")),
            EntryErrors::MetaExternalId => (&nothing, &nothing, &json!("x"), &nothing),
            EntryErrors::Index => (
                &invalid,
                &nothing,
                &nothing,
                &at("/1/attributes/external_id"),
            ),
            EntryErrors::Nameless => (&invalid, &nothing, &nothing, &at("")),
        };
        assert_eq!(named, expected, "{form:?}");
    }
}

#[test]
fn an_entry_that_exists_is_passed_over_or_has_the_request_refused() {
    let mut account = Account::unlimited();
    account.klaviyo.options_mut().existing = Existing::Ignored;
    let job = account.create_again();
    assert_eq!(job["attributes"]["completed_count"], 2);
    let made = json!([{ "type": "catalog-category", "id": "$custom:::$default:::w" }]);
    assert_eq!(job["relationships"]["categories"]["data"], made);
    let again = body(
        Kind::Category,
        Action::Create,
        &[category("v"), category("x")],
    );
    for (existing, status) in [
        (Existing::BadRequest, StatusCode::BAD_REQUEST),
        (Existing::Conflict, StatusCode::CONFLICT),
    ] {
        account.klaviyo.options_mut().existing = existing;
        let list = "/data/attributes/categories/data";
        for (pointers, at) in [
            (Pointers::Record, format!("{list}/1/attributes/external_id")),
            (Pointers::List, format!("{list}/attributes/external_id")),
            (Pointers::Request, "/data".to_owned()),
            (Pointers::Nowhere, "nowhere".to_owned()),
        ] {
            account.klaviyo.options_mut().pointers = pointers;
            let answer = account.post(&path(Kind::Category, Action::Create), &again);
            assert_eq!(answer.status, status);
            assert_eq!(answer.pointers(), [at]);
        }
    }
}

#[test]
fn what_is_not_there_is_named_as_recorded_of_items_and_in_each_of_the_forms_else() {
    for kind in [Kind::Category, Kind::Item, Kind::Variant] {
        for action in [Action::Update, Action::Delete] {
            let mut account = Account::unlimited();
            account.klaviyo.options_mut().entry_errors = EntryErrors::MetaExternalId;
            let gone = json!({ "type": kind.resource(), "id": "$custom:::$default:::gone" });
            let mut entry = gone.clone();
            if action == Action::Update {
                entry["attributes"] = json!({});
            }
            let job = account.start(kind, action, &[entry]);
            account.wait_for_jobs();
            let job = account.get(&job);
            let meta = &job.body["data"]["attributes"]["errors"][0]["meta"];
            let expected = match kind {
                Kind::Item => json!({ "id": gone["id"] }),
                _ => json!({ "external_id": "gone" }),
            };
            assert_eq!(*meta, expected, "{kind:?} {action:?}");
        }
    }
}

#[test]
fn one_job_too_many_is_throttled_or_refused() {
    let mut account = Account::unlimited();
    account.klaviyo.options_mut().jobs_in_progress = 0;
    for (too_many_jobs, status, has_time) in [
        (TooManyJobs::Throttled, 429, true),
        (TooManyJobs::ThrottledUntimed, 429, false),
        (TooManyJobs::BadRequest, 400, false),
        (TooManyJobs::Conflict, 409, false),
    ] {
        account.klaviyo.options_mut().too_many_jobs = too_many_jobs;
        let create = body(Kind::Category, Action::Create, &[category("x")]);
        let answer = account.post(&path(Kind::Category, Action::Create), &create);
        assert_eq!(answer.status, status);
        assert_eq!(answer.headers.contains_key("retry-after"), has_time);
        // no 429 was recorded with a content type
        assert_eq!(answer.headers.contains_key("content-type"), status != 429);
        assert_eq!(answer.pointers(), ["/data"]);
        account.klaviyo.options_mut().pointers = Pointers::Nowhere;
        let answer = account.post(&path(Kind::Category, Action::Create), &create);
        let at = if status == 429 { "/data" } else { "nowhere" };
        assert_eq!(answer.pointers(), [at]);
        account.klaviyo.options_mut().pointers = Pointers::Record;
    }
}

#[test]
fn the_limit_of_jobs_is_one_for_each_kind_or_one_for_the_account() {
    for (job_limit, status) in [
        (JobLimit::OfKind, StatusCode::ACCEPTED),
        (JobLimit::OfAccount, StatusCode::TOO_MANY_REQUESTS),
    ] {
        let mut account = Account::unlimited();
        let options = account.klaviyo.options_mut();
        options.jobs_in_progress = 1;
        options.job_limit = job_limit;
        // imports of profiles do not count
        let jobs = "/api/profile-bulk-import-jobs";
        let import = account.post(jobs, &import_of(&[json!({ "external_id": "a" })]));
        assert_eq!(import.status, StatusCode::ACCEPTED);
        account.start(Kind::Category, Action::Create, &[category("x")]);
        let gone = json!({ "type": "catalog-item", "id": "$custom:::$default:::gone" });
        let delete = body(Kind::Item, Action::Delete, &[gone]);
        let answer = account.post(&path(Kind::Item, Action::Delete), &delete);
        assert_eq!(answer.status, status, "{job_limit:?}");
    }
}

#[test]
fn others_submit_their_jobs_once_for_each_limit() {
    for (job_limit, of_others) in [(JobLimit::OfKind, 4), (JobLimit::OfAccount, 2)] {
        let mut account = Account::unlimited();
        let options = account.klaviyo.options_mut();
        options.job_limit = job_limit;
        options.jobs_of_others = Some(JobsOfOthers {
            count: 2,
            take: Duration::from_secs(5),
            every: Duration::from_secs(20),
        });
        account.start(Kind::Category, Action::Create, &[category("x")]);
        account.start(Kind::Item, Action::Create, &[item("x", &[])]);
        assert_eq!(account.klaviyo.jobs(), of_others + 2, "{job_limit:?}");
    }
}

#[test]
fn jobs_of_others_count_and_come_again() {
    let mut account = Account::unlimited();
    let options = account.klaviyo.options_mut();
    options.jobs_in_progress = 3;
    options.jobs_of_others = Some(JobsOfOthers {
        count: 2,
        take: Duration::from_secs(5),
        every: Duration::from_secs(20),
    });
    let create = path(Kind::Category, Action::Create);
    let post = |account: &mut Account, id: &str| {
        let body = body(Kind::Category, Action::Create, &[category(id)]);
        account.post(&create, &body).status
    };
    let in_progress = format!("{create}?filter=equals(status,%22processing%22)");
    assert_eq!(post(&mut account, "a"), StatusCode::ACCEPTED);
    assert_eq!(post(&mut account, "b"), StatusCode::TOO_MANY_REQUESTS);
    let list = account.get(&in_progress);
    assert_eq!(list.body["data"].as_array().map(Vec::len), Some(3));
    account.now += Duration::from_secs(6);
    for id in ["c", "d", "e"] {
        assert_eq!(post(&mut account, id), StatusCode::ACCEPTED);
    }
    // the next ones came 20 s after the first
    account.now += Duration::from_secs(15);
    assert_eq!(post(&mut account, "f"), StatusCode::ACCEPTED);
    let list = account.get(&in_progress);
    assert_eq!(list.body["data"].as_array().map(Vec::len), Some(3));
}

#[test]
fn import_errors_are_readable_or_not() {
    for (import_errors, count) in [
        (ImportErrors::Documented, 1),
        (ImportErrors::WithoutPayload, 1),
        (ImportErrors::None, 0),
    ] {
        let mut account = Account::unlimited();
        let options = account.klaviyo.options_mut();
        options.refuse_profiles = Choice::ids(["b"]);
        options.import_errors = import_errors;
        let profiles = ["a", "b"].map(|id| json!({ "external_id": id }));
        let jobs = "/api/profile-bulk-import-jobs";
        let job = account.post(jobs, &import_of(&profiles));
        let id = job.body["data"]["id"].as_str().expect("an id");
        account.wait_for_jobs();
        let job = account.get(&format!("{jobs}/{id}"));
        assert_eq!(job.body["data"]["attributes"]["failed_count"], 1);
        let path = format!("{jobs}/{id}/import-errors");
        let errors = account.get(&path);
        let errors = errors.body["data"].as_array().expect("a list");
        assert_eq!(errors.len(), count);
        for error in errors {
            let payload = &error["attributes"]["original_payload"];
            assert_eq!(
                payload.is_null(),
                import_errors == ImportErrors::WithoutPayload
            );
        }
        account.klaviyo.options_mut().import_errors = ImportErrors::Gone;
        assert_eq!(account.get(&path).status, StatusCode::NOT_FOUND);
    }
}

#[test]
fn a_malformed_email_refuses_the_request_or_fails_in_the_job() {
    let profiles = [
        json!({ "external_id": "a", "email": "a@b.org" }),
        json!({ "external_id": "b", "email": "b@localhost" }),
    ];
    let jobs = "/api/profile-bulk-import-jobs";
    let mut account = Account::unlimited();
    account.klaviyo.options_mut().checks_emails_at_once = true;
    let at = "/data/attributes/profiles/data/1/attributes/email";
    account.refused(jobs, &import_of(&profiles), &[at]);
    account.klaviyo.options_mut().checks_emails_at_once = false;
    let answer = account.post(jobs, &import_of(&profiles));
    assert_eq!(answer.status, StatusCode::ACCEPTED);
}

/// The paths of all jobs of a list whose pages have so many, page by page.
fn listed(account: &mut Account, list: String, collection: &str, size: usize) -> Vec<String> {
    let mut seen = Vec::new();
    let mut page = Some(list);
    while let Some(path) = page {
        let answer = account.get(&path);
        assert!(answer.ids().len() <= size);
        seen.extend(answer.ids().iter().map(|id| format!("{collection}/{id}")));
        page = answer.next();
    }
    seen
}

#[test]
fn jobs_that_overtake_each_other_are_in_the_order_of_creation_or_of_completion() {
    // one that is not over is where it was created
    for (job_order, while_one_is_over, in_the_end) in [
        (JobOrder::Created, [4, 3, 2, 1, 0], [4, 3, 2, 1, 0]),
        (JobOrder::Completed, [4, 3, 1, 2, 0], [0, 3, 2, 4, 1]),
    ] {
        let mut account = Account::unlimited();
        account.klaviyo.options_mut().jobs_a_page = 2;
        account.klaviyo.options_mut().job_order = job_order;
        let mut jobs = Vec::new();
        // the third and the fourth end at the same time, and the fifth before them
        for (n, seconds) in [9, 2, 6, 5, 3].into_iter().enumerate() {
            let times = JobTimes::taking(Duration::from_secs(seconds));
            account.klaviyo.options_mut().job_times = times;
            let category = category(&n.to_string());
            jobs.push(account.start(Kind::Category, Action::Create, &[category]));
            account.wait(Duration::from_secs(1));
        }
        let collection = path(Kind::Category, Action::Create);
        let complete = format!("{collection}?filter=equals(status,%22complete%22)");
        for (list, expected) in [
            (collection.clone(), while_one_is_over),
            (complete, in_the_end),
        ] {
            let seen = listed(&mut account, list, &collection, 2);
            assert_eq!(seen, expected.map(|n| jobs[n].clone()), "{job_order:?}");
            account.wait_for_jobs();
        }
    }
}

#[test]
fn lists_of_catalog_jobs_come_newest_first_in_pages_whose_size_nobody_may_choose() {
    let mut account = Account::unlimited();
    account.klaviyo.options_mut().jobs_a_page = 2;
    let jobs: Vec<String> = (0..5)
        .map(|n| account.start(Kind::Category, Action::Create, &[category(&n.to_string())]))
        .collect();
    let collection = path(Kind::Category, Action::Create);
    let complete = format!("{collection}?filter=equals(status,%22complete%22)");
    assert_eq!(account.get(&complete).ids(), [""; 0]);
    account.wait_for_jobs();
    let seen = listed(&mut account, complete, &collection, 2);
    let newest_first: Vec<String> = jobs.into_iter().rev().collect();
    assert_eq!(seen, newest_first);
    let answer = account.get(&format!("{collection}?page%5Bsize%5D=10"));
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.pointers(), ["/data/attributes/page_size"]);
}
