//! Query parameters: known names only, `fields[…]`, `page[…]`, `sort` and `filter`.

use std::cmp::Ordering;

use form_urlencoded::Serializer;
use serde_json::{Map, Value};

use super::answer::Fault;

/// Most ids that `any(…)` takes.
const MAX_FILTER_VALUES: usize = 100;
const MAX_PAGE_SIZE: usize = 100;

/// The query of one request, decoded.
#[derive(Debug)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    pub(super) fn parse(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
        Self { pairs }
    }

    /// Refuses parameters that are not in `known`, and repeated ones.
    pub(super) fn allow(&self, known: &[&str]) -> Result<(), Fault> {
        for (n, (name, _)) in self.pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(Fault::parameter(
                    name,
                    format!("'{name}' is not a known parameter."),
                ));
            }
            if self.pairs[..n].iter().any(|(earlier, _)| earlier == name) {
                return Err(Fault::parameter(
                    name,
                    format!("'{name}' is there more than once."),
                ));
            }
        }
        Ok(())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether `include` names `relation`; anything else in it is refused.
    pub(super) fn includes(&self, relation: &str) -> Result<bool, Fault> {
        match self.get("include") {
            None => Ok(false),
            Some(value) if value == relation => Ok(true),
            Some(value) => Err(Fault::parameter(
                "include",
                format!("'{value}' cannot be included."),
            )),
        }
    }

    /// The attributes that `fields[resource]` asks for, if it is there; `known` are all there can be.
    pub(super) fn fields(
        &self,
        resource: &str,
        known: &[&str],
    ) -> Result<Option<Vec<&str>>, Fault> {
        let parameter = format!("fields[{resource}]");
        let Some(wanted) = self.get(&parameter) else {
            return Ok(None);
        };
        let wanted: Vec<&str> = wanted.split(',').collect();
        if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
            return Err(Fault::parameter(
                &parameter,
                format!("'{unknown}' is not a field of {resource}."),
            ));
        }
        Ok(Some(wanted))
    }

    /// Leaves only the attributes that `fields[resource]` asks for; `known` are all there can be.
    pub(super) fn sparse(
        &self,
        resource: &str,
        known: &[&str],
        attributes: &mut Map<String, Value>,
    ) -> Result<(), Fault> {
        if let Some(wanted) = self.fields(resource, known)? {
            attributes.retain(|name, _| wanted.contains(&name.as_str()));
        }
        Ok(())
    }

    /// `page[size]`, from 1 to 100.
    pub(super) fn page_size(&self, default: usize) -> Result<usize, Fault> {
        let Some(value) = self.get("page[size]") else {
            return Ok(default);
        };
        match value.parse() {
            Ok(size) if (1..=MAX_PAGE_SIZE).contains(&size) => Ok(size),
            _ => Err(Fault::parameter(
                "page[size]",
                format!("Page size must be an integer between 1 and {MAX_PAGE_SIZE}."),
            )),
        }
    }

    /// The key after which the page begins.
    pub(super) fn cursor(&self) -> Result<Option<String>, Fault> {
        let Some(value) = self.get("page[cursor]") else {
            return Ok(None);
        };
        decode_cursor(value)
            .map(Some)
            .ok_or_else(|| Fault::parameter("page[cursor]", "Invalid cursor."))
    }

    /// Whether the newest come first (`sort=-{field}`); `None` without `sort`.
    pub(super) fn sort(&self, field: &str) -> Result<Option<Order>, Fault> {
        match self.get("sort") {
            None => Ok(None),
            Some(value) if value == field => Ok(Some(Order::Ascending)),
            Some(value) if value.strip_prefix('-') == Some(field) => Ok(Some(Order::Descending)),
            Some(value) => Err(Fault::parameter(
                "sort",
                format!("Cannot sort by '{value}'."),
            )),
        }
    }

    /// The conditions of `filter`, all of which have to hold; `known` pairs fields with operators.
    pub(super) fn filters(&self, known: &[(&str, &[Operator])]) -> Result<Vec<Filter>, Fault> {
        let Some(text) = self.get("filter") else {
            return Ok(Vec::new());
        };
        let filters = parse_filters(text).ok_or_else(|| {
            Fault::parameter("filter", format!("Cannot make sense of the filter {text}."))
        })?;
        for filter in &filters {
            let allowed = known.iter().any(|(field, operators)| {
                *field == filter.field && operators.contains(&filter.operator)
            });
            if !allowed {
                return Err(Fault::parameter(
                    "filter",
                    format!("'{}' cannot be filtered in this way.", filter.field),
                ));
            }
            if filter.values.len() > MAX_FILTER_VALUES {
                return Err(Fault::parameter(
                    "filter",
                    format!("A filter takes {MAX_FILTER_VALUES} values at most."),
                ));
            }
        }
        Ok(filters)
    }

    /// The same query, with the cursor for the page after `key`.
    pub(super) fn after(&self, key: &str) -> String {
        let mut query = Serializer::new(String::new());
        for (name, value) in self.pairs.iter().filter(|(name, _)| name != "page[cursor]") {
            query.append_pair(name, value);
        }
        query.append_pair("page[cursor]", &encode_cursor(key));
        query.finish()
    }

    /// The query as it came.
    pub(super) fn same(&self) -> String {
        Serializer::new(String::new())
            .extend_pairs(&self.pairs)
            .finish()
    }
}

