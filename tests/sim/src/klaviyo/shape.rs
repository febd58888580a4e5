//! Strict shapes of request bodies: what is not described here is refused, with a pointer.

use serde_json::{Map, Value};

use super::answer::Fault;

/// What a JSON value has to look like.
pub(super) enum Shape {
    Text,
    Flag,
    Number,
    Integer,
    TextOrNumber,
    TextOrTexts,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// An object with any keys.
    AnyObject,
    ListOf(&'static Shape),
    /// An object with these fields and no others; in several groups, so that groups can be shared.
    Object(&'static [&'static [Field]]),
}

/// A field of an object.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) presence: Presence,
    pub(super) shape: Shape,
}

/// Whether a field may be left out or be null.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// Has to be there, not null.
    Required,
    /// May be left out, is not null.
    Optional,
    /// May be left out or null.
    Nullable,
}

/// Fields of an object: `fields! { Required "id": Shape::Text, … }`.
macro_rules! fields {
    ($($presence:ident $name:literal: $shape:expr),* $(,)?) => {
        &[$($crate::klaviyo::shape::Field {
            name: $name,
            presence: $crate::klaviyo::shape::Presence::$presence,
            shape: $shape,
        }),*]
    };
}

/// A closed object of the fields listed.
macro_rules! object {
    ($($fields:tt)*) => {
        $crate::klaviyo::shape::Shape::Object(&[$crate::klaviyo::shape::fields! { $($fields)* }])
    };
}

/// `{"data": …}`
macro_rules! data {
    ($shape:expr) => {
        $crate::klaviyo::shape::object! { Required "data": $shape }
    };
}

pub(super) use {data, fields, object};

/// Everything in `value` that the shape does not allow.
pub(super) fn faults(value: &Value, shape: &Shape) -> Vec<Fault> {
    let mut found = Vec::new();
    check(value, shape, &mut String::new(), &mut found);
    found
}

fn check(value: &Value, shape: &Shape, at: &mut String, found: &mut Vec<Fault>) {
    let fits = match shape {
        Shape::Text => value.is_string(),
        Shape::Flag => value.is_boolean(),
        Shape::Number => value.is_number(),
        Shape::Integer => value.is_i64() || value.is_u64(),
        Shape::TextOrNumber => value.is_string() || value.is_number(),
        Shape::TextOrTexts => {
            value.is_string()
                || value
                    .as_array()
                    .is_some_and(|texts| texts.iter().all(Value::is_string))
        }
        Shape::OneOf(texts) => value.as_str().is_some_and(|text| texts.contains(&text)),
        Shape::AnyObject => value.is_object(),
        Shape::ListOf(element) => match value.as_array() {
            Some(values) => {
                for (n, value) in values.iter().enumerate() {
                    within(at, &n.to_string(), |at| check(value, element, at, found));
                }
                true
            }
            None => false,
        },
        Shape::Object(groups) => match value.as_object() {
            Some(object) => {
                check_object(object, groups, at, found);
                true
            }
            None => false,
        },
    };
    if !fits {
        found.push(Fault::invalid(
            at.clone(),
            format!("Expected {}.", shape.name()),
        ));
    }
}

fn check_object(
    object: &Map<String, Value>,
    groups: &[&[Field]],
    at: &mut String,
    found: &mut Vec<Fault>,
) {
    let fields = || groups.iter().copied().flatten();
    for (name, value) in object {
        within(at, name, |at| {
            match fields().find(|field| field.name == name) {
                None => found.push(Fault::invalid(
                    at.clone(),
                    format!("'{name}' is not a valid field."),
                )),
                Some(field) if value.is_null() && field.presence == Presence::Nullable => {}
                Some(field) => check(value, &field.shape, at, found),
            }
        });
    }
    let missing = fields()
        .filter(|field| field.presence == Presence::Required && !object.contains_key(field.name));
    for field in missing {
        within(at, field.name, |at| {
            found.push(Fault::invalid(
                at.clone(),
                format!("'{}' is a required field.", field.name),
            ));
        });
    }
}

/// Runs `then` with `segment` appended to the pointer (escaped as RFC 6901 says).
fn within(at: &mut String, segment: &str, then: impl FnOnce(&mut String)) {
    let length = at.len();
    at.push('/');
    if segment.contains(['~', '/']) {
        at.push_str(&segment.replace('~', "~0").replace('/', "~1"));
    } else {
        at.push_str(segment);
    }
    then(at);
    at.truncate(length);
}

impl Shape {
    fn name(&self) -> String {
        match self {
            Shape::Text => "a string".to_owned(),
            Shape::Flag => "a boolean".to_owned(),
            Shape::Number => "a number".to_owned(),
            Shape::Integer => "an integer".to_owned(),
            Shape::TextOrNumber => "a string or a number".to_owned(),
            Shape::TextOrTexts => "a string or a list of strings".to_owned(),
            Shape::OneOf(texts) => format!("one of {}", texts.join(", ")),
            Shape::AnyObject | Shape::Object(_) => "an object".to_owned(),
            Shape::ListOf(_) => "a list".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SHAPE: Shape = object! {
        Required "title": Shape::Text,
        Nullable "price": Shape::Number,
        Optional "tags": Shape::ListOf(&Shape::OneOf(&["a", "b"])),
    };

    fn pointers(value: &Value) -> Vec<Fault> {
        faults(value, &SHAPE)
    }

    #[test]
    fn what_fits_has_no_faults() {
        assert_eq!(
            pointers(&json!({"title": "x", "price": null, "tags": ["a"]})),
            []
        );
    }

    #[test]
    fn each_fault_is_pointed_at() {
        let found = pointers(&json!({"price": "1", "tags": ["a", "c"], "a/b": 1}));
        assert_eq!(
            found,
            [
                Fault::invalid("/price", "Expected a number."),
                Fault::invalid("/tags/1", "Expected one of a, b."),
                Fault::invalid("/a~1b", "'a/b' is not a valid field."),
                Fault::invalid("/title", "'title' is a required field."),
            ]
        );
        assert_eq!(
            pointers(&json!({"title": null})),
            [Fault::invalid("/title", "Expected a string.")]
        );
    }
}
