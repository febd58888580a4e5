//! Simulated commercetools: the authorization server, the query endpoints and custom objects of one project.

mod attributes;
mod auth;
mod beside;
mod collection;
mod custom_objects;
mod graphql;
mod predicate;
mod problem;
mod query;
mod resource;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

pub use self::attributes::UnknownAttributes;
pub use self::auth::SCOPES;
pub use self::custom_objects::{CustomObject, RacingCreation};
pub use self::graphql::GraphqlRefusal;

use self::attributes::AttributeFilter;
use self::auth::Auth;
use self::beside::BesideRecords;
use self::collection::{Collection, View};
use self::custom_objects::CustomObjects;
use self::problem::{Problem, answer};
use self::query::Query;
use self::resource::Resource;
use crate::peer::Peer;
use crate::seed::{self, Kind, Seed, Shop};

/// Refuses requests whose target is longer, as the proxies before the real API do.
const LONGEST_TARGET: usize = 16 * 1024;

/// One commercetools project.
#[derive(Debug)]
pub struct Commercetools {
    auth: Auth,
    collections: [Collection; 4],
    beside: BesideRecords,
    catalog_model: &'static str,
    knows_lowercase_email: bool,
    custom_objects: CustomObjects,
    graphql_refusal: GraphqlRefusal,
    unknown_attributes: UnknownAttributes,
}

impl Commercetools {
    /// A project that holds what `seed` says, with one API client that has all of [`SCOPES`].
    pub fn new(project_key: &str, seed: Seed) -> Self {
        let mut project = Self {
            auth: Auth::new(project_key),
            collections: Kind::ALL.map(|kind| Collection::new(seed, kind)),
            beside: BesideRecords::default(),
            catalog_model: match seed.shop {
                Shop::Usual | Shop::Standalone => "Classic",
                Shop::Modular => "Modular",
                Shop::Mixed => "InMigration",
            },
            custom_objects: CustomObjects::default(),
            graphql_refusal: GraphqlRefusal::default(),
            unknown_attributes: UnknownAttributes::default(),
            knows_lowercase_email: true,
        };
        if seed.shop != Shop::Usual {
            project.keep_as(seed);
        }
        project
    }

    /// Keeps variants and prices as the seed's shop does.
    fn keep_as(&mut self, seed: Seed) {
        for index in 0..seed.sizes.products {
            let shop = seed.shop.of_product(index);
            if shop == Shop::Usual {
                continue;
            }
            let product = seed.record(Kind::Product, index);
            let product = serde_json::from_str(&product).expect("records are JSON");
            let (product, beside) = seed::take_apart(product, shop);
            self.put(Kind::Product, &product);
            for (kind, record) in beside {
                self.beside.put(kind, &record);
            }
        }
    }

    /// Sets whether predicates may ask for `lowercaseEmail` of customers, which the API's description does not have.
    pub fn set_knows_lowercase_email(&mut self, knows: bool) {
        self.knows_lowercase_email = knows;
    }

    /// Sets what the project says of its catalog model: `Classic`, `Modular` or `InMigration`.
    pub fn set_catalog_model(&mut self, model: &'static str) {
        self.catalog_model = model;
    }

    /// The project's key.
    pub fn project_key(&self) -> &str {
        &self.auth.project_key
    }

    /// Id and secret of the API client.
    pub fn client(&self) -> (&str, &str) {
        (&self.auth.client_id, &self.auth.client_secret)
    }

    /// Sets what the API client may ask for: scopes without the project key, such as `view_orders`. Tokens
    /// already given out keep theirs.
    pub fn set_client_scopes(&mut self, scopes: &[&str]) {
        self.auth.client_scopes = auth::with_project(scopes, &self.auth.project_key);
    }

    /// Sets how long tokens live that are given out from now on.
    pub fn set_token_lifetime(&mut self, lifetime: Duration) {
        self.auth.token_lifetime = lifetime;
    }

    /// Makes all tokens given out so far invalid.
    pub fn revoke_tokens(&mut self) {
        self.auth.revoke_all();
    }

    /// How many tokens have been given out.
    pub fn tokens_issued(&self) -> u64 {
        self.auth.issued
    }

    /// Adds or replaces a record: any valid one of `kind` (for products the whole product, not a projection).
    ///
    /// # Panics
    /// When the record lacks its `id`, `createdAt` or `lastModifiedAt`.
    pub fn put(&mut self, kind: Kind, record: &Value) -> Uuid {
        self.collections[kind as usize].put(record)
    }

