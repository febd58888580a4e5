//! The access token: client credentials flow, cached until shortly before it expires
//! (<https://docs.commercetools.com/api/authorization>).

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;

use super::answer::accept;
use crate::config::{CommercetoolsConfig, Secret};
use crate::error::{Error, Peer};
use crate::ports::{Limits, Ports};

/// The operation that errors of this module name.
const OPERATION: &str = "fetch a token";
/// A token is not used in this last part of its lifetime: a request under way must still be accepted.
const MARGIN: Duration = Duration::from_secs(60);
/// The largest response that is read, in bytes: far above the size of a token.
const MAX_BYTES: usize = 64 * 1024;

/// A token that lacks a scope is not fetched again before this: where a request is tried that the scopes may not allow,
/// one more token a minute is fetched.
const SCOPES_STAY: Duration = Duration::from_secs(60);

/// A token with its expiry.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) value: Secret,
    /// When it was asked for, on the monotonic clock of this instance.
    asked_at: Duration,
    /// The end of its use, on the monotonic clock of this instance.
    usable_until: Duration,
    /// The scopes that it was granted, separated by spaces.
    pub(super) scope: String,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    expires_in: u64,
    #[serde(default)]
    scope: String,
}

/// Whether this has the form of a bearer token (RFC 6750).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Token {
    pub(super) fn is_usable(&self, now: Duration) -> bool {
        now < self.usable_until
    }

    /// Whether scopes may have been granted since: a token keeps those that it was issued with.
    pub(super) fn may_lack_scopes(&self, now: Duration) -> bool {
        now.saturating_sub(self.asked_at) > SCOPES_STAY
    }

    /// Fetches a new token.
    pub(super) async fn fetch(
        ports: &Ports,
        config: &CommercetoolsConfig,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !config.scope.is_empty() {
            form.append_pair("scope", &config.scope);
        }
        let credentials = BASE64_STANDARD.encode(format!(
            "{}:{}",
            config.client_id,
            config.client_secret.expose()
        ));
        let request = http::Request::post(format!("{}/oauth/token", config.auth_url))
            .header(AUTHORIZATION, format!("Basic {credentials}"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(form.finish().into())
            .map_err(|_| {
                Error::unreadable(
                    Peer::CommercetoolsAuth,
                    OPERATION,
                    "ct_auth_url is not a usable URL",
                )
            })?;
        let asked_at = ports.clock.monotonic();
        let response = ports
            .send(
                request,
                Limits {
                    timeout,
                    max_bytes: MAX_BYTES,
                },
            )
            .await
            .map_err(|error| Error::transport(Peer::CommercetoolsAuth, OPERATION, error))?;
        let response = accept(Peer::CommercetoolsAuth, OPERATION, response)?;
        let answer = serde_json::from_slice::<TokenAnswer>(response.body())
            .ok()
            // a token that is no valid header value would be kept, and fail, until it expires
            .filter(|answer| is_token(&answer.access_token))
            .ok_or_else(|| {
                Error::unreadable(
                    Peer::CommercetoolsAuth,
                    OPERATION,
                    "an access_token with expires_in",
                )
            })?;
        let lifetime = Duration::from_secs(answer.expires_in);
        Ok(Self {
            value: answer.access_token.into(),
            asked_at,
            usable_until: asked_at
                .saturating_add(lifetime.saturating_sub(MARGIN).max(lifetime / 2)),
            scope: answer.scope,
        })
    }
}
