//! One request on its way to a handler, and the parts of answers that depend on it.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::answer::{Fault, Refusal, refuse_if_any};
use super::query::Query;
use super::shape::{self, Shape};

/// A request that passed the front door: known path, headers in order, within the rate limits.
pub(super) struct Call<'a> {
    pub(super) now: Timestamp,
    /// The id in the path, empty where the path has none.
    pub(super) id: &'a str,
    pub(super) query: Query,
    /// Scheme and host, as the caller named them.
    pub(super) origin: &'a str,
    pub(super) path: &'a str,
    pub(super) body: &'a [u8],
}

impl Call<'_> {
    /// The body as JSON of that shape, if it is not larger than `limit` bytes.
    pub(super) fn json(&self, shape: &Shape, limit: usize) -> Result<Value, Refusal> {
        self.check_size(limit)?;
        let body = self.any_json()?;
        refuse_if_any(shape::faults(&body, shape))?;
        Ok(body)
    }

    pub(super) fn check_size(&self, limit: usize) -> Result<(), Refusal> {
        if self.body.len() > limit {
            return Err(Refusal::too_large(limit));
        }
        Ok(())
    }

    pub(super) fn any_json(&self) -> Result<Value, Refusal> {
        serde_json::from_slice(self.body)
            .map_err(|error| Fault::invalid("/data", format!("Invalid JSON: {error}")).into())
    }

    /// The `links` of a page; `next` is the key of its last entry where more follow.
    pub(super) fn page_links(&self, next: Option<&str>) -> Value {
        json!({
            "self": self.same_link(),
            "next": next.map(|key| self.link(&self.query.after(key))),
            "prev": null,
        })
    }

    /// The link to what was asked for.
    pub(super) fn same_link(&self) -> String {
        self.link(&self.query.same())
    }

    fn link(&self, query: &str) -> String {
        let separator = if query.is_empty() { "" } else { "?" };
        format!("{}{}{separator}{query}", self.origin, self.path)
    }

    /// A resource object with a link to itself: ids are unescaped in it, and a slash is at its end.
    pub(super) fn resource(
        &self,
        resource: &str,
        collection: &str,
        id: &str,
        attributes: Map<String, Value>,
    ) -> Value {
        json!({
            "type": resource,
            "id": id,
            "attributes": attributes,
            "links": { "self": format!("{}/api/{collection}/{id}/", self.origin) },
        })
    }
}

/// Takes one page from entries in order, and the key of its last entry where more follow.
pub(super) fn page<T>(
    entries: impl Iterator<Item = (String, T)>,
    size: usize,
) -> (Vec<(String, T)>, Option<String>) {
    let mut page: Vec<(String, T)> = entries.take(size + 1).collect();
    let more = page.len() > size;
    page.truncate(size);
    let next = page.last().filter(|_| more).map(|(key, _)| key.clone());
    (page, next)
}
