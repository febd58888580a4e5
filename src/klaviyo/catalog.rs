//! The catalogue: bulk jobs that create, update and delete entries, 100 a job
//! (<https://developers.klaviyo.com/en/reference/catalogs_api_overview>), and listings that say what there is.

use std::collections::{HashMap, HashSet};

use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::MAX_REQUEST_BYTES;
use super::batch::{Lane, Shape, job_path, never_mended};
use super::client::Client;
use super::rate::Endpoint;
use crate::error::{Error, Peer, plain_code, plain_field};
use crate::mapping::product::compound_id;
use crate::ports::Deadline;

/// "Accepts up to 100 catalog items per request", and categories and variants likewise; also the most ids of a filter
/// and the most entries of a page.
pub const MAX_ENTRIES: usize = 100;
/// Variants included with an item up to which it is certain that they are all. How many Klaviyo includes at most is not
/// documented; an item that has as many as this is asked for its variants by themselves.
const SURELY_ALL_INCLUDED: usize = 10;

macro_rules! lane {
    ($name:ident, $action:literal, $kind:literal, $entries:literal, ($burst:literal, $steady:literal)) => {
        #[doc = concat!("The bulk jobs that ", $action, " catalog ", $entries, ".")]
        pub static $name: Lane = Lane {
            endpoint: &Endpoint {
                name: concat!($action, " catalog ", $entries),
                burst: 75,
                steady: 750,
            },
            path: concat!("/api/catalog-", $kind, "-bulk-", $action, "-jobs"),
            shape: Shape::Flat,
            head: concat!(
                r#"{"data":{"type":"catalog-"#,
                $kind,
                "-bulk-",
                $action,
                r#"-job","attributes":{""#,
                $entries,
                r#"":{"data":["#
            ),
            tail: "]}}}}",
            pointer: concat!("/data/attributes/", $entries, "/data/"),
            max_documents: MAX_ENTRIES,
            max_bytes: MAX_REQUEST_BYTES,
            mend: never_mended,
            job: Some(&Endpoint {
                name: concat!("read a job to ", $action, " catalog ", $entries),
                burst: $burst,
                steady: $steady,
            }),
            names_by_place: true,
        };
    };
}

lane!(
    CREATE_CATEGORIES,
    "create",
    "category",
    "categories",
    (350, 3_500)
);
lane!(
    UPDATE_CATEGORIES,
    "update",
    "category",
    "categories",
    (350, 3_500)
);
lane!(
    DELETE_CATEGORIES,
    "delete",
    "category",
    "categories",
    (350, 3_500)
);
lane!(CREATE_ITEMS, "create", "item", "items", (75, 750));
lane!(UPDATE_ITEMS, "update", "item", "items", (75, 750));
lane!(DELETE_ITEMS, "delete", "item", "items", (350, 3_500));
lane!(CREATE_VARIANTS, "create", "variant", "variants", (75, 750));
lane!(UPDATE_VARIANTS, "update", "variant", "variants", (75, 750));
lane!(
    DELETE_VARIANTS,
    "delete",
    "variant",
    "variants",
    (350, 3_500)
);

static LIST_ITEMS: Endpoint = Endpoint {
    name: "list catalog items",
    burst: 350,
    steady: 3_500,
};
static LIST_CATEGORIES: Endpoint = Endpoint {
    name: "list catalog categories",
    burst: 350,
    steady: 3_500,
};
static LIST_VARIANTS: Endpoint = Endpoint {
    name: "list an item's catalog variants",
    burst: 350,
    steady: 3_500,
};

/// What can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// `catalog-categories`
    Categories,
    /// `catalog-items`
    Items,
}

impl Collection {
    fn endpoint(self) -> &'static Endpoint {
        match self {
            Self::Categories => &LIST_CATEGORIES,
            Self::Items => &LIST_ITEMS,
        }
    }

    /// The path of all entries, with as little of each as the API gives.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Categories => {
                "/api/catalog-categories?fields%5Bcatalog-category%5D=external_id&page%5Bsize%5D=100"
            }
            Self::Items => {
                "/api/catalog-items?fields%5Bcatalog-item%5D=external_id&page%5Bsize%5D=100"
            }
        }
    }

    fn of_ids(self, ids: &[String]) -> String {
        // what need not be escaped in a query is not, so that 100 ids stay under the 8 KB that servers accept
        let ids: Vec<String> = ids
            .iter()
            .map(|id| format!("'{}'", compound_id(id)))
            .collect();
        format!("{}&filter=any(ids,%5B{}%5D)", self.path(), ids.join(","))
    }
}

