//! Keyset pages: `sort=id asc` with `id > last` reaches the end of a set of any size, which `offset` does not
//! (<https://docs.commercetools.com/api/general-concepts#iterating-over-all-elements>).

use bytes::Bytes;
use bytestring::ByteString;
use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::form_urlencoded;

use super::attributes::AttributeFilter;
use super::client::{Call, Client};
use crate::error::{Access, Error, Peer};
use crate::json::Json;
use crate::retry::with_retry;
use crate::time::Deadline;

/// "limit: maximum 500" (<https://docs.commercetools.com/api/general-concepts#limit>).
pub const MAX_LIMIT: usize = 500;
/// The most ids of one `id in (...)`: at 40 characters each, the URL stays under the 8 KB that servers accept.
pub const IDS_A_QUERY: usize = 100;

/// The most records that commercetools counts if the query has a predicate
/// (<https://docs.commercetools.com/api/releases/2020-10-12-the-total-of-pagedqueryresult-is-limited-to-the-maximum-offset>).
pub const MAX_COUNTED: u64 = 10_000;
/// More records than a project can have: a larger total is a wrong response.
const MAX_TOTAL: u64 = 1 << 40;

/// One query of a collection in id order.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    /// For errors, such as `query customers`.
    pub operation: &'static str,
    /// The collection's path, such as `customers`.
    pub path: &'a str,
    /// Only ids after this one.
    pub after: Option<&'a str>,
    /// Only this id and those after it.
    pub from: Option<&'a str>,
    /// Only this id and those before it.
    pub through: Option<&'a str>,
    /// Only these ids, at most [`IDS_A_QUERY`].
    pub ids: Option<&'a [String]>,
    /// Only records that were modified at this time or later.
    pub since: Option<Timestamp>,
    /// Records a page, at most [`MAX_LIMIT`].
    pub limit: usize,
    /// Further parameters, such as `staged=false`.
    pub parameters: &'a [(&'a str, &'a str)],
    /// Whether it looks up records that can be requested a few at a time.
    pub is_lookup: bool,
    /// The largest response that is read, in bytes.
    pub max_bytes: usize,
}

impl<'a> Query<'a> {
    /// A query of a whole collection. With its `limit` of 0 it reads no records, only their number.
    #[must_use]
    pub fn all(operation: &'static str, path: &'a str, max_bytes: usize) -> Self {
        Self {
            operation,
            path,
            after: None,
            from: None,
            through: None,
            ids: None,
            since: None,
            limit: 0,
            parameters: &[],
            is_lookup: false,
            max_bytes,
        }
    }

    fn predicates(&self) -> Vec<String> {
        let mut predicates = Vec::new();
        if let Some(after) = self.after {
            predicates.push(format!("id > {}", quoted(after)));
        }
        if let Some(from) = self.from {
            predicates.push(format!("id >= {}", quoted(from)));
        }
        if let Some(through) = self.through {
            predicates.push(format!("id <= {}", quoted(through)));
        }
        if let Some(ids) = self.ids {
            predicates.push(id_in(ids));
        }
        if let Some(since) = self.since {
            predicates.push(format!("lastModifiedAt >= {}", quoted(&since.to_string())));
        }
        predicates
    }

    /// All predicates as one, as GraphQL takes them; empty if there is none.
    #[must_use]
    pub fn predicate(&self) -> String {
        self.predicates().join(" and ")
    }

    fn path_and_query(&self, limit: usize, with_total: bool, more: Option<(&str, &str)>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &limit.to_string());
        query.append_pair("withTotal", if with_total { "true" } else { "false" });
        if limit > 0 {
            query.append_pair("sort", "id asc");
        }
        for predicate in self.predicates() {
            query.append_pair("where", &predicate);
        }
        for &(name, value) in self.parameters.iter().chain(&more) {
            query.append_pair(name, value);
        }
        format!("{}?{}", self.path, query.finish())
    }
}

