//! Custom objects with compare-and-set (<https://docs.commercetools.com/api/projects/custom-objects>).

use std::collections::BTreeMap;

use http::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::form_urlencoded;

use super::client::{Call, Client};
use super::query::{self, value_in};
use crate::error::{Access, Error, Peer};
use crate::time::Deadline;

/// The largest response that is read, in bytes: far above the size of a run document.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// A stored custom object.
#[derive(Debug, Clone)]
pub struct CustomObject<T> {
    /// Identifies it: an object that is deleted and created again under the same key has another id.
    pub id: String,
    /// The version, which grows with every write.
    pub version: u64,
    /// The value.
    pub value: T,
}

/// The outcome of a write that names the version it replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The value is stored.
    Done {
        /// The object's id.
        id: String,
        /// The new version.
        version: u64,
    },
    /// Another writer was faster; nothing is stored.
    Conflict,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    version: u64,
    key: String,
    value: Box<RawValue>,
}

#[derive(Deserialize)]
struct Answer<T> {
    id: String,
    version: u64,
    value: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    id: String,
    version: u64,
    last_modified_at: Option<String>,
}

#[derive(Serialize)]
struct Draft<'a, T> {
    container: &'a str,
    key: &'a str,
    value: &'a T,
    version: u64,
}

impl Client {
    /// Reads a custom object; `None` if there is none.
    ///
    /// # Errors
    /// If commercetools does not respond or rejects the request, and if the value is not a `T`.
    pub async fn custom_object<T: DeserializeOwned>(
        &self,
        container: &str,
        key: &str,
        deadline: Deadline,
    ) -> Result<Option<CustomObject<T>>, Error> {
        const OPERATION: &str = "read a custom object";
        let path = format!("custom-objects/{container}/{key}");
        let call = Call {
            operation: OPERATION,
            access: Access::Read,
            method: Method::GET,
            path: &path,
            body: None,
            max_bytes: MAX_BYTES,
        };
        let response = match self.call(call, deadline).await {
            // the response for a project that does not exist is 404 too, but with another code
            Err(error) if is_missing_object(&error) => return Ok(None),
            answer => answer?,
        };
        let body = response.body();
        let object: Answer<T> = serde_json::from_slice(body).map_err(|error| {
            // an incomplete response is no document
            match serde_json::from_slice::<&RawValue>(body) {
                Ok(_) => unreadable(OPERATION, container, key, &error),
                Err(_) => {
                    let name = format!("{container}/{key}");
                    Error::unreadable(Peer::Commercetools, OPERATION, name)
                }
            }
        })?;
        Ok(Some(CustomObject {
            id: object.id,
            version: object.version,
            value: object.value,
        }))
    }

    /// Reads those of the custom objects with these keys that exist, with one request; their values as they are.
    ///
    /// # Errors
    /// If commercetools does not respond or rejects the request.
    pub async fn custom_objects(
        &self,
        container: &str,
        keys: &[&str],
        deadline: Deadline,
    ) -> Result<BTreeMap<String, CustomObject<Box<RawValue>>>, Error> {
        const OPERATION: &str = "read custom objects";
        let unreadable = || Error::unreadable(Peer::Commercetools, OPERATION, container);
        let path = format!(
            "custom-objects/{container}?{}",
            form_urlencoded::Serializer::new(String::new())
                .append_pair("where", &value_in("key", keys))
                .append_pair("limit", &keys.len().to_string())
                .append_pair("withTotal", "false")
                .finish()
        );
        let call = Call {
            operation: OPERATION,
            access: Access::Read,
            method: Method::GET,
            path: &path,
            body: None,
            max_bytes: MAX_BYTES,
        };
        let found = self.read(&call, deadline, |body| {
            let listed = query::records(body.clone()).ok_or_else(unreadable)?;
            let listed = listed.iter().map(|one| serde_json::from_str(one.get()));
            listed
                .collect::<Result<Vec<Listed>, _>>()
                .map_err(|_| unreadable())
        });
        let found = found.await?.into_iter().map(|listed| {
            let object = CustomObject {
                id: listed.id,
                version: listed.version,
                value: listed.value,
            };
            (listed.key, object)
        });
        Ok(found.collect())
    }