/// The entry of a delete job.
#[must_use]
pub fn identifier(kind: &str, compound_id: &str) -> Box<RawValue> {
    to_raw_value(&json!({ "type": kind, "id": compound_id })).expect("two strings always serialize")
}

#[derive(Deserialize)]
struct Listed {
    data: Vec<Resource>,
    #[serde(default)]
    links: Option<Links>,
}

#[derive(Deserialize)]
struct Resource {
    id: String,
    #[serde(default)]
    relationships: Option<Relationships>,
}

#[derive(Deserialize)]
struct Relationships {
    #[serde(default)]
    variants: Option<Linkage>,
}

#[derive(Deserialize)]
struct Linkage {
    #[serde(default)]
    data: Option<Vec<Identifier>>,
}

#[derive(Deserialize)]
struct Identifier {
    id: String,
}

#[derive(Deserialize)]
struct Links {
    #[serde(default)]
    next: Option<String>,
}

/// A page of a listing.
#[derive(Debug)]
pub struct Listing {
    /// The entries' compound ids.
    pub ids: Vec<String>,
    /// The path of the next page.
    pub next: Option<String>,
}

async fn page(
    client: &Client,
    endpoint: &'static Endpoint,
    path: &str,
    deadline: Deadline,
) -> Result<(Vec<Resource>, Option<String>), Error> {
    let body = client.get(endpoint, path, deadline).await?;
    let unreadable =
        || Error::unreadable(Peer::Klaviyo, endpoint.name, "a page of catalogue entries");
    let listed: Listed = serde_json::from_slice(&body).map_err(|_| unreadable())?;
    let next = listed.links.and_then(|links| links.next);
    let next = next.map(|next| Client::next_path(path, &next).ok_or_else(unreadable));
    Ok((listed.data, next.transpose()?))
}

async fn pages(
    client: &Client,
    endpoint: &'static Endpoint,
    path: String,
    deadline: Deadline,
) -> Result<Vec<Resource>, Error> {
    let (mut all, mut next) = page(client, endpoint, &path, deadline).await?;
    while let Some(path) = next {
        let more;
        (more, next) = page(client, endpoint, &path, deadline).await?;
        all.extend(more);
    }
    Ok(all)
}

/// Lists the entries of a collection, from [`Collection::path`] or a page's `next` on.
///
/// # Errors
/// Where Klaviyo does not answer or refuses.
pub async fn list(
    client: &Client,
    collection: Collection,
    path: &str,
    deadline: Deadline,
) -> Result<Listing, Error> {
    let (entries, next) = page(client, collection.endpoint(), path, deadline).await?;
    Ok(Listing {
        ids: entries.into_iter().map(|entry| entry.id).collect(),
        next,
    })
}

/// Which of these entries, by external id, Klaviyo has: their compound ids.
///
/// # Errors
/// Where Klaviyo does not answer or refuses.
pub async fn existing(
    client: &Client,
    collection: Collection,
    ids: &[String],
    deadline: Deadline,
) -> Result<HashSet<String>, Error> {
    let chunks = ids.chunks(MAX_ENTRIES);
    let answers = chunks.map(|ids| {
        pages(
            client,
            collection.endpoint(),
            collection.of_ids(ids),
            deadline,
        )
    });
    let entries = try_join_all(answers).await?.into_iter().flatten();
    Ok(entries.map(|entry| entry.id).collect())
}

/// The variants, by compound id, of those of these items that Klaviyo has. `wanted` says which compound ids of variants
/// are expected of an item, by its external id: where one of them is not included, the item is asked for its variants by
/// themselves, as it is where it has so many that they may not all be included.
///
/// # Errors
/// Where Klaviyo does not answer or refuses.
pub async fn variants_of_items(
    client: &Client,
    wanted: &HashMap<String, Vec<String>>,
    deadline: Deadline,
) -> Result<HashMap<String, HashSet<String>>, Error> {
    let mut ids: Vec<String> = wanted.keys().cloned().collect();
    ids.sort_unstable();
    let chunks = ids.chunks(MAX_ENTRIES).map(|ids| {
        let path = format!(
            "{}&include=variants&fields%5Bcatalog-variant%5D=external_id",
            Collection::Items.of_ids(ids)
        );
        pages(client, &LIST_ITEMS, path, deadline)
    });
    let items: Vec<(String, HashSet<String>)> = try_join_all(chunks)
        .await?
        .into_iter()
        .flatten()
        .map(linked)
        .collect();
    let wanted: HashMap<String, &Vec<String>> = wanted
        .iter()
        .map(|(id, skus)| (compound_id(id), skus))
        .collect();
    let complete = items.into_iter().map(|(item, linked)| {
        let lacks_one = wanted.get(&item).is_some_and(|wanted| wanted.iter().any(|id| !linked.contains(id)));
        let may_have_more = linked.len() >= SURELY_ALL_INCLUDED || (!linked.is_empty() && lacks_one);
        async move {
            if !may_have_more {
                return Ok((item, linked));
            }
            let path = format!("/api/catalog-items/{item}/variants?fields%5Bcatalog-variant%5D=external_id&page%5Bsize%5D=100");
            match pages(client, &LIST_VARIANTS, path, deadline).await {
                Ok(variants) => Ok((item, variants.into_iter().map(|variant| variant.id).collect())),
                // gone since it was listed
                Err(error) if error.status() == Some(404) => Ok((item, HashSet::new())),
                Err(error) => Err(error),
            }
        }
    });
    Ok(try_join_all(complete).await?.into_iter().collect())
}

