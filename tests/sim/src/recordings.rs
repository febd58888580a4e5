//! Recorded answers of the real Klaviyo API, one file for each operation and status.
//!
//! They are not part of the tree. [`shared`] looks for them and says plainly when it finds none.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use serde_json::Value;

use crate::shared::Shared;

/// One recorded answer.
#[derive(Debug)]
pub struct Recording {
    /// The operation and the status, such as `bulk_create_catalog_items.202`: the file's name.
    pub name: String,
    /// The method of the request.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its query, in pairs.
    pub query: Vec<(String, String)>,
    /// The status of the answer.
    pub status: u16,
    /// Those of its headers that were kept, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body; null where there is none.
    pub body: Value,
}

impl Recording {
    /// The path with this query.
    #[must_use]
    pub fn target(path: &str, query: &[(String, String)]) -> String {
        if query.is_empty() {
            return path.to_owned();
        }
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(query)
            .finish();
        format!("{path}?{query}")
    }

    fn read(path: &Path) -> io::Result<Self> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let mut document: Value = serde_json::from_slice(&fs::read(path)?)?;
        let (request, response) = (document["request"].take(), document["response"].take());
        let mut query = Vec::new();
        for (name, value) in request["query"].as_object().into_iter().flatten() {
            match value {
                Value::Object(inner) => {
                    for (key, value) in inner {
                        query.push((format!("{name}[{key}]"), text(value)));
                    }
                }
                value => query.push((name.clone(), text(value))),
            }
        }
        let headers = response["headers"].as_object().into_iter().flatten();
        Ok(Self {
            name: name.into_owned(),
            method: text(&request["method"]),
            path: text(&request["path"]),
            query,
            status: response["status"]
                .as_u64()
                .and_then(|status| status.try_into().ok())
                .ok_or_else(|| io::Error::other("no status"))?,
            headers: headers
                .map(|(name, value)| (name.to_lowercase(), text(value)))
                .collect(),
            body: response["body"].clone(),
        })
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// All recordings by name: from the folder in the environment variable `RECORDINGS_DIR`, else from
/// `../shared/recordings` beside the workspace. `None`, said on standard error, where they are not there.
///
/// # Panics
/// If they are there and cannot be read, and if they are missing where the environment variable `RECORDINGS` says
/// `required`.
#[must_use]
pub fn shared() -> Option<BTreeMap<String, Recording>> {
    let folder = Shared::Recordings.folder();
    let files = match fs::read_dir(folder.join("klaviyo")) {
        Ok(files) => files,
        Err(error) => {
            Shared::Recordings.skip("comparison with recorded answers", &error);
            return None;
        }
    };
    let paths = files.map(|file| file.expect("a file").path());
    let recordings = paths
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .map(|path| {
            let recording = Recording::read(&path);
            let recording = recording.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (recording.name.clone(), recording)
        });
    Some(recordings.collect())
}
