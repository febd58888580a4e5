//! Custom objects: documents under container and key, guarded by their version.
//! <https://docs.commercetools.com/api/projects/custom-objects>

use std::collections::BTreeMap;

use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::{Builder, Uuid};

use super::predicate::Fields;
use super::problem::Problem;
use crate::seed::timestamp;

/// A custom object may have at most so many bytes of value.
const LONGEST_VALUE: usize = 2 * 1024 * 1024;
const LONGEST_KEY: usize = 256;

/// A custom object as stored.
#[derive(Clone, Debug)]
pub struct CustomObject {
    /// Its id.
    pub id: Uuid,
    /// 1 when created, one more with each replacement.
    pub version: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last replaced.
    pub last_modified_at: Timestamp,
    /// Its container.
    pub container: String,
    /// Its key.
    pub key: String,
    /// Its value, without the members that were null.
    pub value: Value,
}

/// How the API refuses to create an object that another caller has created in the meantime. Both have been seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RacingCreation {
    /// 409 `ConcurrentModification`.
    #[default]
    Conflict,
    /// 400 `DuplicateField`.
    DuplicateField,
}

/// All custom objects, by container and key.
#[derive(Debug, Default)]
pub(super) struct CustomObjects {
    objects: BTreeMap<(String, String), CustomObject>,
    created: u64,
    pub(super) racing_creation: RacingCreation,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    container: String,
    key: String,
    value: Value,
    version: Option<u64>,
}

impl CustomObjects {
    pub(super) fn get(&self, container: &str, key: &str) -> Option<&CustomObject> {
        self.objects.get(&(container.to_owned(), key.to_owned()))
    }

    /// The objects of one container, by key.
    pub(super) fn of<'a>(&'a self, container: &'a str) -> impl Iterator<Item = &'a CustomObject> {
        self.objects
            .values()
            .filter(move |object| object.container == container)
    }

    /// Creates (201) or replaces (200). A version is compared where there is an object: where there is none, one is created.
    pub(super) fn post(
        &mut self,
        now: Timestamp,
        body: &[u8],
    ) -> Result<(StatusCode, &CustomObject), Problem> {
        if body.len() > LONGEST_VALUE {
            return Err(Problem::invalid_input("The value is too large."));
        }
        let mut draft: Draft = serde_json::from_slice(body).map_err(|error| {
            Problem::invalid_input(format!("Request body does not contain valid JSON: {error}"))
        })?;
        for (name, text) in [("container", &draft.container), ("key", &draft.key)] {
            if !is_identifier(text) {
                return Err(Problem::invalid_input(format!(
                    "'{name}' must match [-_~.a-zA-Z0-9]+."
                )));
            }
        }
        drop_nulls(&mut draft.value);

        let place = (draft.container.clone(), draft.key.clone());
        let current = self.objects.get(&place).map_or(0, |object| object.version);
        match draft.version {
            Some(asked) if current == 0 || asked == current => {}
            Some(0) if self.racing_creation == RacingCreation::DuplicateField => {
                return Err(Problem::duplicate_field());
            }
            Some(asked) => return Err(Problem::concurrent_modification(asked, current)),
            None => {}
        }
        let status = if current == 0 {
            self.created += 1;
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        let created = self.created;
        let object = self.objects.entry(place).or_insert_with(|| CustomObject {
            id: object_id(created),
            version: 0,
            created_at: now,
            last_modified_at: now,
            container: draft.container,
            key: draft.key,
            value: Value::Null,
        });
        object.version += 1;
        object.last_modified_at = now;
        object.value = draft.value;
        Ok((status, object))
    }

    pub(super) fn delete(
        &mut self,
        container: &str,
        key: &str,
        version: Option<u64>,
    ) -> Result<CustomObject, Problem> {
        let place = (container.to_owned(), key.to_owned());
        let current = self
            .objects
            .get(&place)
            .ok_or_else(|| Problem::not_found(key))?
            .version;
        if let Some(asked) = version
            && asked != current
        {
            return Err(Problem::concurrent_modification(asked, current));
        }
        self.objects
            .remove(&place)
            .ok_or_else(|| Problem::not_found(key))
    }
}

impl CustomObject {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "id": self.id.to_string(),
            "version": self.version,
            "createdAt": timestamp(self.created_at),
            "lastModifiedAt": timestamp(self.last_modified_at),
            "container": self.container,
            "key": self.key,
            "value": self.value,
        })
    }
}

impl Fields for CustomObject {
    fn field(&self, name: &str) -> Option<Value> {
        self.to_json().get_mut(name).map(Value::take)
    }
}

fn object_id(number: u64) -> Uuid {
    let bytes = (0x00c0_ffee_u128 << 96) | u128::from(number);
    Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid()
}

fn is_identifier(text: &str) -> bool {
    (1..=LONGEST_KEY).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_~.".contains(&byte))
}

/// commercetools does not keep members that are null.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(elements) => elements.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