fn linked(item: Resource) -> (String, HashSet<String>) {
    let linkage = item
        .relationships
        .and_then(|related| related.variants?.data)
        .unwrap_or_default();
    (
        item.id,
        linkage.into_iter().map(|variant| variant.id).collect(),
    )
}

/// How a job stands.
#[derive(Debug)]
pub enum JobState {
    /// Queued or processing.
    UnderWay,
    /// Finished.
    Complete(Vec<EntryError>),
    /// Ended before it was finished: what became of its entries is not known.
    Cancelled,
    /// Klaviyo knows no such job (any more).
    Unknown,
}

/// An entry that a job did not take.
#[derive(Debug, PartialEq, Eq)]
pub struct EntryError {
    /// The entry's place in the request, where Klaviyo says which it is.
    pub place: Option<usize>,
    /// The field that it is about, such as `/attributes/title`; empty where that is not said.
    pub field: String,
    /// Klaviyo's code.
    pub code: String,
}

#[derive(Deserialize)]
struct JobAnswer {
    data: JobData,
}

#[derive(Deserialize)]
struct JobData {
    attributes: JobAttributes,
}

#[derive(Deserialize)]
struct JobAttributes {
    status: String,
    #[serde(default)]
    failed_count: Option<usize>,
    #[serde(default)]
    errors: Option<Vec<JobError>>,
}

#[derive(Deserialize)]
struct JobError {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    source: Option<JobErrorSource>,
}

#[derive(Deserialize)]
struct JobErrorSource {
    #[serde(default)]
    pointer: Option<String>,
}

/// Reads how a job of this lane stands.
///
/// # Errors
/// Where Klaviyo does not answer or refuses.
pub async fn job(
    client: &Client,
    lane: &'static Lane,
    id: &str,
    deadline: Deadline,
) -> Result<JobState, Error> {
    let endpoint = lane.job.unwrap_or(lane.endpoint);
    let answer = match client.get(endpoint, &job_path(lane, id), deadline).await {
        Err(error) if error.status() == Some(404) => return Ok(JobState::Unknown),
        answer => answer?,
    };
    let answer: JobAnswer = serde_json::from_slice(&answer)
        .map_err(|_| Error::unreadable(Peer::Klaviyo, endpoint.name, "a job with its status"))?;
    let JobAttributes {
        status,
        failed_count,
        errors,
    } = answer.data.attributes;
    Ok(match status.as_str() {
        "complete" => JobState::Complete(entry_errors(
            lane,
            errors.unwrap_or_default(),
            failed_count.unwrap_or(0),
        )),
        "cancelled" => JobState::Cancelled,
        _ => JobState::UnderWay,
    })
}

/// One error for each entry: the first that names it. Failures that no error names are errors without a place.
fn entry_errors(lane: &'static Lane, errors: Vec<JobError>, failed: usize) -> Vec<EntryError> {
    let mut places = HashSet::new();
    let mut list: Vec<EntryError> = Vec::new();
    // a job has no more failures than entries, whatever its answer says
    let most = lane.max_documents;
    for error in errors {
        if list.len() == most {
            break;
        }
        let pointer = error
            .source
            .and_then(|source| source.pointer)
            .unwrap_or_default();
        let below = pointer.strip_prefix(lane.pointer).unwrap_or_default();
        let (place, field) = below.split_at(below.find('/').unwrap_or(below.len()));
        let place: Option<usize> = place.parse().ok();
        if place.is_none_or(|place| places.insert(place)) {
            let code = error.code.and_then(plain_code);
            list.push(EntryError {
                place,
                field: plain_field(field).to_owned(),
                code: code.unwrap_or_else(|| "no code".to_owned()),
            });
        }
    }
    while list.len() < failed.min(most) {
        list.push(EntryError {
            place: None,
            field: String::new(),
            code: "no error that names the entry".to_owned(),
        });
    }
    list
}
