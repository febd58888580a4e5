//! Parts of what the API shows.

use serde_json::Value;

/// A line of the check.
pub(crate) fn line<'a>(check: &'a Value, what: &str) -> &'a Value {
    let lines = check["lines"].as_array().expect("lines");
    lines
        .iter()
        .find(|line| line["what"] == what)
        .unwrap_or_else(|| panic!("no line {what}: {check}"))
}

/// The steps of the plan: resource and state.
pub(crate) fn steps(status: &Value) -> Vec<(&str, &str)> {
    let steps = status["plan"]["steps"].as_array().expect("steps");
    steps
        .iter()
        .map(|step| {
            let text = |member: &str| step[member].as_str().unwrap_or_default();
            (text("resource"), text("state"))
        })
        .collect()
}
