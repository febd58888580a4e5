//! Spin's templates: text with `{{ name }}` places that variables fill.

use anyhow::{Context, Result, bail};

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(String),
}

impl Template {
    /// Parses `text`; refuses an opened place that is not closed and a name that no variable can have.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (name, after) = after
                .split_once("}}")
                .with_context(|| format!("`{text}` opens `{{{{` and does not close it"))?;
            let name = name.trim();
            if !is_variable_name(name) {
                bail!("`{text}` names `{name}`, which is not a variable name");
            }
            parts.push(Part::Variable(name.to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// The text with every place filled; `value` gives a variable's value.
    pub(crate) fn render<'a>(
        &self,
        mut value: impl FnMut(&str) -> Result<&'a str>,
    ) -> Result<String> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Variable(name) => text.push_str(value(name)?),
            }
        }
        Ok(text)
    }
}

/// Whether Spin takes `name` as the name of a variable: a lower-case letter, then lower-case letters, digits and single
/// underscores.
pub(crate) fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.ends_with('_')
        && !name.contains("__")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str) -> Result<String> {
        Template::parse(text)?.render(|name| match name {
            "host" => Ok("example.com"),
            "port_1" => Ok("443"),
            other => bail!("no {other}"),
        })
    }

    #[test]
    fn fills_places_and_keeps_the_rest() {
        assert_eq!(render("plain").unwrap(), "plain");
        assert_eq!(
            render("https://{{ host }}:{{port_1}}/").unwrap(),
            "https://example.com:443/"
        );
        assert_eq!(
            render("{{host}}{{ host }}").unwrap(),
            "example.comexample.com"
        );
    }

    #[test]
    fn refuses_what_spin_refuses() {
        for text in [
            "{{ open",
            "{{ Upper }}",
            "{{}}",
            "{{ a-b }}",
            "{{ a__b }}",
            "{{ _a }}",
        ] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
        assert!(render("{{ unknown }}").is_err());
    }
}
