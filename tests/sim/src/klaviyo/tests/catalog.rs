//! Categories, items and variants.

use super::*;
use crate::klaviyo::{Action, Choice, Existing, JobKind, Kind, Operation};
use crate::ledger::Written;

fn compound(id: &str) -> String {
    format!("$custom:::$default:::{id}")
}

pub(super) fn category(id: &str) -> Value {
    json!({
        "type": "catalog-category",
        "attributes": {
            "external_id": id,
            "integration_type": "$custom",
            "catalog_type": "$default",
            "name": format!("Women > {id}"),
        },
    })
}

pub(super) fn item(id: &str, categories: &[&str]) -> Value {
    let categories: Vec<Value> = categories
        .iter()
        .map(|id| json!({ "type": "catalog-category", "id": compound(id) }))
        .collect();
    json!({
        "type": "catalog-item",
        "attributes": {
            "external_id": id,
            "integration_type": "$custom",
            "catalog_type": "$default",
            "title": format!("Bag {id}"),
            "description": "",
            "url": "None",
            "price": 12.5,
            "published": true,
            "custom_metadata": { "title_json": "{}" },
        },
        "relationships": { "categories": { "data": categories } },
    })
}

pub(super) fn variant(id: &str, item: &str) -> Value {
    json!({
        "type": "catalog-variant",
        "attributes": {
            "external_id": id,
            "sku": id,
            "title": "Bag",
            "description": "",
            "url": "None",
            "price": 12.5,
            "inventory_quantity": -3,
            "inventory_policy": 1,
        },
        "relationships": { "item": { "data": { "type": "catalog-item", "id": compound(item) } } },
    })
}

fn reference(kind: Kind, id: &str) -> Value {
    json!({ "type": kind.resource(), "id": id })
}

pub(super) fn body(kind: Kind, action: Action, entries: &[Value]) -> Value {
    json!({
        "data": {
            "type": JobKind::Catalog(kind, action).resource(),
            "attributes": { kind.entries(): { "data": entries } },
        },
    })
}

pub(super) fn path(kind: Kind, action: Action) -> String {
    format!("/api/{}", JobKind::Catalog(kind, action).collection())
}

impl Account {
    #[track_caller]
    pub(super) fn start(&mut self, kind: Kind, action: Action, entries: &[Value]) -> String {
        let answer = self.post(&path(kind, action), &body(kind, action, entries));
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        let id = answer.body["data"]["id"].as_str().expect("an id");
        format!("{}/{id}", path(kind, action))
    }

    /// Runs a job to its end and answers its errors: the entry's id and where it is wrong.
    #[track_caller]
    fn run(&mut self, kind: Kind, action: Action, entries: &[Value]) -> Vec<String> {
        let job = self.start(kind, action, entries);
        self.wait_for_jobs();
        let attributes = self.get(&job).body["data"]["attributes"].take();
        assert_eq!(attributes["status"], "complete");
        let errors = attributes["errors"].as_array().expect("errors");
        assert_eq!(attributes["failed_count"], errors.len());
        assert_eq!(attributes["completed_count"], entries.len() - errors.len());
        let list = format!("/data/attributes/{}/data", kind.entries());
        let told = |error: &Value| {
            assert_eq!(error["code"], "invalid");
            assert!(error.get("status").is_none());
            let id = error["meta"]["id"].as_str().expect("an id");
            let pointer = error["source"]["pointer"].as_str().expect("a pointer");
            let place = pointer.strip_prefix(&list).expect("a pointer to the list");
            format!("{} {place}", id.trim_start_matches("$custom:::$default:::"))
        };
        errors.iter().map(told).collect()
    }

    fn count(&self, kind: Kind) -> usize {
        self.klaviyo.ledger().catalog().entries(kind).len()
    }

    /// Three categories, two items, and 30 variants of item `b`.
    fn stocked() -> Self {
        let mut account = Self::unlimited();
        let categories = ["x", "y", "z"].map(category);
        assert_eq!(
            account.run(Kind::Category, Action::Create, &categories),
            [""; 0]
        );
        let items = [item("a", &["x"]), item("b", &["x", "y"])];
        assert_eq!(account.run(Kind::Item, Action::Create, &items), [""; 0]);
        let variants: Vec<Value> = (0..30)
            .map(|n| variant(&format!("b-{n:02}"), "b"))
            .collect();
        assert_eq!(
            account.run(Kind::Variant, Action::Create, &variants),
            [""; 0]
        );
        account
    }
}

