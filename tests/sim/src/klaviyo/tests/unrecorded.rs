//! What was never recorded is answered in the way that an option chooses.

use super::catalog::{body, category, path};
use super::*;
use crate::klaviyo::{
    Action, Choice, EntryErrors, Existing, ImportErrors, JobsOfOthers, Kind, TooManyJobs,
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
        let answer = account.post(&path(Kind::Category, Action::Create), &again);
        assert_eq!(answer.status, status);
        let at = "/data/attributes/categories/data/1/attributes/external_id";
        assert_eq!(answer.pointers(), [at]);
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
    let mut seen = Vec::new();
    let mut page = Some(complete);
    while let Some(path) = page {
        let answer = account.get(&path);
        assert!(answer.ids().len() <= 2);
        seen.extend(answer.ids().iter().map(|id| format!("{collection}/{id}")));
        page = answer.next();
    }
    let newest_first: Vec<String> = jobs.into_iter().rev().collect();
    assert_eq!(seen, newest_first);
    let answer = account.get(&format!("{collection}?page%5Bsize%5D=10"));
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.pointers(), ["/data/attributes/page_size"]);
}
