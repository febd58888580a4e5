//! Recorded answers of the real Klaviyo, read by the component's own readers.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use jiff::Timestamp;
use klaviyo_bulk_import::config::{KlaviyoConfig, Secret};
use klaviyo_bulk_import::error::Action;
use klaviyo_bulk_import::json::pieces::Pieces;
use klaviyo_bulk_import::klaviyo::accounts::{self, Account};
use klaviyo_bulk_import::klaviyo::batch::Batch;
use klaviyo_bulk_import::klaviyo::bulk::BulkEndpoint;
use klaviyo_bulk_import::klaviyo::catalog::job::{Named, Outcome};
use klaviyo_bulk_import::klaviyo::catalog::listing::{
    CatalogCollection, Extent, existing, list, variants_of_items,
};
use klaviyo_bulk_import::klaviyo::catalog::{attributes, category};
use klaviyo_bulk_import::klaviyo::job::{JobState, Look};
use klaviyo_bulk_import::klaviyo::{Client, catalog, events, known_profiles, profiles};
use klaviyo_bulk_import::time::Deadline;
use native::environment::{Answered, Destination};
use native::shop::run_with;
use native::{Interceptor, Setup};
use serde_json::{Value, json};
use sim::recordings::{self, Recording};
use sim::world::KLAVIYO;

/// A Klaviyo that has one answer.
struct Recorded(Response<Bytes>);

impl Interceptor for Recorded {
    fn request(&self, _to: Destination, _request: &Request<Bytes>) -> Option<Answered> {
        Some(Ok(self.0.clone()))
    }
}

fn answer(recording: &Recording, body: &Value) -> Response<Bytes> {
    let mut answer = Response::builder().status(recording.status);
    for (name, value) in &recording.headers {
        answer = answer.header(name, value);
    }
    let body = match body.is_null() {
        true => Bytes::new(),
        false => Bytes::from(body.to_string()),
    };
    answer.body(body).expect("an answer")
}

/// Reads a recording, or something made of one, with a reader.
fn read_body<T: 'static>(
    recording: &Recording,
    body: &Value,
    reader: impl AsyncFnOnce(&Client, Deadline) -> T,
) -> T {
    let recorded = Rc::new(Recorded(answer(recording, body)));
    run_with(Setup::default(), recorded, async |shop| {
        let config = KlaviyoConfig {
            api_url: KLAVIYO.to_owned(),
            auth_key: Secret::from("pk_test".to_owned()),
        };
        let ports = shop.ports();
        let deadline = Deadline::after(&*ports.clock, Duration::from_secs(5));
        reader(&Client::new(ports, config), deadline).await
    })
}

fn read<T: 'static>(recording: &Recording, reader: impl AsyncFnOnce(&Client, Deadline) -> T) -> T {
    read_body(recording, &recording.body, reader)
}

fn send(recording: &Recording, endpoint: &'static BulkEndpoint) -> Vec<String> {
    let sent = read(recording, async |client, deadline| {
        let mut batch = Batch::new(endpoint);
        let document = Bytes::from_static(b"{}");
        batch.push(0, Some("{}"), &document, &Pieces::from(0..document.len()));
        batch.send(client, deadline).await.expect("it is taken")
    });
    assert!(sent.refused.is_empty());
    sent.jobs.into_iter().map(|job| job.id).collect()
}