#[test]
fn entries_are_created_when_the_job_ends() {
    let mut account = Account::unlimited();
    let job = account.start(Kind::Category, Action::Create, &[category("x")]);
    assert_eq!(
        account.get(&job).body["data"]["attributes"]["status"],
        "processing"
    );
    assert_eq!(account.count(Kind::Category), 0);
    account.wait_for_jobs();
    assert_eq!(
        account.get(&job).body["data"]["attributes"]["status"],
        "complete"
    );
    let catalog = account.klaviyo.ledger().catalog();
    let entry = &catalog.entries(Kind::Category)["x"];
    assert_eq!(
        json!(entry.attributes),
        json!({ "external_id": "x", "name": "Women > x" })
    );
    let written = account
        .klaviyo
        .ledger()
        .last_write(Written::Catalog(Kind::Category));
    assert_eq!(written.map(Timestamp::as_second), Some(START));
    let wrong_kind = job.replace("create", "update");
    assert_eq!(account.get(&wrong_kind).status, StatusCode::NOT_FOUND);
}

#[test]
fn what_only_the_job_finds_out_fails_alone() {
    let mut account = Account::stocked();
    let mut untitled = item("e", &[]);
    untitled["attributes"]["title"] = "".into();
    let errors = account.run(
        Kind::Item,
        Action::Create,
        &[
            item("a", &[]),
            item("c", &["nope"]),
            item("d", &["z"]),
            untitled,
            item("d", &[]),
        ],
    );
    let expected = [
        "a /attributes/external_id",
        "c /relationships",
        "e /attributes/title",
        "d /attributes/external_id",
    ];
    assert_eq!(errors, expected);
    assert_eq!(account.count(Kind::Item), 3);

    let update = |id: &str| json!({ "type": "catalog-item", "id": id, "attributes": { "title": "New", "price": null } });
    let errors = account.run(
        Kind::Item,
        Action::Update,
        &[
            update(&compound("a")),
            update(&compound("nope")),
            update("a"),
            update("$custom:::$other:::a"),
        ],
    );
    assert_eq!(errors, ["nope /id", " /id", " /id"]);
    let entry = &account.klaviyo.ledger().catalog().entries(Kind::Item)["a"];
    assert_eq!(entry.attributes["title"], "New");
    assert_eq!(entry.attributes.get("price"), None, "a null clears");
    assert_eq!(entry.attributes["url"], "None", "what is left out stays");
    assert!(
        entry.belongs_to.contains("x"),
        "a relationship left out stays"
    );

    let errors = account.run(
        Kind::Variant,
        Action::Create,
        &[variant("v", "nope"), variant("a-1", "a")],
    );
    assert_eq!(errors, ["v /relationships"]);
    let gone = reference(Kind::Category, &compound("nope"));
    let errors = account.run(Kind::Category, Action::Delete, &[gone]);
    assert_eq!(errors, ["nope /id"]);
}

#[test]
fn chosen_entries_fail() {
    let mut account = Account::stocked();
    account.klaviyo.options_mut().refuse_entries = Choice::ids(["c"]);
    let errors = account.run(
        Kind::Category,
        Action::Create,
        &[category("c"), category("d")],
    );
    assert_eq!(errors, ["c /attributes/external_id"]);
    assert_eq!(account.count(Kind::Category), 4);
}

#[test]
fn one_entry_of_the_wrong_shape_refuses_all() {
    let mut account = Account::unlimited();
    let create = |kind| path(kind, Action::Create);
    let job = |kind, entries: &[Value]| body(kind, Action::Create, entries);
    for name in ["title", "url", "description", "external_id"] {
        let mut bad = item("b", &[]);
        bad["attributes"]
            .as_object_mut()
            .expect("attributes")
            .remove(name);
        let at = format!("/data/attributes/items/data/1/attributes/{name}");
        account.refused(
            &create(Kind::Item),
            &job(Kind::Item, &[item("a", &[]), bad]),
            &[&at],
        );
    }
    let changes = [
        ("integration_type", json!("$shopify")),
        ("catalog_type", json!("other")),
        ("custom_metadata", json!({ "nested": {} })),
        ("custom_metadata", json!({ "long": "x".repeat(100_000) })),
        ("price", json!("12")),
        ("sku", json!("unknown here")),
    ];
    for (name, value) in changes {
        let mut bad = item("b", &[]);
        bad["attributes"][name] = value;
        let at = format!("/data/attributes/items/data/0/attributes/{name}");
        account.refused(&create(Kind::Item), &job(Kind::Item, &[bad]), &[&at]);
    }
    let mut bad = variant("v", "a");
    bad["attributes"]["inventory_policy"] = 3.into();
    let at = "/data/attributes/variants/data/0/attributes/inventory_policy";
    account.refused(&create(Kind::Variant), &job(Kind::Variant, &[bad]), &[at]);
    let mut bad = variant("v", "a");
    bad.as_object_mut()
        .expect("an entry")
        .remove("relationships");
    let at = "/data/attributes/variants/data/0/relationships";
    account.refused(&create(Kind::Variant), &job(Kind::Variant, &[bad]), &[at]);
    let update = json!({ "type": "catalog-item", "id": compound("a"), "attributes": { "external_id": "a" } });
    let at = "/data/attributes/items/data/0/attributes/external_id";
    account.refused(
        &path(Kind::Item, Action::Update),
        &body(Kind::Item, Action::Update, &[update]),
        &[at],
    );
    assert!(account.klaviyo.unfinished_jobs(account.now).is_empty());
}

