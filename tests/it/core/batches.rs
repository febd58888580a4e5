//! Laws of batches: what is packed keeps the limits and its order, and what is refused costs nothing else.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use klaviyo_bulk_import::config::{KlaviyoConfig, Secret};
use klaviyo_bulk_import::json::pieces::Pieces;
use klaviyo_bulk_import::klaviyo::batch::Batch;
use klaviyo_bulk_import::klaviyo::bulk::{BulkEndpoint, Shape};
use klaviyo_bulk_import::klaviyo::{Client, catalog, events, profiles};
use klaviyo_bulk_import::time::Deadline;
use native::environment::{Answered, Destination};
use native::shop::run_with;
use native::{Interceptor, Setup, Shop};
use proptest::prelude::*;
use serde_json::{Value, json};
use sim::world::KLAVIYO;

/// A Klaviyo that looks at what it gets.
struct Account {
    lane: &'static BulkEndpoint,
    /// The documents that it refuses.
    culprits: BTreeSet<u64>,
    /// Whether it says which.
    points: bool,
    /// How many jobs it has in progress, and how many of each of the eight other kinds of catalog jobs.
    jobs: (usize, usize),
    bodies: RefCell<Vec<usize>>,
    taken: RefCell<Vec<(String, u64)>>,
}

impl Account {
    /// Profile, number and pointer of every document of a request.
    fn documents(&self, body: &Value) -> Vec<(String, u64, String)> {
        let list = |value: &Value| value.as_array().cloned().expect("a list");
        let number = |document: &Value| document["n"].as_u64().expect("a number");
        let base = self.lane.pointer.trim_end_matches('/');
        let entries = list(body.pointer(base).expect("the documents"));
        let mut documents = Vec::new();
        let mut profiles = BTreeSet::new();
        for (at, entry) in entries.iter().enumerate() {
            if matches!(self.lane.shape, Shape::Flat) {
                documents.push((String::new(), number(entry), format!("{base}/{at}")));
                continue;
            }
            let attributes = &entry["attributes"];
            let profile = attributes["profile"]["data"].to_string();
            assert!(
                profiles.insert(profile.clone()),
                "two entries of one profile"
            );
            for (event, document) in list(&attributes["events"]["data"]).iter().enumerate() {
                let pointer = format!("{base}/{at}/attributes/events/data/{event}");
                documents.push((profile.clone(), number(document), pointer));
            }
        }
        documents
    }

    /// The jobs with a status, all on one page. None is queued.
    fn jobs(&self, uri: &Uri) -> Response<Bytes> {
        let is_processing = uri
            .query()
            .is_some_and(|query| query.contains("processing"));
        let jobs = match uri.path() == self.lane.path {
            _ if !is_processing => 0,
            true => self.jobs.0,
            false => self.jobs.1,
        };
        let job = |n| json!({"id": format!("{} {n}", uri.path())});
        let jobs: Vec<Value> = (0..jobs).map(job).collect();
        answer(200, &json!({ "data": jobs }))
    }

    fn answer(&self, body: &Bytes) -> Response<Bytes> {
        assert!(body.len() <= self.lane.max_bytes, "{} bytes", body.len());
        self.bodies.borrow_mut().push(body.len());
        let body: Value = serde_json::from_slice(body).expect("JSON");
        let documents = self.documents(&body);
        assert!((1..=self.lane.max_documents).contains(&documents.len()));
        let wrong = documents
            .iter()
            .filter(|(_, n, _)| self.culprits.contains(n));
        let pointers: Vec<&String> = wrong.map(|(_, _, pointer)| pointer).collect();
        if pointers.is_empty() {
            let documents = documents.into_iter();
            self.taken
                .borrow_mut()
                .extend(documents.map(|(profile, n, _)| (profile, n)));
            let job = json!({"data": {"id": "job"}});
            return answer(202, &job);
        }
        let errors: Vec<Value> = if self.points {
            let error = |pointer| json!({"code": "invalid", "source": {"pointer": pointer}});
            pointers.into_iter().map(error).collect()
        } else {
            vec![json!({"code": "invalid", "source": {}})]
        };
        answer(400, &json!({ "errors": errors }))
    }
}

fn answer(status: u16, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status.try_into().expect("a status");
    response
}

