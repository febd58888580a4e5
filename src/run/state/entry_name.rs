//! The names of catalog entries in the cursor, and how lists of them are stored.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An id has 36 characters (a UUID); one of somebody else's catalog can be longer.
const MAX_ID: usize = 1_000;

/// An entry's name: the id of its record, and, where the entry is a part of it, a slash and the part's name, such as a
/// product's id and a variant's sku.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryName<'a> {
    /// The record's id in commercetools, which has no slash in it.
    pub id: &'a str,
    /// The part of it.
    pub part: Option<&'a str>,
}

impl<'a> EntryName<'a> {
    /// Splits a name.
    #[must_use]
    pub fn read(name: &'a str) -> Self {
        match name.split_once('/') {
            Some((id, part)) => Self {
                id,
                part: Some(part),
            },
            None => Self {
                id: name,
                part: None,
            },
        }
    }
}

/// What an entry is called in Klaviyo: a part has a name of its own, a record its id.
pub fn own_name(name: &str, is_part: bool) -> &str {
    match EntryName::read(name).part {
        Some(part) if is_part => part,
        _ => name,
    }
}

impl fmt::Display for EntryName<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.id)?;
        self.part
            .map_or(Ok(()), |part| write!(formatter, "/{part}"))
    }
}

/// Writes names; the id is left out where it is that of the name before, which halves the list of a product's variants.
pub(super) fn serialize<S: Serializer>(names: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    let mut last = "";
    let short = names.iter().map(|name| {
        let EntryName { id, part } = EntryName::read(name);
        let is_repeated = part.is_some() && id == last;
        last = id;
        if is_repeated { &name[id.len()..] } else { name }
    });
    short.collect::<Vec<&str>>().serialize(serializer)
}

/// What names take up as [`serialize`] writes them, about, in bytes.
pub(super) fn stored_bytes(names: &[String]) -> usize {
    let mut last = "";
    let names = names.iter().map(|name| {
        let EntryName { id, part } = EntryName::read(name);
        let is_repeated = id == last;
        last = id;
        let id = if is_repeated { 0 } else { id.len() };
        id + part.map_or(0, str::len) + r#""/","#.len()
    });
    names.sum()
}

/// Reads what [`serialize`] has written.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let mut names: Vec<String> = Vec::deserialize(deserializer)?;
    let mut last = String::new();
    for name in &mut names {
        if name.starts_with('/') {
            // written once and meant many times: what is no id would take up all the memory there is
            if last.len() > MAX_ID {
                return Err(D::Error::custom("an entry's id is too long"));
            }
            name.insert_str(0, &last);
        } else {
            EntryName::read(name).id.clone_into(&mut last);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct List(#[serde(with = "super")] Vec<String>);

    #[test]
    fn names_are_read_as_they_were_written() {
        let names = ["a/1", "a/2/x", "b", "b", "c/", "c/3"]
            .map(str::to_owned)
            .to_vec();
        let text = serde_json::to_string(&List(names.clone())).unwrap();
        assert_eq!(text, r#"["a/1","/2/x","b","b","c/","/3"]"#);
        assert_eq!(serde_json::from_str::<List>(&text).unwrap().0, names);
        assert_eq!(
            super::stored_bytes(&names),
            "a1b".len() + "2/xc".len() + 3 + 4 * 6 - 2
        );
    }
}
