//! One category, created at once: no job has to be waited for
//! (<https://developers.klaviyo.com/en/reference/create_catalog_category>).

use crate::error::Error;
use crate::klaviyo::client::Client;
use crate::klaviyo::rate::Endpoint;
use crate::ports::Body;
use crate::time::Deadline;

/// "Burst: 75/s, Steady: 750/m".
static CREATE: Endpoint = Endpoint {
    name: "create a catalog category",
    burst: 75,
    steady: 750,
};
const PATH: &str = "/api/catalog-categories";

/// Creates a category. `entry` is its document, as a bulk create job takes it. Returns whether Klaviyo has created it; one
/// that it has already is rejected, with 409 or in a form that was not recorded, and so is one that is not valid.
///
/// # Errors
/// If Klaviyo does not respond, or rejects the request for another reason.
pub async fn create(client: &Client, entry: &[u8], deadline: Deadline) -> Result<bool, Error> {
    let body = [br#"{"data":"#, entry, b"}"].concat();
    match client.post(&CREATE, PATH, Body::from(body), deadline).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.status(), Some(400 | 409)) => Ok(false),
        Err(error) => Err(error),
    }
}