impl Interceptor for Account {
    fn request(&self, _to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let asks_for_jobs = request.method() == Method::GET;
        Some(Ok(match asks_for_jobs {
            true => self.jobs(request.uri()),
            false => self.answer(request.body()),
        }))
    }
}

/// A document to pack.
#[derive(Debug, Clone)]
struct Draft {
    profile: u8,
    bytes: usize,
    is_refused: bool,
}

fn drafts(most: usize, bytes: impl Strategy<Value = usize>) -> impl Strategy<Value = Vec<Draft>> {
    let draft = (0u8..12, bytes, proptest::bool::weighted(0.02));
    let draft = draft.prop_map(|(profile, bytes, is_refused)| Draft {
        profile,
        bytes,
        is_refused,
    });
    proptest::collection::vec(draft, 0..most)
}

fn profile(lane: &BulkEndpoint, draft: &Draft) -> Option<String> {
    let profile = || json!({"type": "profile", "attributes": {"external_id": draft.profile}});
    matches!(lane.shape, Shape::ByProfile).then(|| profile().to_string())
}

/// Packs them as they come, a new batch where the last is full.
fn pack(lane: &'static BulkEndpoint, drafts: &[Draft]) -> Vec<Batch> {
    let mut batches = vec![Batch::new(lane)];
    for (n, draft) in drafts.iter().enumerate() {
        let profile = profile(lane, draft);
        let frame = format!(r#"{{"n":{n},"rest":""}}"#).len();
        let rest = "x".repeat(draft.bytes.saturating_sub(frame));
        let document = Bytes::from(format!(r#"{{"n":{n},"rest":"{rest}"}}"#));
        let place = Pieces::from(0..document.len());
        let add = |batches: &mut Vec<Batch>| {
            let batch = batches.last_mut().expect("there is one");
            batch.push(n, profile.as_deref(), &document, &place)
        };
        if !add(&mut batches) {
            batches.push(Batch::new(lane));
            assert!(add(&mut batches), "an empty batch has no room");
        }
    }
    batches
}

/// A client of the account, with time enough.
fn client(shop: &Shop) -> (Client, Deadline) {
    let config = KlaviyoConfig {
        api_url: KLAVIYO.to_owned(),
        auth_key: Secret::from("pk_test".to_owned()),
    };
    let ports = shop.ports();
    let deadline = Deadline::after(&*ports.clock, Duration::from_secs(3_600));
    (Client::new(ports, config), deadline)
}

fn keeps_the_laws(lane: &'static BulkEndpoint, drafts: &[Draft], points: bool) {
    let refused = drafts.iter().enumerate().filter(|(_, d)| d.is_refused);
    let culprits: BTreeSet<u64> = refused.map(|(n, _)| n as u64).collect();
    let account = Rc::new(Account {
        lane,
        culprits: culprits.clone(),
        points,
        jobs: (40, 0),
        bodies: RefCell::default(),
        taken: RefCell::default(),
    });
    let reported: BTreeSet<u64> = run_with(Setup::default(), account.clone(), async |shop| {
        let (client, deadline) = client(&shop);
        let mut reported = BTreeSet::new();
        for batch in pack(lane, drafts) {
            if batch.is_empty() {
                continue;
            }
            let (bytes, calls) = (batch.bytes(), account.bodies.borrow().len());
            let separators = 2 * batch.len() + 1;
            // what is rejected is not there already
            let sent = batch.looked_up_again().send(&client, deadline);
            let sent = sent.await.expect("it is sent");
            let refused = sent.refused.keys().chain(sent.again.keys());
            reported.extend(refused.map(|&record| record as u64));
            // what the batch takes its request for is what it is
            let first = account.bodies.borrow()[calls];
            assert!(
                (first..=first + separators).contains(&bytes),
                "{bytes} {first}"
            );
        }
        reported
    });
    assert_eq!(reported, culprits);
    let taken = account.taken.borrow();
    let mut numbers: Vec<u64> = taken.iter().map(|(_, n)| *n).collect();
    let in_order = |profile: &str| {
        let of_one = taken.iter().filter(|(of, _)| of == profile);
        of_one.map(|(_, n)| n).is_sorted()
    };
    assert!(taken.iter().all(|(profile, _)| in_order(profile)));
    numbers.sort_unstable();
    let expected: Vec<u64> = (0..drafts.len() as u64)
        .filter(|n| !culprits.contains(n))
        .collect();
    assert_eq!(numbers, expected, "each once");
}

/// What becomes of one batch of ten entries, those of which in `culprits` are refused without a pointer, beside so many
/// jobs: the entries that are named, or the status of the error; and how many requests were posted.
fn sent_beside(
    lane: &'static BulkEndpoint,
    jobs: (usize, usize),
    culprits: &[u64],
) -> (Result<BTreeSet<u64>, Option<u16>>, usize) {
    let account = Rc::new(Account {
        lane,
        culprits: culprits.iter().copied().collect(),
        points: false,
        jobs,
        bodies: RefCell::default(),
        taken: RefCell::default(),
    });
    let result = run_with(Setup::default(), account.clone(), async |shop| {
        let (client, deadline) = client(&shop);
        let draft = Draft {
            profile: 0,
            bytes: 40,
            is_refused: false,
        };
        let batch = pack(lane, &vec![draft; 10]).pop().expect("a batch");
        let sent = batch.send(&client, deadline).await;
        sent.map_err(|error| error.status()).map(|sent| {
            let named = sent.refused.keys().chain(sent.again.keys());
            named.map(|&record| record as u64).collect()
        })
    });
    let posted = account.bodies.borrow().len();
    (result, posted)
}

#[test]
fn a_refusal_that_names_no_entry_is_waited_out_where_there_are_many_jobs() {
    let all: Vec<u64> = (0..10).collect();
    let lane = &catalog::UPDATE_ITEMS;
    // whether it is a limit of each kind or of all of them is not documented
    for jobs in [(450, 0), (500, 0), (370, 10), (0, 57), (400, 24)] {
        assert_eq!(sent_beside(lane, jobs, &all), (Err(Some(429)), 1));
        assert_eq!(sent_beside(lane, jobs, &[3]), (Err(Some(429)), 1));
        assert_eq!(sent_beside(lane, jobs, &[]), (Ok(BTreeSet::new()), 1));
    }
    // with fewer jobs the entries are the cause, and with so many in all that there can be no limit of all of them
    for jobs in [(0, 0), (449, 0), (369, 10), (0, 56), (400, 25)] {
        for culprits in [&all[..], &[3]] {
            let (result, _) = sent_beside(lane, jobs, culprits);
            assert_eq!(result, Ok(culprits.iter().copied().collect()));
        }
    }
}

#[test]
fn entries_that_may_be_there_are_looked_up_and_not_taken_apart() {
    for (lane, posted) in [(&catalog::CREATE_ITEMS, 1), (&catalog::UPDATE_ITEMS, 9)] {
        let (result, requests) = sent_beside(lane, (0, 0), &[3]);
        let named = result.expect("it is sent");
        let is_whole = named == (0..10).collect();
        assert_eq!((is_whole, requests), (posted == 1, posted), "{}", lane.path);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn many_small_events(drafts in drafts(2_600, 20usize..400), points: bool) {
        keeps_the_laws(&events::BULK_CREATE, &drafts, points);
    }

    #[test]
    fn few_large_events(drafts in drafts(14, 20usize..4_900_000), points: bool) {
        keeps_the_laws(&events::BULK_CREATE, &drafts, points);
    }

    #[test]
    fn catalog_entries(drafts in drafts(350, 20usize..120_000), points: bool) {
        keeps_the_laws(&catalog::CREATE_CATEGORIES, &drafts, points);
    }
}

#[test]
fn the_documented_limits_are_reached_and_not_passed() {
    for (lane, documents) in [
        (&profiles::BULK_IMPORT, 10_000),
        (&events::BULK_CREATE, 1_000),
        (&catalog::CREATE_ITEMS, 100),
        (&catalog::UPDATE_VARIANTS, 100),
        (&catalog::DELETE_CATEGORIES, 100),
    ] {
        let small = Draft {
            profile: 0,
            bytes: 30,
            is_refused: false,
        };
        let batches = pack(lane, &vec![small; documents + 1]);
        let lengths: Vec<usize> = batches.iter().map(Batch::len).collect();
        assert_eq!(lengths, [documents, 1], "{}", lane.path);
        assert_eq!(lane.max_bytes, 5_000_000, "{}", lane.path);
    }
}
