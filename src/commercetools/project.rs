//! The project itself (<https://docs.commercetools.com/api/projects/project>).

use http::Method;
use serde::Deserialize;

use super::client::{Call, Client};
use crate::error::{Access, Error, Peer};
use crate::time::Deadline;

/// The operation that errors name.
const OPERATION: &str = "read the project";
/// The largest response that is read, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Project {
    product_catalog_model: Option<String>,
}

impl Client {
    /// The project's `productCatalogModel`, such as `Classic` or `Modular`; `None` if it does not say. Scope:
    /// `view_project_settings`.
    ///
    /// # Errors
    /// If commercetools does not respond or rejects the request.
    pub async fn catalog_model(&self, deadline: Deadline) -> Result<Option<String>, Error> {
        let call = Call {
            operation: OPERATION,
            access: Access::Read,
            method: Method::GET,
            path: "",
            body: None,
            max_bytes: MAX_BYTES,
        };
        self.read(&call, deadline, |body| {
            let project: Project = serde_json::from_slice(body)
                .map_err(|_| Error::unreadable(Peer::Commercetools, OPERATION, "a project"))?;
            Ok(project.product_catalog_model)
        })
        .await
    }
}