    /// Writes a custom object if its version is still `version` (0: if there is none yet). An object that does not
    /// exist is created, whatever the version. Sent once, without retries: if the response is lost, only reading tells
    /// whether the write took effect.
    ///
    /// # Errors
    /// If commercetools does not respond, or rejects the request for another reason than the version.
    pub async fn write_custom_object<T: Serialize>(
        &self,
        container: &str,
        key: &str,
        value: &T,
        version: u64,
        deadline: Deadline,
    ) -> Result<WriteOutcome, Error> {
        const OPERATION: &str = "write a custom object";
        let body = serde_json::to_vec(&Draft {
            container,
            key,
            value,
            version,
        })
        .map_err(|_| {
            Error::unreadable(
                Peer::Commercetools,
                OPERATION,
                "a value that can be written as JSON",
            )
        })?;
        let call = Call {
            operation: OPERATION,
            access: Access::Write,
            method: Method::POST,
            path: "custom-objects",
            body: Some(body),
            max_bytes: MAX_BYTES,
        };
        match self.call_once(&call, deadline).await {
            Err(error) if error.status() == Some(409) => Ok(WriteOutcome::Conflict),
            // somebody else has created it at the same time
            Err(error) if version == 0 && is_duplicate(&error) => Ok(WriteOutcome::Conflict),
            Err(error) => Err(error),
            Ok(response) => {
                let written: Written = serde_json::from_slice(response.body()).map_err(|_| {
                    Error::unreadable(
                        Peer::Commercetools,
                        OPERATION,
                        "a custom object with its id and version",
                    )
                })?;
                let time = written.last_modified_at.and_then(|time| time.parse().ok());
                if let Some(time) = time {
                    self.refine_clock(time, response.headers());
                }
                Ok(WriteOutcome::Done {
                    id: written.id,
                    version: written.version,
                })
            }
        }
    }

    /// Deletes a custom object if its version is still `version`; `false` if it is not. A custom object that does not
    /// exist is no error.
    ///
    /// # Errors
    /// If commercetools does not respond, or rejects the request for another reason than the version.
    pub async fn delete_custom_object(
        &self,
        container: &str,
        key: &str,
        version: u64,
        deadline: Deadline,
    ) -> Result<bool, Error> {
        const OPERATION: &str = "delete a custom object";
        let path = format!("custom-objects/{container}/{key}?version={version}");
        let call = Call {
            operation: OPERATION,
            access: Access::Write,
            method: Method::DELETE,
            path: &path,
            body: None,
            max_bytes: MAX_BYTES,
        };
        match self.call(call, deadline).await {
            Err(error) if is_missing_object(&error) => Ok(true),
            Err(error) if error.status() == Some(409) => Ok(false),
            answer => answer.map(|_| true),
        }
    }
}

/// A value that is not a document of this version; serde's own message would quote it.
fn unreadable(
    operation: &'static str,
    container: &str,
    key: &str,
    error: &serde_json::Error,
) -> Error {
    let column = error.column();
    let text = format!("{container}/{key} is not as this version writes it, at column {column}");
    Error::unreadable_document(operation, text)
}

impl CustomObject<Box<RawValue>> {
    /// The object with its value read; `container` and `key` are for the error.
    ///
    /// # Errors
    /// If the value is not a `T`.
    pub fn parse<T: DeserializeOwned>(
        self,
        container: &str,
        key: &str,
    ) -> Result<CustomObject<T>, Error> {
        let value = serde_json::from_str(self.value.get())
            .map_err(|error| unreadable("read custom objects", container, key, &error))?;
        Ok(CustomObject {
            id: self.id,
            version: self.version,
            value,
        })
    }
}

fn is_missing_object(error: &Error) -> bool {
    error.refusal().is_some_and(|refusal| {
        refusal.status == 404
            && matches!(
                refusal.code.as_deref(),
                None | Some("ResourceNotFound" | "NotFound")
            )
    })
}

/// Of two creations at the same time the later is rejected with this code
/// (<https://github.com/commercetools/commercetools-jvm-sdk/issues/1298>), or as a conflict.
fn is_duplicate(error: &Error) -> bool {
    error.refusal().is_some_and(|refusal| {
        refusal.status == 400 && refusal.code.as_deref() == Some("DuplicateField")
    })
}
