//! GraphQL queries, for records of which few members are needed
//! (<https://docs.commercetools.com/api/graphql>).

use bytes::Bytes;
use bytestring::ByteString;
use http::Method;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

use super::client::{Call, Client};
use crate::error::{Access, Error, Kind, Peer, Refusal, plain_code};
use crate::json::Json;
use crate::time::Deadline;

/// The status of an error that a GraphQL response with the status 200 contains.
const ERROR_STATUS: u16 = 400;

/// A query of records, in the order of their ids.
#[derive(Debug, Clone)]
pub struct GraphqlQuery<'a> {
    /// For errors, such as `query products`.
    pub operation: &'static str,
    /// The query's field, such as `products`.
    pub field: &'a str,
    /// The predicate; all records if it is empty.
    pub predicate: String,
    /// The most records, up to 500.
    pub limit: usize,
    /// The members that are selected of each record, such as `id key`.
    pub selection: &'a str,
    /// Whether it looks up records that can be requested a few at a time.
    pub is_lookup: bool,
    /// The largest response that is read, in bytes.
    pub max_bytes: usize,
}

impl GraphqlQuery<'_> {
    fn text(&self) -> String {
        let Self {
            field,
            limit,
            selection,
            predicate,
            ..
        } = self;
        let predicate = match predicate.as_str() {
            "" => String::new(),
            // a string of GraphQL is escaped as one of JSON
            predicate => format!("where: {}, ", json!(predicate)),
        };
        format!(
            "{{{field}({predicate}sort: [\"id asc\"], limit: {limit}) {{results {{{selection}}}}}}}"
        )
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    errors: Vec<GraphqlError>,
}

#[derive(Deserialize)]
struct GraphqlError {
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Deserialize, Default)]
struct Extensions {
    code: Option<String>,
}

#[derive(Deserialize)]
struct Collection<'a> {
    #[serde(borrow)]
    results: Vec<&'a RawValue>,
}

/// The records of a response.
fn records(operation: &'static str, answer: &Bytes) -> Result<Vec<Json>, Error> {
    let unreadable = || Error::unreadable(Peer::Commercetools, operation, "data with its results");
    let text = ByteString::try_from(answer.clone()).map_err(|_| unreadable())?;
    let Answer { data, errors } = serde_json::from_str(&text).map_err(|_| unreadable())?;
    if let Some(error) = errors.into_iter().next() {
        return Err(Error {
            peer: Peer::Commercetools,
            operation,
            access: Access::Page,
            kind: Kind::Refused(Refusal {
                status: ERROR_STATUS,
                code: error.extensions.code.and_then(plain_code),
                retry_after: None,
                pointers: Vec::new(),
            }),
        });
    }
    let data = data.ok_or_else(unreadable)?;
    let fields: BTreeMap<&str, Collection<'_>> =
        serde_json::from_str(data.get()).map_err(|_| unreadable())?;
    let field = fields.into_values().next().ok_or_else(unreadable)?;
    let results = field.results.into_iter();
    Ok(results
        .map(|record| Json::slice_of(&text, record))
        .collect())
}

impl Client {
    /// Reads the selected members of the records that exist, as slices of the response.
    ///
    /// # Errors
    /// If commercetools does not respond, rejects the request, or returns errors in the response; as [`Client::page`].
    pub async fn graphql(
        &self,
        query: &GraphqlQuery<'_>,
        deadline: Deadline,
    ) -> Result<Vec<Json>, Error> {
        let body = json!({"query": query.text()}).to_string();
        let call = Call {
            operation: query.operation,
            access: match query.limit {
                2.. if query.is_lookup => Access::Lookup,
                _ => Access::Page,
            },
            method: Method::POST,
            path: "graphql",
            body: Some(body.into_bytes()),
            max_bytes: query.max_bytes,
        };
        self.read(&call, deadline, |answer| records(query.operation, answer))
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commercetools::query::id_in;

    const OPERATION: &str = "query products";

    #[test]
    fn ids_cannot_leave_their_string() {
        let ids = [r#"x") or (id != "y"#.to_owned(), "b".to_owned()];
        let query = GraphqlQuery {
            operation: OPERATION,
            field: "products",
            predicate: id_in(&ids),
            limit: 2,
            selection: "id",
            is_lookup: false,
            max_bytes: 1,
        };
        assert_eq!(
            query.text(),
            r#"{products(where: "id in (\"x\\\") or (id != \\\"y\",\"b\")", sort: ["id asc"], limit: 2) {results {id}}}"#
        );
        let all = GraphqlQuery {
            predicate: String::new(),
            ..query
        };
        assert_eq!(
            all.text(),
            r#"{products(sort: ["id asc"], limit: 2) {results {id}}}"#
        );
    }

    #[test]
    fn errors_beside_the_data_are_errors() {
        let answer = |text: &'static str| records(OPERATION, &Bytes::from_static(text.as_bytes()));
        let found = answer(r#"{"data":{"products":{"results":[{"id":"a"},{"id":"b"}]}}}"#);
        let found: Vec<String> = found.unwrap().iter().map(|one| one.get().into()).collect();
        assert_eq!(found, [r#"{"id":"a"}"#, r#"{"id":"b"}"#]);
        let denied = r#"{"data":null,"errors":[{"message":"m","locations":[],"extensions":{"code":"insufficient_scope"}}]}"#;
        let error = answer(denied).unwrap_err();
        assert_eq!(error.status(), Some(ERROR_STATUS));
        assert_eq!(
            error.refusal().unwrap().code.as_deref(),
            Some("insufficient_scope")
        );
        let slow =
            r#"{"data":{"products":null},"errors":[{"extensions":{"code":"QueryTimedOut"}}]}"#;
        assert!(answer(slow).unwrap_err().took_too_long());
        for unreadable in ["", "{}", r#"{"data":{}}"#, r#"{"data":{"products":{}}}"#] {
            let error = answer(unreadable).unwrap_err();
            assert!(matches!(error.kind, Kind::Unreadable(_)), "{unreadable}");
        }
    }
}
