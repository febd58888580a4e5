//! `profiles`: which profiles the account has of some emails (<https://developers.klaviyo.com/en/reference/get_profiles>).

use std::collections::HashMap;

use serde::Deserialize;

use super::client::Client;
use super::links::{Links, next_path};
use super::query::filters_of_any;
use super::rate::Endpoint;
use super::side_by_side;
use crate::error::{Error, Peer};
use crate::time::Deadline;

/// "Burst: 75/s, Steady: 700/m".
static LIST_PROFILES: Endpoint = Endpoint {
    name: "list profiles",
    burst: 75,
    steady: 700,
};
/// The path of all profiles, with as few fields of each as are needed.
const PATH: &str = "/api/profiles?fields%5Bprofile%5D=email&page%5Bsize%5D=100";

#[derive(Deserialize)]
struct Page {
    data: Vec<Resource>,
    #[serde(default)]
    links: Option<Links>,
}

#[derive(Deserialize)]
struct Resource {
    id: String,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Deserialize, Default)]
struct Attributes {
    #[serde(default)]
    email: Option<String>,
}

/// The ids of the profiles that the account has of these emails, by the email in lower case.
///
/// # Errors
/// If Klaviyo does not respond or rejects the request.
pub async fn of_emails(
    client: &Client,
    emails: &[String],
    deadline: Deadline,
) -> Result<HashMap<String, String>, Error> {
    let paths = filters_of_any("email", emails.iter().map(String::as_str))
        .into_iter()
        .map(|filter| pages(client, format!("{PATH}&filter={filter}"), deadline));
    let profiles = side_by_side::all(paths).await?.into_iter().flatten();
    Ok(profiles
        .filter_map(|profile| Some((profile.attributes.email?.trim().to_lowercase(), profile.id)))
        .collect())
}

async fn pages(client: &Client, path: String, deadline: Deadline) -> Result<Vec<Resource>, Error> {
    let (mut all, mut next) = (Vec::new(), Some(path));
    while let Some(path) = next {
        let body = client.get(&LIST_PROFILES, &path, deadline).await?;
        let unreadable =
            || Error::unreadable(Peer::Klaviyo, LIST_PROFILES.name, "a page of profiles");
        let page: Page = serde_json::from_slice(&body).map_err(|_| unreadable())?;
        all.extend(page.data);
        next = next_path(page.links, &path).map_err(|_| unreadable())?;
    }
    Ok(all)
}