#[test]
fn jobs_are_bounded() {
    let mut account = Account::unlimited();
    account.klaviyo.options_mut().jobs_in_progress = 3;
    let many: Vec<Value> = (0..101).map(|n| category(&n.to_string())).collect();
    let create = path(Kind::Category, Action::Create);
    let at = "/data/attributes/categories/data";
    account.refused(&create, &body(Kind::Category, Action::Create, &many), &[at]);
    account.refused(&create, &body(Kind::Category, Action::Create, &[]), &[at]);
    for n in 0..3 {
        account.start(Kind::Category, Action::Create, &[category(&n.to_string())]);
    }
    let one_more = body(Kind::Category, Action::Create, &[category("3")]);
    let answer = account.post(&create, &one_more);
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers.contains_key("retry-after"));
    let traffic = account
        .klaviyo
        .ledger()
        .traffic(Operation::StartJob(JobKind::Catalog(
            Kind::Category,
            Action::Create,
        )));
    assert_eq!(traffic.throttled, 1);
    account.start(Kind::Item, Action::Create, &[item("a", &[])]);
    account.wait_for_jobs();
    account.start(Kind::Category, Action::Create, &[category("3")]);
}

#[test]
fn items_are_found_by_id_with_some_of_their_variants() {
    let mut account = Account::stocked();
    let ids = format!(
        "any(ids,[\"{}\",\"{}\",\"{}\"])",
        compound("b"),
        compound("a"),
        compound("nope")
    );
    let query: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("filter", &ids)
        .append_pair("include", "variants")
        .append_pair("fields[catalog-item]", "external_id")
        .append_pair("fields[catalog-variant]", "sku")
        .finish();
    let found = account.get(&format!("/api/catalog-items?{query}"));
    assert_eq!(found.status, StatusCode::OK, "{}", found.body);
    assert_eq!(found.ids(), [compound("a"), compound("b")]);
    assert_eq!(
        found.body["data"][0]["attributes"],
        json!({ "external_id": "a" })
    );
    assert_eq!(
        found.body["data"][0]["relationships"]["variants"]["data"],
        json!([])
    );
    let included = found.body["included"].as_array().expect("variants");
    assert_eq!(included.len(), 25);
    assert_eq!(included[0]["attributes"], json!({ "sku": "b-00" }));
    let linkage = found.body["data"][1]["relationships"]["variants"]["data"].clone();
    assert_eq!(linkage.as_array().map(Vec::len), Some(30));

    account.klaviyo.options_mut().complete_linkage = false;
    let found = account.get(&format!("/api/catalog-items?{query}"));
    let linkage = &found.body["data"][1]["relationships"]["variants"]["data"];
    assert_eq!(linkage.as_array().map(Vec::len), Some(25));
    let related = found.body["data"][1]["relationships"]["variants"]["links"]["related"].as_str();
    let related = related
        .expect("a link")
        .strip_prefix("http://127.0.0.1:4711")
        .expect("our own address");
    let related = related.trim_end_matches('/');
    let variants = account.get(&format!("{related}?page%5Bsize%5D=20"));
    assert_eq!(variants.ids().len(), 20);
    let rest = account.get(&variants.next().expect("a second page"));
    assert_eq!((rest.ids().len(), rest.next()), (10, None));
    let unknown = account.get(&related.replace("b/variants", "nope/variants"));
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[test]
fn listings_are_filtered_sorted_and_paged() {
    let mut account = Account::stocked();
    let found = |account: &mut Account, collection: &str, filter: &str| {
        let query: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("filter", filter)
            .finish();
        let answer = account.get(&format!("/api/{collection}?{query}"));
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.ids().len()
    };
    let b = compound("b");
    for (collection, filter, count) in [
        (
            "catalog-items",
            format!("equals(category.id,'{}')", compound("y")),
            1,
        ),
        ("catalog-items", "contains(title,'Bag')".to_owned(), 2),
        ("catalog-items", "equals(published,false)".to_owned(), 0),
        ("catalog-categories", format!("equals(item.id,'{b}')"), 2),
        (
            "catalog-categories",
            format!("any(ids,['{}'])", compound("z")),
            1,
        ),
        ("catalog-categories", "contains(name,'> z')".to_owned(), 1),
        ("catalog-variants", format!("equals(item.id,'{b}')"), 30),
        ("catalog-variants", "equals(sku,'b-07')".to_owned(), 1),
        (
            "catalog-variants",
            format!("equals(item.id,'{b}'),equals(sku,'x')"),
            0,
        ),
    ] {
        assert_eq!(
            found(&mut account, collection, &filter),
            count,
            "{collection} {filter}"
        );
    }
    account.run(Kind::Category, Action::Create, &[category("a")]);
    assert_eq!(
        account.get("/api/catalog-categories").ids()[0],
        compound("a")
    );
    let first = account.get("/api/catalog-categories?sort=-created&page%5Bsize%5D=3");
    let rest = account.get(&first.next().expect("a second page"));
    assert_eq!(first.ids()[0], compound("a"), "the newest");
    assert_eq!([first.ids(), rest.ids()].concat().len(), 4);
    let ids: Vec<String> = (0..101).map(|n| format!("'{n}'")).collect();
    for query in [
        format!("filter=any(ids,[{}])", ids.join(",")),
        "filter=equals(ids,'a')".to_owned(),
        "filter=contains(sku,'a')".to_owned(),
        "page[size]=101".to_owned(),
        "sort=name".to_owned(),
        "include=variants".to_owned(),
    ] {
        let answer = account.get(&format!("/api/catalog-categories?{query}"));
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[test]
fn pages_hold_while_entries_go() {
    let mut account = Account::stocked();
    let first = account.get("/api/catalog-variants?page%5Bsize%5D=10");
    let gone: Vec<Value> = first
        .ids()
        .iter()
        .map(|id| reference(Kind::Variant, id))
        .collect();
    account.run(Kind::Variant, Action::Delete, &gone);
    let second = account.get(&first.next().expect("a second page"));
    assert_eq!(second.ids()[0], compound("b-10"));
    assert_eq!(account.count(Kind::Variant), 20);
}

#[test]
fn an_item_takes_its_variants_with_it() {
    let mut account = Account::stocked();
    let errors = account.run(
        Kind::Item,
        Action::Delete,
        &[reference(Kind::Item, &compound("b"))],
    );
    assert_eq!(errors, [""; 0]);
    assert_eq!(
        (account.count(Kind::Item), account.count(Kind::Variant)),
        (1, 0)
    );
    let errors = account.run(
        Kind::Category,
        Action::Delete,
        &[reference(Kind::Category, &compound("x"))],
    );
    assert_eq!(errors, [""; 0]);
    let item = &account.klaviyo.ledger().catalog().entries(Kind::Item)["a"];
    assert!(
        item.belongs_to.is_empty(),
        "a deleted category leaves its items"
    );
}

#[test]
fn categories_can_bring_their_items() {
    let mut account = Account::stocked();
    let with_items = |mut entry: Value, items: &[&str]| {
        let items: Vec<Value> = items
            .iter()
            .map(|id| reference(Kind::Item, &compound(id)))
            .collect();
        entry["relationships"] = json!({ "items": { "data": items } });
        entry
    };
    let entries = [
        with_items(category("w"), &["a"]),
        with_items(category("q"), &["nope"]),
    ];
    let errors = account.run(Kind::Category, Action::Create, &entries);
    assert_eq!(errors, ["q /relationships"]);
    let items = account.klaviyo.ledger().catalog().entries(Kind::Item);
    assert!(items["a"].belongs_to.contains("w"));
}

#[test]
fn a_single_category_is_there_at_once_and_only_once() {
    for (existing, status) in [
        (Existing::FailsInJob, StatusCode::CONFLICT),
        (Existing::BadRequest, StatusCode::BAD_REQUEST),
    ] {
        let mut account = Account::unlimited();
        account.klaviyo.options_mut().existing = existing;
        account.klaviyo.options_mut().refuse_entries = Choice::ids(["bad"]);
        let one = json!({ "data": category("one") });
        let made = account.post("/api/catalog-categories", &one);
        assert_eq!(made.status, StatusCode::CREATED);
        assert_eq!(made.body["data"]["id"], compound("one"));
        let listed = account.get("/api/catalog-categories");
        assert_eq!(listed.ids(), [compound("one")]);
        let again = account.post("/api/catalog-categories", &one);
        assert_eq!(again.status, status);
        let bad = account.post(
            "/api/catalog-categories",
            &json!({ "data": category("bad") }),
        );
        assert_eq!(bad.status, StatusCode::BAD_REQUEST);
        let calls = account.klaviyo.ledger().traffic(Operation::CreateCategory);
        assert_eq!((calls.calls, calls.refused), (3, 2));
    }
}
