//! The links of a page, of which the one to the next page is read.

use serde::Deserialize;

use super::client::API;

/// The `links` of a page.
#[derive(Deserialize)]
pub(super) struct Links {
    #[serde(default)]
    next: Option<String>,
}

/// A `next` that cannot be followed.
pub(super) struct NotALink;

/// Path and query of the page after `page`; `None` if that is the last one. The link's host is ignored.
///
/// # Errors
/// If it is no link of this API, or leads to the page itself, which would be an endless loop.
pub(super) fn next_path(links: Option<Links>, page: &str) -> Result<Option<String>, NotALink> {
    let Some(next) = links.and_then(|links| links.next) else {
        return Ok(None);
    };
    let parsed = url::Url::options()
        .base_url(url::Url::parse("https://a.klaviyo.com").ok().as_ref())
        .parse(&next)
        .ok()
        .filter(|url| url.path().starts_with(API))
        .ok_or(NotALink)?;
    let next = match parsed.query() {
        Some(query) => format!("{}?{query}", parsed.path()),
        None => parsed.path().to_owned(),
    };
    if next == page {
        return Err(NotALink);
    }
    Ok(Some(next))
}