    /// Changes a record as an update at `now` does, and tells whether it exists.
    pub fn change(
        &mut self,
        kind: Kind,
        id: Uuid,
        now: Timestamp,
        change: impl FnOnce(&mut Value),
    ) -> bool {
        let Some(mut record) = self.record(kind, id) else {
            return false;
        };
        record["version"] = (record["version"].as_u64().unwrap_or_default() + 1).into();
        record["lastModifiedAt"] = seed::timestamp(now).into();
        change(&mut record);
        self.put(kind, &record);
        true
    }

    /// Deletes a record, and tells whether it existed.
    pub fn delete(&mut self, kind: Kind, id: Uuid) -> bool {
        self.collections[kind as usize].delete(id)
    }

    /// The record as it is now, references not expanded.
    pub fn record(&self, kind: Kind, id: Uuid) -> Option<Value> {
        let record = self.collections[kind as usize].get(id, View::Whole)?;
        Some(record.value())
    }

    /// Calls `visit` with the JSON text of every record of `kind`, by id.
    pub fn for_each(&self, kind: Kind, mut visit: impl FnMut(&str)) {
        for record in self.collections[kind as usize].within(Default::default(), View::Whole) {
            visit(&record.body());
        }
    }

    /// As [`Commercetools::for_each`] with the published projection of every published product, as if all that is kept beside
    /// products were embedded in them, without the attributes, which nothing in Klaviyo has.
    pub fn for_each_published_product(&self, mut visit: impl FnMut(&str)) {
        let products = &self.collections[Kind::Product as usize];
        for record in products.within(Default::default(), View::Current) {
            let body = record.body_with(&AttributeFilter::none());
            visit(&self.whole_projection(&body));
        }
    }

    /// The ids of all records of `kind`, in order.
    pub fn ids(&self, kind: Kind) -> Vec<Uuid> {
        let records = self.collections[kind as usize].within(Default::default(), View::Whole);
        records.map(|record| record.id).collect()
    }

    /// A custom object as stored.
    pub fn custom_object(&self, container: &str, key: &str) -> Option<&CustomObject> {
        self.custom_objects.get(container, key)
    }

    /// Stores a custom object behind the component's back, whatever its version.
    ///
    /// # Panics
    /// When container or key is not one.
    pub fn put_custom_object(&mut self, now: Timestamp, container: &str, key: &str, value: &Value) {
        let draft = json!({"container": container, "key": key, "value": value});
        let stored = self.custom_objects.post(now, draft.to_string().as_bytes());
        assert!(stored.is_ok(), "not a custom object: {container}/{key}");
    }

    /// Sets how the second of two creations of a custom object is refused.
    pub fn refuse_racing_creations(&mut self, how: RacingCreation) {
        self.custom_objects.racing_creation = how;
    }

    /// Sets how GraphQL is refused.
    pub fn refuse_graphql(&mut self, how: GraphqlRefusal) {
        self.graphql_refusal = how;
    }

    /// Sets what becomes of a name in `filter[attributes]` that no product type defines.
    pub fn answer_unknown_attributes(&mut self, how: UnknownAttributes) {
        self.unknown_attributes = how;
    }

    /// Deletes a custom object behind the component's back, and tells whether it existed.
    pub fn delete_custom_object(&mut self, container: &str, key: &str) -> bool {
        self.custom_objects.delete(container, key, None).is_ok()
    }