/// Whether a text is a commercetools id: a UUID.
#[must_use]
pub fn is_id(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// A string literal of a query predicate: in double quotes, escaped with `\`.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The predicate of what has a time in this field that is neither before the one nor after the other.
#[must_use]
pub fn between(field: &str, from: Timestamp, until: Timestamp) -> String {
    let [from, until] = [from, until].map(|time| quoted(&time.to_string()));
    format!("({field} >= {from} and {field} <= {until})")
}

/// The predicate of the records with these ids.
#[must_use]
pub fn id_in(ids: &[String]) -> String {
    value_in("id", ids)
}

/// The predicate of what has one of these texts in this field.
#[must_use]
pub fn value_in(field: &str, texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    format!("{field} in ({})", texts.join(","))
}

#[derive(Deserialize)]
struct PagedAnswer<'a> {
    #[serde(borrow)]
    results: Vec<&'a RawValue>,
}

/// The records of a page, in order; `None` if the response is not a page.
#[must_use]
pub fn records(answer: Bytes) -> Option<Vec<Json>> {
    let answer = ByteString::try_from(answer).ok()?;
    let PagedAnswer { results } = serde_json::from_str(&answer).ok()?;
    let records = results.into_iter();
    Some(
        records
            .map(|record| Json::slice_of(&answer, record))
            .collect(),
    )
}

#[derive(Deserialize)]
struct TotalAnswer {
    total: u64,
}

impl Client {
    /// Reads one page: the unchanged records, as slices of the response; projections of products without their attributes,
    /// where commercetools leaves them out.
    ///
    /// # Errors
    /// If commercetools does not respond or rejects the request; [`crate::ports::TransportError::TooLarge`] if the page
    /// is larger than `max_bytes`.
    pub async fn page(&self, query: &Query<'_>, deadline: Deadline) -> Result<Vec<Json>, Error> {
        let read = async |parameter| {
            let path = query.path_and_query(query.limit.min(MAX_LIMIT), false, parameter);
            self.query(query, &path, deadline, |body| records(body.clone()))
                .await
        };
        let filter = self.attributes.parameter(query.path);
        match read(filter).await {
            Err(error) if filter.is_some() && AttributeFilter::may_be_rejected(&error) => {
                let without = read(None).await;
                self.attributes.note_without(&without);
                without
            }
            page => page,
        }
    }

    /// The number of records that match the query.
    ///
    /// # Errors
    /// As [`Client::page`].
    pub async fn total(&self, query: &Query<'_>, deadline: Deadline) -> Result<u64, Error> {
        let path = query.path_and_query(0, true, None);
        self.query(query, &path, deadline, |body| {
            let answer: TotalAnswer = serde_json::from_slice(body).ok()?;
            Some(answer.total).filter(|&total| total <= MAX_TOTAL)
        })
        .await
    }

    async fn query<T>(
        &self,
        query: &Query<'_>,
        path: &str,
        deadline: Deadline,
        read: impl Fn(&Bytes) -> Option<T>,
    ) -> Result<T, Error> {
        let call = Call {
            operation: query.operation,
            access: match query.limit {
                0 => Access::Read,
                2.. if query.is_lookup => Access::Lookup,
                _ => Access::Page,
            },
            method: Method::GET,
            path,
            body: None,
            max_bytes: query.max_bytes,
        };
        self.read(&call, deadline, |body| {
            read(body).ok_or_else(|| {
                Error::unreadable(
                    Peer::Commercetools,
                    query.operation,
                    "a page with its results",
                )
            })
        })
        .await
    }

    /// Sends a request that only reads, and reads the response. One that was cut off arrives as a 200 that is not JSON,
    /// so a response that cannot be read is retried too.
    pub(super) async fn read<T>(
        &self,
        call: &Call<'_>,
        deadline: Deadline,
        read: impl Fn(&Bytes) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // a page that took too long is not requested again with the same size, nor a look-up for which a gateway did not
        // wait: its parts are the next attempt
        let is_asked_for_in_parts = |error: &Error| match call.access {
            Access::Lookup => error.is_slow_page(),
            _ => error.took_too_long(),
        };
        let retried = |error: Error| match is_asked_for_in_parts(&error) {
            true => error,
            false => error.of(Access::Read),
        };
        let answer = with_retry(&self.ports, deadline, || async {
            let answer = self.call_once(call, deadline).await.map_err(retried)?;
            read(&answer.into_body()).map_err(retried)
        });
        answer.await.map_err(|error| error.of(call.access))
    }
}
