//! Records as they should not be.

use proptest::prelude::*;
use serde_json::Value;

/// Any JSON; strings and keys are often those that a mapping looks at.
pub(crate) fn any_json(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    let word = prop_oneof![
        3 => prop::sample::select(words).prop_map(|word| format!("\"{word}\"")),
        1 => any::<String>().prop_map(|text| Value::from(text).to_string()),
        1 => Just(r#""\ud800\u0041""#.to_owned()),
    ];
    let leaf = prop_oneof![
        4 => word.clone(),
        1 => prop::sample::select(&["null", "true", "false", "0", "-0.0", "12", "1e999", "123456789012345678901234567890"])
            .prop_map(str::to_owned),
        1 => any::<i64>().prop_map(|number| number.to_string()),
    ];
    leaf.prop_recursive(4, 48, 8, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(|elements| format!("[{}]", elements.join(" , "))),
            3 => prop::collection::vec((word.clone(), inner), 0..8).prop_map(|members| {
                let members: Vec<String> = members.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}
