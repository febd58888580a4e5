//! The parameters of a query and the page it answers with.

use std::cmp::Reverse;

use super::attributes::{AttributeFilter, FILTER, UnknownAttributes};
use super::collection::{Collection, Record, View};
use super::predicate::{Predicate, Variables};
use super::problem::Problem;
use super::resource::Resource;

/// Limits of <https://docs.commercetools.com/api/general-concepts#paging>.
const LARGEST_LIMIT: usize = 500;
const DEFAULT_LIMIT: usize = 20;
const LARGEST_OFFSET: usize = 10_000;

/// A query as asked for.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) predicate: Predicate,
    sort: Option<Sort>,
    pub(super) limit: usize,
    pub(super) offset: usize,
    pub(super) with_total: bool,
    pub(super) expand: Vec<String>,
    pub(super) staged: bool,
    pub(super) attributes: AttributeFilter,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sort {
    Id { descending: bool },
    CreatedAt { descending: bool },
    LastModifiedAt { descending: bool },
}

/// The records of one page, and how many there are in all, where that was asked for.
pub(super) struct Page<'a> {
    pub(super) records: Vec<Record<'a>>,
    pub(super) total: Option<usize>,
}

impl Query {
    /// Reads the query string of a query for `resource`, with attributes that no product has as `unknown` says.
    pub(super) fn parse(
        text: &str,
        resource: Resource,
        unknown: UnknownAttributes,
    ) -> Result<Self, Problem> {
        let mut wheres = Vec::new();
        let mut variables = Variables::new();
        let mut query = Self {
            predicate: Predicate::And(Vec::new()),
            sort: None,
            limit: DEFAULT_LIMIT,
            offset: 0,
            with_total: true,
            expand: Vec::new(),
            staged: false,
            attributes: AttributeFilter::default(),
        };
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match name.as_ref() {
                "where" => wheres.push(value.into_owned()),
                "sort" if query.sort.is_some() => return Err(invalid("sort", "given twice")),
                "sort" => query.sort = Some(sort(&value)?),
                "limit" => query.limit = number("limit", &value, LARGEST_LIMIT)?,
                "offset" => query.offset = number("offset", &value, LARGEST_OFFSET)?,
                "withTotal" => query.with_total = truth("withTotal", &value)?,
                "staged" if has_projections(resource) => query.staged = truth("staged", &value)?,
                FILTER if has_projections(resource) => query.attributes.add(&value, unknown)?,
                "expand" => {
                    if !resource.expansions().contains(&value.as_ref()) {
                        return Err(invalid("expand", &value));
                    }
                    query.expand.push(value.into_owned());
                }
                other => match other.strip_prefix("var.") {
                    Some(variable) if is_variable(variable) => {
                        let values = variables.entry(variable.to_owned()).or_default();
                        values.push(value.into_owned());
                    }
                    _ => return Err(invalid(other, "unknown parameter")),
                },
            }
        }
        let parts = wheres
            .iter()
            .map(|text| Predicate::parse(text, &variables, resource.fields()))
            .collect::<Result<_, _>>()
            .map_err(|reason| invalid("where", &reason))?;
        query.predicate = Predicate::And(parts);
        Ok(query)
    }

    /// Whether the records come in the order of their ids.
    pub(super) fn is_by_id(&self) -> bool {
        self.sort == Some(Sort::Id { descending: false })
    }

    /// What commercetools says of so many records: with a predicate it counts no further than this.
    fn counted(&self, total: usize) -> usize {
        match &self.predicate {
            Predicate::And(parts) if parts.is_empty() => total,
            _ => total.min(LARGEST_OFFSET),
        }
    }

    /// The page of `collection` that the query asks for.
    pub(super) fn page<'a>(&self, collection: &'a Collection, view: View) -> Page<'a> {
        let mut matching = collection
            .within(self.predicate.id_bounds(), view)
            .filter(|record| self.predicate.holds(record));
        if self.sort == Some(Sort::Id { descending: false }) {
            let mut total = matching.by_ref().take(self.offset).count();
            let records: Vec<_> = matching.by_ref().take(self.limit).collect();
            total += records.len();
            return Page {
                records,
                total: self
                    .with_total
                    .then(|| self.counted(total + matching.count())),
            };
        }
        let mut records: Vec<_> = matching.collect();
        match self.sort {
            Some(Sort::Id { .. }) => records.reverse(),
            Some(Sort::CreatedAt { descending: false }) => records.sort_by_key(Record::created_at),
            Some(Sort::CreatedAt { descending: true }) => {
                records.sort_by_key(|record| Reverse(record.created_at()));
            }
            Some(Sort::LastModifiedAt { descending: false }) => {
                records.sort_by_key(Record::last_modified_at);
            }
            Some(Sort::LastModifiedAt { descending: true }) => {
                records.sort_by_key(|record| Reverse(record.last_modified_at()));
            }
            // Without `sort` the order means nothing; it is certainly not that of the ids.
            None => records.sort_by_key(Record::place),
        }
        let total = records.len();
        Page {
            records: records
                .into_iter()
                .skip(self.offset)
                .take(self.limit)
                .collect(),
            total: self.with_total.then(|| self.counted(total)),
        }
    }
}

fn has_projections(resource: Resource) -> bool {
    matches!(
        resource,
        Resource::ProductProjections | Resource::VariantProjections
    )
}

fn invalid(parameter: &str, reason: &str) -> Problem {
    Problem::invalid_input(format!("Malformed parameter: {parameter}: {reason}"))
}

fn number(name: &str, text: &str, largest: usize) -> Result<usize, Problem> {
    text.parse()
        .ok()
        .filter(|number| *number <= largest)
        .ok_or_else(|| invalid(name, &format!("'{text}' is not within [0..{largest}]")))
}

fn truth(name: &str, text: &str) -> Result<bool, Problem> {
    text.parse()
        .map_err(|_| invalid(name, &format!("'{text}' is not true or false")))
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn sort(text: &str) -> Result<Sort, Problem> {
    let mut words = text.split_ascii_whitespace();
    let (field, direction, rest) = (words.next(), words.next(), words.next());
    let descending = match direction {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(_) => return Err(invalid("sort", text)),
    };
    match (field, rest) {
        (Some("id"), None) => Ok(Sort::Id { descending }),
        (Some("createdAt"), None) => Ok(Sort::CreatedAt { descending }),
        (Some("lastModifiedAt"), None) => Ok(Sort::LastModifiedAt { descending }),
        _ => Err(invalid("sort", text)),
    }
}