/// The order that `sort` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Ascending,
    Descending,
}

impl Order {
    pub(super) fn apply(self, ordering: Ordering) -> Ordering {
        match self {
            Order::Ascending => ordering,
            Order::Descending => ordering.reverse(),
        }
    }
}

/// A cursor is opaque to clients: the key in hexadecimal digits.
fn encode_cursor(key: &str) -> String {
    key.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn decode_cursor(cursor: &str) -> Option<String> {
    if cursor.is_empty() || !cursor.len().is_multiple_of(2) || !cursor.is_ascii() {
        return None;
    }
    let bytes: Option<Vec<u8>> = (0..cursor.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&cursor[at..at + 2], 16).ok())
        .collect();
    String::from_utf8(bytes?).ok()
}

/// The operators of `filter` that are simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equals,
    Any,
    Contains,
}

/// One condition of a filter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) field: String,
    pub(super) operator: Operator,
    pub(super) values: Vec<String>,
}

impl Filter {
    /// Whether a text passes.
    pub(super) fn passes(&self, text: &str) -> bool {
        match self.operator {
            Operator::Equals | Operator::Any => self.values.iter().any(|value| value == text),
            Operator::Contains => self.values.iter().any(|value| text.contains(value)),
        }
    }

    /// Whether a text passes, in any case.
    pub(super) fn passes_in_any_case(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.values.iter().any(|value| value.to_lowercase() == text)
    }
}

/// Parses `operator(field,value)`, several of them separated by commas.
fn parse_filters(text: &str) -> Option<Vec<Filter>> {
    let mut rest = text;
    let mut filters = Vec::new();
    loop {
        let filter;
        (filter, rest) = parse_filter(rest)?;
        filters.push(filter);
        if rest.is_empty() {
            return Some(filters);
        }
        rest = rest.strip_prefix(',')?;
    }
}

fn parse_filter(text: &str) -> Option<(Filter, &str)> {
    let (operator, rest) = text.split_once('(')?;
    let operator = match operator {
        "equals" => Operator::Equals,
        "any" => Operator::Any,
        "contains" => Operator::Contains,
        _ => return None,
    };
    let (field, rest) = rest.split_once(',')?;
    let (values, rest) = if operator == Operator::Any {
        parse_list(rest.strip_prefix('[')?)?
    } else {
        let (value, rest) = parse_value(rest)?;
        (vec![value], rest)
    };
    let filter = Filter {
        field: field.to_owned(),
        operator,
        values,
    };
    Some((filter, rest.strip_prefix(')')?))
}

fn parse_list(text: &str) -> Option<(Vec<String>, &str)> {
    let mut values = Vec::new();
    let mut rest = text;
    loop {
        let value;
        (value, rest) = parse_value(rest)?;
        values.push(value);
        if let Some(rest) = rest.strip_prefix(']') {
            return Some((values, rest));
        }
        rest = rest.strip_prefix(',')?;
    }
}

/// A text in single or double quotes, in which `\` escapes, or a bare `true` or `false`.
fn parse_value(text: &str) -> Option<(String, &str)> {
    for word in ["true", "false"] {
        if let Some(rest) = text.strip_prefix(word) {
            return Some((word.to_owned(), rest));
        }
    }
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            value.push(c);
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return Some((value, &text[at + 1..]));
        } else {
            value.push(c);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_parsed() {
        let text = r#"any(ids,["a\"b",'c']),equals(published,true)"#;
        assert_eq!(
            parse_filters(text),
            Some(vec![
                Filter {
                    field: "ids".to_owned(),
                    operator: Operator::Any,
                    values: vec!["a\"b".to_owned(), "c".to_owned()],
                },
                Filter {
                    field: "published".to_owned(),
                    operator: Operator::Equals,
                    values: vec!["true".to_owned()],
                },
            ])
        );
    }

    #[test]
    fn broken_filters_are_not() {
        for text in [
            "",
            "any(ids,[])",
            "any(ids,['a'",
            "equals(ids,a)",
            "greater-than(ids,'a')",
            "equals(ids,'a')x",
            "equals(ids,'a'),",
        ] {
            assert_eq!(parse_filters(text), None, "{text}");
        }
    }

    #[test]
    fn a_cursor_comes_back_as_the_key() {
        let query = Query::parse(Some("page%5Bsize%5D=2&page[cursor]=00"));
        let next = Query::parse(Some(&query.after("$custom:::ä")));
        assert_eq!(next.cursor(), Ok(Some("$custom:::ä".to_owned())));
        assert_eq!(next.page_size(20), Ok(2));
        assert!(Query::parse(Some("page[cursor]=xyz")).cursor().is_err());
    }

    #[test]
    fn unknown_parameters_and_sizes_are_refused() {
        let known = ["page[size]"];
        assert!(Query::parse(Some("page[size]=5")).allow(&known).is_ok());
        assert!(Query::parse(Some("page[limit]=5")).allow(&known).is_err());
        assert!(
            Query::parse(Some("page[size]=5&page[size]=6"))
                .allow(&known)
                .is_err()
        );
        for size in ["0", "101", "x", "-1"] {
            let query = Query::parse(Some(&format!("page[size]={size}")));
            assert!(query.page_size(20).is_err(), "{size}");
        }
    }
}