/// The endpoints of catalog jobs, by what recordings of their posts and of their jobs are called.
fn endpoints() -> [(&'static str, &'static str, &'static BulkEndpoint); 9] {
    [
        (
            "create_catalog_items",
            "create_catalog_items",
            &catalog::CREATE_ITEMS,
        ),
        (
            "update_catalog_items",
            "update_catalog_items",
            &catalog::UPDATE_ITEMS,
        ),
        (
            "delete_catalog_items",
            "delete_catalog_items",
            &catalog::DELETE_ITEMS,
        ),
        (
            "create_catalog_variants",
            "create_variants",
            &catalog::CREATE_VARIANTS,
        ),
        (
            "update_catalog_variants",
            "update_variants",
            &catalog::UPDATE_VARIANTS,
        ),
        (
            "delete_catalog_variants",
            "delete_variants",
            &catalog::DELETE_VARIANTS,
        ),
        (
            "create_catalog_categories",
            "create_categories",
            &catalog::CREATE_CATEGORIES,
        ),
        (
            "update_catalog_categories",
            "update_categories",
            &catalog::UPDATE_CATEGORIES,
        ),
        (
            "delete_catalog_categories",
            "delete_categories",
            &catalog::DELETE_CATEGORIES,
        ),
    ]
}

fn with(check: impl FnOnce(&BTreeMap<String, Recording>)) {
    if let Some(recordings) = recordings::shared() {
        check(&recordings);
    }
}

#[test]
fn the_jobs_of_all_requests_are_known_and_events_have_none() {
    with(|recordings| {
        for (post, _, endpoint) in endpoints() {
            let recording = &recordings[&format!("bulk_{post}.202")];
            assert_eq!(
                send(recording, endpoint),
                [recording.body["data"]["id"].as_str().expect("an id")]
            );
        }
        let import = &recordings["bulk_import_profiles.202"];
        let id = import.body["data"]["id"].as_str().expect("an id");
        assert_eq!(send(import, &profiles::BULK_IMPORT), [id]);
        let events = send(&recordings["bulk_create_events.202"], &events::BULK_CREATE);
        assert_eq!(events, [""; 0]);
    });
}

#[test]
fn jobs_are_under_way_over_or_unknown_whatever_their_counts_say() {
    with(|recordings| {
        for (_, job, endpoint) in endpoints() {
            let name = |end: &str| format!("get_bulk_{job}_{end}");
            let state = |recording: &Recording, body: &Value| {
                read_body(recording, body, async |client, deadline| {
                    let job = catalog::job::read(client, endpoint, "id", deadline);
                    job.await.expect("a job")
                })
            };
            let polled = &recordings[&name("job.200")];
            let is_over = polled.body["data"]["attributes"]["status"] == "complete";
            let polled = state(polled, &polled.body);
            assert_eq!(matches!(polled, JobState::Complete(_)), is_over, "{job}");
            assert_eq!(polled == JobState::UnderWay, !is_over, "{job}");
            let unknown = &recordings[&name("job.404")];
            assert_eq!(state(unknown, &unknown.body), JobState::Unknown, "{job}");

            // the jobs of a list are those of single answers, and some of them are over
            let listed = &recordings[&name("jobs.200")];
            let jobs = listed.body["data"].as_array().expect("jobs");
            let mut finished = finished(listed, endpoint);
            for data in jobs {
                let JobState::Complete(outcome) = state(listed, &json!({ "data": data })) else {
                    panic!("{job}: not over");
                };
                let attributes = &data["attributes"];
                assert_eq!(attributes["failed_count"], outcome.failed, "{job}");
                assert_eq!(attributes["completed_count"], outcome.made.len(), "{job}");
                for error in &outcome.errors {
                    assert!(matches!(&error.named, Named::Id(id) if id.starts_with("sdk-smoke")));
                    assert_eq!(
                        (error.field.as_str(), error.code.as_str()),
                        ("/id", "invalid")
                    );
                }
                assert_eq!(outcome.errors.len(), outcome.failed, "{job}");
                let id = data["id"].as_str().expect("an id");
                assert_eq!(finished.remove(id), Some(outcome), "{job}");
            }
            assert!(!jobs.is_empty() && finished.is_empty());
        }
    });
}

/// The results that the reader of lists finds in a recorded list of all its jobs.
fn finished(listed: &Recording, endpoint: &'static BulkEndpoint) -> HashMap<String, Outcome> {
    let jobs = listed.body["data"].as_array().expect("jobs");
    let submitted: HashMap<String, Timestamp> = jobs
        .iter()
        .map(|job| {
            let created = job["attributes"]["created_at"].as_str().expect("a moment");
            let id = job["id"].as_str().expect("an id");
            (id.to_owned(), created.parse().expect("a moment"))
        })
        .collect();
    let look = Look {
        oldest: submitted.values().copied().min().expect("a job"),
        clock_ahead: None,
        from: None,
    };
    let found = read(listed, async |client, deadline| {
        let wanted = submitted.iter().map(|(id, &at)| (id.as_str(), at));
        let found = catalog::job::read_finished(client, endpoint, wanted.collect(), look, deadline);
        found.await.expect("a list")
    });
    assert_eq!((found.pages, found.next), (1, None));
    found.jobs.into_iter().collect()
}

#[test]
fn attributes_of_entries_a_new_category_and_a_known_profile_are_read() {
    with(|recordings| {
        let items = &recordings["get_catalog_items.200"];
        let mut titles = read(items, async |client, deadline| {
            let mut titles = Vec::new();
            let (fields, ids) = ("title", ["a".to_owned()]);
            let take = |entry: attributes::Entry| {
                titles.push((entry.id, entry.attributes["title"].clone()));
            };
            let items = CatalogCollection::Items;
            let read = attributes::read(client, items, fields, &ids, deadline, take);
            read.await.expect("entries");
            titles
        });
        for item in items.body["data"].as_array().expect("items") {
            let title = (
                item["id"].as_str().expect("an id").to_owned(),
                item["attributes"]["title"].clone(),
            );
            assert_eq!(titles.remove(0), title);
        }
        assert_eq!(titles, []);

        let created = read(
            &recordings["create_catalog_category.201"],
            async |client, deadline| category::create(client, b"{}", deadline).await,
        );
        assert!(created.expect("an answer"));

        // a list of profiles was not recorded: one profile, as it was recorded
        let profile = &recordings["create_or_update_profile.200"];
        let data = &profile.body["data"];
        let list = json!({ "data": [data], "links": { "next": null, "prev": null } });
        let known = read_body(profile, &list, async |client, deadline| {
            let emails = ["a".to_owned()];
            known_profiles::of_emails(client, &emails, deadline).await
        });
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let expected = (text(&data["attributes"]["email"]), text(&data["id"]));
        let known: Vec<_> = known.expect("profiles").into_iter().collect();
        assert_eq!(known, [expected]);
    });
}

#[test]
fn imports_and_their_errors_are_read() {
    with(|recordings| {
        let state = |name: &str| {
            read(&recordings[name], async |client, deadline| {
                profiles::job(client, "id", deadline).await.expect("a job")
            })
        };
        assert_eq!(
            state("get_bulk_import_profiles_job.200"),
            JobState::UnderWay
        );
        assert_eq!(state("get_bulk_import_profiles_job.404"), JobState::Unknown);
        let errors = &recordings["get_errors_for_bulk_import_profiles_job.200"];
        let (count, next) = read(errors, async |client, deadline| {
            let path = profiles::errors_path("id");
            let page = profiles::import_errors(client, &path, deadline).await;
            let page = page.expect("a page");
            (page.errors.len(), page.next)
        });
        assert_eq!((count, next), (0, None));
        let jobs = &recordings["get_bulk_import_profiles_jobs.200"];
        read(jobs, async |client, deadline| {
            profiles::can_read(client, deadline).await.expect("a list");
        });
    });
}

#[test]
fn listings_of_the_catalog_are_read() {
    with(|recordings| {
        for (name, collection) in [
            ("get_catalog_items.200", CatalogCollection::Items),
            ("get_catalog_categories.200", CatalogCollection::Categories),
            ("get_catalog_variants.200", CatalogCollection::Variants),
            (
                "get_variants_for_catalog_item.200",
                CatalogCollection::Variants,
            ),
        ] {
            let recording = &recordings[name];
            let data = recording.body["data"].as_array().expect("entries");
            let ids: Vec<&str> = data
                .iter()
                .filter_map(|entry| entry["id"].as_str())
                .collect();
            let page = read(recording, async |client, deadline| {
                list(client, collection, collection.path(), deadline)
                    .await
                    .expect("a page")
            });
            assert_eq!(
                (page.ids, page.next),
                (ids.iter().map(|&id| id.into()).collect(), None)
            );
            let known = read(recording, async |client, deadline| {
                let ids = ["a".to_owned()];
                existing(client, collection, &ids, deadline)
                    .await
                    .expect("a page")
            });
            assert_eq!(known.len(), ids.len());
        }
        let items = read(
            &recordings["get_catalog_items.200"],
            async |client, deadline| {
                let wanted: HashMap<String, Vec<String>> = [("a".to_owned(), Vec::new())].into();
                variants_of_items(client, &wanted, Extent::All, deadline)
                    .await
                    .expect("items")
            },
        );
        assert_eq!(items.len(), 2);
        assert!(
            items.values().all(|variants| variants.len() == 2),
            "{items:?}"
        );
    });
}

#[test]
fn accounts_and_refusals_are_read() {
    with(|recordings| {
        let account = |name: &str| {
            read(&recordings[name], async |client, deadline| {
                accounts::read(client, deadline).await
            })
        };
        let known = account("get_accounts.200").expect("an account");
        assert_eq!(known, Account::Known("AbC123".to_owned()));
        let refused = account("get_accounts.401").expect_err("no account");
        assert_eq!(refused.action(), Action::GiveUp);
        for name in ["get_accounts.429", "create_segment.429"] {
            let throttled = account(name).expect_err("no account");
            assert_eq!(throttled.action(), Action::Wait, "{name}");
            let wait = throttled.refusal().and_then(|refusal| refusal.retry_after);
            assert!(wait.is_some_and(|wait| !wait.is_zero()), "{name}");
        }
        for name in [
            "get_catalog_item.404",
            "create_profile.409",
            "get_event.400",
        ] {
            let recording = &recordings[name];
            let refusal = account(name).expect_err("no account");
            let refusal = refusal.refusal().expect("a refusal");
            let error = &recording.body["errors"][0];
            assert_eq!(
                error["code"],
                refusal.code.as_deref().unwrap_or_default(),
                "{name}"
            );
            assert_eq!(error["source"]["pointer"], refusal.pointers[0], "{name}");
        }
    });
}
