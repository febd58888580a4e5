//! Files of ids.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use uuid::Uuid;

/// Ids that one run takes.
pub(crate) const A_RUN: usize = 5_000;

/// Reads the ids in a file, or on standard input where it is `-`, each once, in their order.
///
/// # Errors
/// If the file cannot be read, has no ids, or has something else in it; the line is named.
pub(crate) fn read(file: &Path) -> Result<Vec<String>> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin()
            .read_to_string(&mut text)
            .context("reading ids from standard input")?;
    } else {
        text = std::fs::read_to_string(file)
            .with_context(|| format!("reading the ids in {}", file.display()))?;
    }
    parse(&text).with_context(|| format!("in {}", file.display()))
}

/// Ids between blanks, commas, semicolons, quotes and the ends of lines.
fn parse(text: &str) -> Result<Vec<String>> {
    let mut known = HashSet::new();
    let mut ids = Vec::new();
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let parts = line.split(|letter: char| letter.is_whitespace() || ",;\"'".contains(letter));
        for part in parts.filter(|part| !part.is_empty()) {
            let Some(id) = id(part) else {
                let shown: String = part.chars().take(60).collect();
                bail!(
                    "line {}: `{}` is not an id of commercetools (a UUID)",
                    at + 1,
                    shown.escape_debug()
                );
            };
            if known.insert(id.clone()) {
                ids.push(id);
            }
        }
    }
    if ids.is_empty() {
        bail!("there is no id");
    }
    Ok(ids)
}

/// Only the form with hyphens, which is what commercetools has.
fn id(text: &str) -> Option<String> {
    let id = Uuid::try_parse(text).ok()?.hyphenated().to_string();
    id.eq_ignore_ascii_case(text).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0000000a-0000-4000-8000-000000000000";
    const TWO: &str = "0000000b-0000-4000-8000-000000000000";

    #[test]
    fn ids_are_read_however_they_are_listed() {
        let upper = ONE.to_ascii_uppercase();
        for text in [
            format!("{ONE}\n{TWO}\n"),
            format!("\u{feff}{ONE}\r\n\r\n{TWO}"),
            format!("[\"{upper}\", '{TWO}'];{ONE}").replace(['[', ']'], " "),
            format!("{ONE};{TWO},{upper}"),
        ] {
            assert_eq!(parse(&text).expect("ids"), [ONE, TWO], "{text}");
        }
    }

    #[test]
    fn what_is_no_id_is_named_with_its_line() {
        for (text, named) in [
            (format!("{ONE}\nid\n"), "line 2: `id`"),
            (ONE.replace('-', ""), "line 1"),
            (format!("{{{ONE}}}"), "line 1"),
            (" \n,".to_owned(), "no id"),
        ] {
            let error = parse(&text).expect_err(&text).to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
