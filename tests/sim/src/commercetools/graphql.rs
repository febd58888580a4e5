//! GraphQL: one field of the query type, with a predicate, a limit and a selection of members.

use bytes::Bytes;
use graphql_parser::query::{
    Definition, Field, OperationDefinition, Selection, SelectionSet, Value as Literal, parse_query,
};
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Commercetools;
use super::collection::{Record, View};
use super::problem::{Problem, answer};
use super::query::Query;
use super::resource::Resource;

/// How GraphQL is refused where the token does not allow it, or the project does not offer it: what the real API
/// answers is not documented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GraphqlRefusal {
    /// It is refused for want of a scope only, with the status 403.
    #[default]
    Forbidden,
    /// It is refused for want of a scope only, with errors in an answer of the status 200.
    Errors,
    /// It is refused always, with errors in an answer of the status 200.
    Always,
}

impl Commercetools {
    pub(super) fn graphql(
        &self,
        now: Timestamp,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, Problem> {
        let body: Value = serde_json::from_slice(request.body())
            .map_err(|_| Problem::invalid_input("Request body does not contain valid JSON."))?;
        let text = body["query"].as_str().unwrap_or_default();
        let invalid = || Problem::invalid_input("Syntax error while parsing the query.");
        let document = parse_query::<String>(text).map_err(|_| invalid())?;
        let [Definition::Operation(OperationDefinition::SelectionSet(fields))] =
            &document.definitions[..]
        else {
            return Err(invalid());
        };
        let [Selection::Field(field)] = &fields.items[..] else {
            return Err(invalid());
        };
        let resource = match field.name.as_str() {
            "products" => Resource::Products,
            "categories" => Resource::Categories,
            _ => return Err(invalid()),
        };
        let allowed = self.auth.check(now, request, resource.read_scopes(false));
        match self.graphql_refusal {
            GraphqlRefusal::Forbidden => allowed?,
            GraphqlRefusal::Errors if allowed.is_ok() => {}
            GraphqlRefusal::Errors | GraphqlRefusal::Always => return Ok(refused(field)),
        }
        let query = Query::parse(
            &parameters(field).ok_or_else(invalid)?,
            resource,
            self.unknown_attributes,
        )?;
        let kind = resource.kind().ok_or_else(invalid)?;
        let page = query.page(&self.collections[kind as usize], View::Whole);
        let of_records = member(&field.selection_set, "results");
        let records: Vec<Value> = page
            .records
            .iter()
            .map(|record| known(record, of_records).unwrap_or_else(|| record.value()))
            .collect();
        let whole = json!({"results": records, "count": records.len(), "offset": query.offset});
        let selected = select(&whole, &field.selection_set).ok_or_else(invalid)?;
        let data = json!({"data": {field.name.as_str(): selected}});
        Ok(answer(StatusCode::OK, data.to_string()))
    }
}

/// The arguments of a field, as the parameters of the endpoint.
fn parameters(field: &Field<'_, String>) -> Option<String> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("withTotal", "false");
    for (name, value) in &field.arguments {
        match (name.as_str(), value) {
            ("where", Literal::String(text)) => query.append_pair("where", text),
            ("limit", Literal::Int(number)) => {
                query.append_pair("limit", &number.as_i64()?.to_string())
            }
            ("sort", Literal::List(orders)) => {
                for order in orders {
                    let Literal::String(order) = order else {
                        return None;
                    };
                    query.append_pair("sort", order);
                }
                &mut query
            }
            _ => return None,
        };
    }
    Some(query.finish())
}

/// The selection of this member.
fn member<'a>(
    selection: &'a SelectionSet<'a, String>,
    name: &str,
) -> Option<&'a SelectionSet<'a, String>> {
    selection.items.iter().find_map(|item| match item {
        Selection::Field(field) if field.name == name => Some(&field.selection_set),
        _ => None,
    })
}

/// A record with the selected members only, if all of them are known without making the record: pages of ids are read by
/// the ten thousand.
fn known(record: &Record<'_>, selection: Option<&SelectionSet<'_, String>>) -> Option<Value> {
    let members = selection?.items.iter().map(|item| {
        let Selection::Field(field) = item else {
            return None;
        };
        let value = match (field.name.as_str(), &field.selection_set.items[..]) {
            ("masterData", [Selection::Field(published)]) if published.name == "published" => {
                json!({"published": record.is_published()?})
            }
            (name, []) => record.known(name)?,
            _ => return None,
        };
        Some((field.name.clone(), value))
    });
    members
        .collect::<Option<Map<String, Value>>>()
        .map(Value::from)
}

/// The selected members; nothing where a selection is none of the schema's form.
fn select(value: &Value, selection: &SelectionSet<'_, String>) -> Option<Value> {
    let object = match value {
        _ if selection.items.is_empty() => return Some(value.clone()),
        Value::Array(list) => {
            return list.iter().map(|value| select(value, selection)).collect();
        }
        Value::Object(object) => object,
        other => return Some(other.clone()),
    };
    let mut selected = Map::new();
    for item in &selection.items {
        let Selection::Field(field) = item else {
            return None;
        };
        // references are resolved unless `Ref` is appended to their name
        let name = match field.name.as_str() {
            "categoriesRef" => "categories",
            "categories" => return None,
            name => name,
        };
        let value = object.get(name).unwrap_or(&Value::Null);
        selected.insert(field.name.clone(), select(value, &field.selection_set)?);
    }
    Some(selected.into())
}

fn refused(field: &Field<'_, String>) -> Response<Bytes> {
    let error = json!({
        "message": "Insufficient scope.",
        "locations": [{"line": 1, "column": 2}],
        "path": [field.name.as_str()],
        "extensions": {"code": "insufficient_scope"},
    });
    let body = json!({"data": null, "errors": [error]});
    answer(StatusCode::OK, body.to_string())
}
