//! `filter[attributes]` of projections: which attributes of a product and its variants are in the response
//! (<https://docs.commercetools.com/api/releases/2025-09-19-introduced-attribute-filtering-for-product-projections>).

use serde_json::Value;

use super::problem::Problem;
use crate::seed;

/// The parameter. It can be given several times.
pub(super) const FILTER: &str = "filter[attributes]";

/// What becomes of a name in `filter[attributes]` that no product type defines: that is not documented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownAttributes {
    /// It is a name like any other: no product has such an attribute.
    #[default]
    LikeOthers,
    /// It is ignored: as if it had not been given.
    Ignored,
    /// The request is refused with the status 400.
    Refused,
}

impl UnknownAttributes {
    /// Each way.
    pub const ALL: [Self; 3] = [Self::LikeOthers, Self::Ignored, Self::Refused];
}

/// Which attributes are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct AttributeFilter {
    /// Only these; all, if absent.
    included: Option<Vec<String>>,
    /// Not these.
    excluded: Vec<String>,
}

impl AttributeFilter {
    /// That keeps none.
    pub(super) fn none() -> Self {
        Self {
            included: Some(Vec::new()),
            excluded: Vec::new(),
        }
    }

    /// Takes one more value of the parameter: a name, or one with a leading `-` that excludes it.
    pub(super) fn add(&mut self, value: &str, how: UnknownAttributes) -> Result<(), Problem> {
        let (name, is_excluded) = match value.strip_prefix('-') {
            Some(name) => (name, true),
            None => (value, false),
        };
        if !is_attribute_name(name) {
            return Err(invalid(value));
        }
        match how {
            UnknownAttributes::Ignored if !seed::is_attribute(name) => return Ok(()),
            UnknownAttributes::Refused if !seed::is_attribute(name) => return Err(invalid(value)),
            _ => {}
        }
        let names = match is_excluded {
            true => &mut self.excluded,
            false => self.included.get_or_insert_default(),
        };
        names.push(name.to_owned());
        Ok(())
    }

    /// Whether attributes with this name are kept.
    pub(super) fn keeps(&self, name: &str) -> bool {
        let is_in = |names: &Vec<String>| names.iter().any(|one| one == name);
        self.included.as_ref().is_none_or(is_in) && !is_in(&self.excluded)
    }

    /// Leaves out of a projection, and of its variants, what is not kept.
    pub(super) fn apply(&self, projection: &mut Value) {
        if *self == Self::default() {
            return;
        }
        if let Some(attributes) = projection
            .get_mut("attributes")
            .and_then(Value::as_array_mut)
        {
            attributes.retain(|one| one["name"].as_str().is_some_and(|name| self.keeps(name)));
        }
        if let Some(master) = projection.get_mut("masterVariant") {
            self.apply(master);
        }
        let variants = projection.get_mut("variants").and_then(Value::as_array_mut);
        for variant in variants.into_iter().flatten() {
            self.apply(variant);
        }
    }
}

fn invalid(value: &str) -> Problem {
    Problem::invalid_input(format!("Malformed parameter: {FILTER}: {value}"))
}

/// 2 to 256 letters, digits, `_` and `-`
/// (<https://docs.commercetools.com/api/projects/productTypes#attributedefinition>).
fn is_attribute_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (2..=256).contains(&name.len()) && name.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const UNKNOWN: &str = "no-shop-has-this";

    fn filter(values: &[&str], how: UnknownAttributes) -> Option<AttributeFilter> {
        let mut filter = AttributeFilter::default();
        let mut values = values.iter();
        values
            .try_for_each(|value| filter.add(value, how))
            .ok()
            .map(|()| filter)
    }

    fn kept(values: &[&str], how: UnknownAttributes) -> Option<[bool; 2]> {
        let filter = filter(values, how)?;
        Some(["color", "size"].map(|name| filter.keeps(name)))
    }

    #[test]
    fn attributes_are_included_or_excluded_by_name() {
        for how in UnknownAttributes::ALL {
            assert_eq!(kept(&[], how), Some([true, true]));
            assert_eq!(kept(&["color"], how), Some([true, false]));
            assert_eq!(kept(&["size", "color"], how), Some([true, true]));
            assert_eq!(kept(&["-color"], how), Some([false, true]));
            assert_eq!(kept(&["color", "size", "-size"], how), Some([true, false]));
        }
        assert_eq!(kept(&["a"], UnknownAttributes::LikeOthers), None);
        assert_eq!(kept(&["no,commas"], UnknownAttributes::LikeOthers), None);
    }

    #[test]
    fn an_unknown_name_is_answered_in_each_of_the_ways() {
        let named = |how| kept(&[UNKNOWN], how);
        assert_eq!(named(UnknownAttributes::LikeOthers), Some([false, false]));
        assert_eq!(named(UnknownAttributes::Ignored), Some([true, true]));
        assert_eq!(named(UnknownAttributes::Refused), None);
        let excluded = format!("-{UNKNOWN}");
        let excluded = |how| kept(&[&excluded], how);
        assert_eq!(excluded(UnknownAttributes::LikeOthers), Some([true, true]));
        assert_eq!(excluded(UnknownAttributes::Ignored), Some([true, true]));
        assert_eq!(excluded(UnknownAttributes::Refused), None);
    }

    #[test]
    fn what_is_not_kept_is_left_out_of_the_product_and_all_variants() {
        let both = json!([{"name": "color", "value": 1}, {"name": "size", "value": 2}]);
        let variant = json!({"id": 1, "attributes": both});
        let product = json!({
            "attributes": both, "name": {"en": "x"}, "masterVariant": variant, "variants": [variant, variant],
        });
        let filtered = |values: &[&str]| {
            let mut product = product.clone();
            let filter = filter(values, UnknownAttributes::LikeOthers).unwrap();
            filter.apply(&mut product);
            product
        };
        assert_eq!(filtered(&[]), product);
        let text = filtered(&["-color"]).to_string();
        assert!(!text.contains("color"));
        assert_eq!(text.matches(r#""name":"size""#).count(), 4);
        let text = filtered(&[UNKNOWN]).to_string();
        assert_eq!(text.matches(r#""attributes":[]"#).count(), 4);
    }
}
