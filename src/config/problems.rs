//! The raw values of the variables, and what is wrong with them.

use std::collections::BTreeMap;

/// One problem of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct VariableProblem {
    /// The variable's name.
    pub variable: &'static str,
    /// What is expected; never the value of a secret.
    pub expected: String,
}

/// All problems of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.summary())]
pub struct Problems(pub Vec<VariableProblem>);

impl Problems {
    fn summary(&self) -> String {
        let lines: Vec<String> = self
            .0
            .iter()
            .map(|problem| format!("{}: {}", problem.variable, problem.expected))
            .collect();
        format!("the configuration is not usable: {}", lines.join("; "))
    }
}

/// The raw values by variable name. An absent variable counts as empty.
pub type Values = BTreeMap<&'static str, String>;
