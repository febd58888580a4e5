//! In place of the component's configuration: one variable, which is always right.

use std::collections::BTreeMap;

/// The variables.
pub(crate) const VARIABLES: [&str; 1] = ["peer"];

/// Their values.
pub(crate) type Values = BTreeMap<&'static str, String>;

/// Where the peer is.
pub(crate) struct Config {
    pub(crate) peer: String,
}

impl Config {
    pub(crate) fn parse(values: &Values) -> Result<Self, Problems> {
        match values.get("peer") {
            Some(peer) if !peer.is_empty() => Ok(Self { peer: peer.clone() }),
            _ => Err(Problems(vec![Problem { variable: "peer" }])),
        }
    }
}

/// What is wrong.
pub(crate) struct Problems(pub(crate) Vec<Problem>);

/// A variable that has no value.
#[derive(serde::Serialize)]
pub(crate) struct Problem {
    pub(crate) variable: &'static str,
}

/// None is needed here.
pub(crate) struct Secret;

impl From<String> for Secret {
    fn from(_: String) -> Self {
        Self
    }
}