    fn route(
        &mut self,
        now: Timestamp,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, Problem> {
        let path = request.uri().path();
        let query = request.uri().query().unwrap_or_default();
        if path == "/oauth/token" {
            return self.auth.token(now, request);
        }
        if path.len() + query.len() > LONGEST_TARGET {
            return Ok(answer(StatusCode::URI_TOO_LONG, String::new()));
        }
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let (project_key, rest) = segments
            .split_first()
            .ok_or_else(|| Problem::not_found(path))?;
        if rest == ["graphql"] && *project_key == self.auth.project_key {
            return match *request.method() {
                Method::POST => self.graphql(now, request),
                _ => Err(Problem::method_not_allowed()),
            };
        }
        if rest.is_empty() && *project_key == self.auth.project_key {
            return self.project(now, request);
        }
        let resource = rest
            .first()
            .and_then(|segment| Resource::of_path(segment))
            .ok_or_else(|| Problem::not_found(path))?;
        if *project_key != self.auth.project_key {
            self.auth.check(now, request, resource.read_scopes(true))?;
            return Err(Problem::not_found(project_key));
        }
        match (resource, &rest[1..], request.method()) {
            (Resource::CustomObjects, rest, method) => {
                self.custom_objects_call(now, request, rest, method, query)
            }
            (resource, [], &Method::GET) if let Some(beside) = resource.beside() => {
                self.list_beside(now, request, (resource, beside), query)
            }
            (resource, [], &Method::GET) => self.list(now, request, resource, query),
            (resource, [id], &Method::GET) => self.one(now, request, resource, id),
            (_, [] | [_], _) => Err(Problem::method_not_allowed()),
            _ => Err(Problem::not_found(path)),
        }
    }

    /// The project itself.
    fn project(
        &self,
        now: Timestamp,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, Problem> {
        let scopes = &["view_project_settings", "manage_project_settings"];
        self.auth.check(now, request, scopes)?;
        let project = json!({
            "key": self.project_key(), "name": "A shop", "version": 1, "createdAt": "2020-01-01T00:00:00.000Z",
            "countries": ["DE", "US"], "currencies": ["EUR", "USD"], "languages": ["en-US", "de-DE"],
            "carts": {"deleteDaysAfterLastModification": 90}, "messages": {"enabled": true},
            "inventory": {"releaseExpiredReservations": false},
            "discounts": {"discountCombinationMode": "Stacking"},
            "productCatalogModel": self.catalog_model,
        });
        Ok(answer(StatusCode::OK, project.to_string()))
    }

    /// What is asked for, where the token allows it.
    fn allowed(
        &self,
        now: Timestamp,
        request: &Request<Bytes>,
        resource: Resource,
        query: &str,
    ) -> Result<(Query, View), Problem> {
        // The token comes before everything else that may be wrong with a request.
        let scopes = resource.read_scopes(query.contains("staged=true"));
        self.auth.check(now, request, scopes)?;
        if query.contains("lowercaseEmail") && !self.knows_lowercase_email {
            let unknown = "Malformed parameter: where: the field 'lowercaseEmail' does not exist";
            return Err(Problem::invalid_input(unknown));
        }
        let query = Query::parse(query, resource, self.unknown_attributes)?;
        let view = match (resource, query.staged) {
            (Resource::ProductProjections, false) => View::Current,
            (Resource::ProductProjections, true) => View::Staged,
            _ => View::Whole,
        };
        Ok((query, view))
    }

    fn list(
        &self,
        now: Timestamp,
        request: &Request<Bytes>,
        resource: Resource,
        query: &str,
    ) -> Result<Response<Bytes>, Problem> {
        let (query, view) = self.allowed(now, request, resource, query)?;
        if query
            .expand
            .iter()
            .any(|path| path.starts_with("paymentInfo"))
        {
            self.auth
                .check(now, request, &["view_payments", "manage_payments"])?;
        }
        let Some(kind) = resource.kind() else {
            return Err(Problem::method_not_allowed());
        };
        let page = query.page(&self.collections[kind as usize], view);
        let mut body = page_head(&query, page.records.len(), page.total);
        for (at, record) in page.records.iter().enumerate() {
            if at > 0 {
                body.push(',');
            }
            if query.expand.is_empty() {
                body.push_str(&record.body_with(&query.attributes));
            } else {
                let mut value = record.value();
                query.attributes.apply(&mut value);
                for path in &query.expand {
                    self.expand(&mut value, path);
                }
                body.push_str(&value.to_string());
            }
        }
        body.push_str("]}");
        Ok(answer(StatusCode::OK, body))
    }

    fn one(
        &self,
        now: Timestamp,
        request: &Request<Bytes>,
        resource: Resource,
        id: &str,
    ) -> Result<Response<Bytes>, Problem> {
        let query = request.uri().query().unwrap_or_default();
        let (query, view) = self.allowed(now, request, resource, query)?;
        let record = resource
            .kind()
            .zip(id.parse().ok())
            .and_then(|(kind, id)| self.collections[kind as usize].get(id, view))
            .ok_or_else(|| Problem::not_found(id))?;
        let mut value = record.value();
        query.attributes.apply(&mut value);
        for path in &query.expand {
            self.expand(&mut value, path);
        }
        Ok(answer(StatusCode::OK, value.to_string()))
    }

    /// Puts the object into every reference that `path` leads to, where the object exists.
    fn expand(&self, value: &mut Value, path: &str) {
        let (segment, rest) = path.split_once('.').unwrap_or((path, ""));
        let (name, is_list) = match segment.strip_suffix("[*]") {
            Some(name) => (name, true),
            None => (segment, false),
        };
        let Some(member) = value.get_mut(name) else {
            return;
        };
        let targets = match member {
            Value::Array(elements) if is_list => elements.iter_mut().collect(),
            other => vec![other],
        };
        for target in targets {
            self.resolve(target);
            if rest.is_empty() {
                continue;
            }
            match target.get_mut("obj") {
                Some(object) => self.expand(object, rest),
                None => self.expand(target, rest),
            }
        }
    }

    fn resolve(&self, reference: &mut Value) {
        let type_id = reference.get("typeId").and_then(Value::as_str);
        let id: Option<Uuid> = reference.get("id").and_then(|id| id.as_str()?.parse().ok());
        let (Some(type_id), Some(id), None) = (type_id, id, reference.get("obj")) else {
            return;
        };
        let object = if type_id == "payment" {
            serde_json::from_str(&seed::payment(id)).ok()
        } else {
            Kind::ALL
                .into_iter()
                .find(|kind| kind.type_id() == type_id)
                .and_then(|kind| self.record(kind, id))
        };
        if let Some(object) = object {
            reference["obj"] = object;
        }
    }

    fn custom_objects_call(
        &mut self,
        now: Timestamp,
        request: &Request<Bytes>,
        rest: &[&str],
        method: &Method,
        query: &str,
    ) -> Result<Response<Bytes>, Problem> {
        if method == Method::GET {
            let scopes = Resource::CustomObjects.read_scopes(false);
            self.auth.check(now, request, scopes)?;
        } else {
            self.auth
                .check(now, request, &["manage_key_value_documents"])?;
        }
        match (method, rest) {
            (&Method::POST, []) => {
                no_parameters(query)?;
                if !is_json(request) {
                    return Err(Problem::invalid_input(
                        "The Content-Type must be application/json.",
                    ));
                }
                let (status, object) = self.custom_objects.post(now, request.body())?;
                Ok(answer(status, object.to_json().to_string()))
            }
            (&Method::GET, [container]) => {
                let unknown = self.unknown_attributes;
                let query = Query::parse(query, Resource::CustomObjects, unknown)?;
                let matching: Vec<_> = self
                    .custom_objects
                    .of(container)
                    .filter(|object| query.predicate.holds(*object))
                    .collect();
                let total = query.with_total.then_some(matching.len());
                let page: Vec<_> = matching
                    .into_iter()
                    .skip(query.offset)
                    .take(query.limit)
                    .map(|object| object.to_json().to_string())
                    .collect();
                let head = page_head(&query, page.len(), total);
                Ok(answer(
                    StatusCode::OK,
                    format!("{head}{}]}}", page.join(",")),
                ))
            }
            (&Method::GET, [container, key]) => {
                no_parameters(query)?;
                let object = self.custom_objects.get(container, key);
                let object = object.ok_or_else(|| Problem::not_found(key))?;
                Ok(answer(StatusCode::OK, object.to_json().to_string()))
            }
            (&Method::DELETE, [container, key]) => {
                let version = delete_version(query)?;
                let object = self.custom_objects.delete(container, key, version)?;
                Ok(answer(StatusCode::OK, object.to_json().to_string()))
            }
            (_, [] | [_] | [_, _]) => Err(Problem::method_not_allowed()),
            _ => Err(Problem::not_found(request.uri().path())),
        }
    }
}

impl Peer for Commercetools {
    fn answer(&mut self, now: Timestamp, request: &Request<Bytes>) -> Response<Bytes> {
        self.route(now, request)
            .unwrap_or_else(Problem::into_response)
    }
}

/// A page of results up to the opening of `results`.
fn page_head(query: &Query, count: usize, total: Option<usize>) -> String {
    let total = total.map_or(String::new(), |total| format!(r#""total":{total},"#));
    let (limit, offset) = (query.limit, query.offset);
    format!(r#"{{"limit":{limit},"offset":{offset},"count":{count},{total}"results":["#)
}

fn no_parameters(query: &str) -> Result<(), Problem> {
    if query.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid_input(format!(
            "Malformed parameter: {query}: unknown parameter"
        )))
    }
}

fn delete_version(query: &str) -> Result<Option<u64>, Problem> {
    let mut version = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match (name.as_ref(), value.parse()) {
            ("version", Ok(number)) => version = Some(number),
            ("dataErasure", _) if matches!(&*value, "true" | "false") => {}
            _ => {
                return Err(Problem::invalid_input(format!(
                    "Malformed parameter: {name}: {value}"
                )));
            }
        }
    }
    Ok(version)
}

fn is_json(request: &Request<Bytes>) -> bool {
    request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"))
}
