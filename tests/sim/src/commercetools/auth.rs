//! The authorization server: client credentials for a token with scopes and an end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::problem::{Problem, answer};

/// The scopes of an API client that can do all the import needs, without the project key.
pub const SCOPES: [&str; 7] = [
    "view_orders",
    "view_published_products",
    "view_products",
    "manage_key_value_documents",
    "view_customers",
    "view_payments",
    "view_standalone_prices",
];

/// Clients, and the tokens given out.
#[derive(Debug)]
pub(super) struct Auth {
    pub(super) project_key: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    /// With the project key.
    pub(super) client_scopes: BTreeSet<String>,
    pub(super) token_lifetime: Duration,
    pub(super) issued: u64,
    tokens: BTreeMap<String, Token>,
}

#[derive(Debug)]
struct Token {
    ends: Timestamp,
    scopes: BTreeSet<String>,
}

impl Auth {
    pub(super) fn new(project_key: &str) -> Self {
        Self {
            project_key: project_key.to_owned(),
            client_id: "sim-client".to_owned(),
            client_secret: "sim-secret".to_owned(),
            client_scopes: with_project(&SCOPES, project_key),
            // As the real one: two days.
            token_lifetime: Duration::from_secs(172_800),
            issued: 0,
            tokens: BTreeMap::new(),
        }
    }

    /// Makes every token given out so far unknown.
    pub(super) fn revoke_all(&mut self) {
        self.tokens.clear();
    }

    /// `POST /oauth/token`.
    pub(super) fn token(
        &mut self,
        now: Timestamp,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, Problem> {
        if request.method() != Method::POST {
            return Err(Problem::method_not_allowed());
        }
        if !self.knows_client(request) {
            return Err(Problem::invalid_client());
        }
        let content_type = header_text(request, header::CONTENT_TYPE).unwrap_or_default();
        let form = request.uri().query().unwrap_or_default().as_bytes();
        let body = if content_type.starts_with("application/x-www-form-urlencoded") {
            request.body().as_ref()
        } else {
            &[]
        };
        let mut grant_type = None;
        let mut scope = None;
        for (name, value) in form_urlencoded::parse(form).chain(form_urlencoded::parse(body)) {
            match name.as_ref() {
                "grant_type" => grant_type = Some(value.into_owned()),
                "scope" => scope = Some(value.into_owned()),
                other => {
                    let message = format!("unknown parameter '{other}'");
                    return Err(Problem::invalid_request("invalid_request", message));
                }
            }
        }
        if grant_type.as_deref() != Some("client_credentials") {
            let message = "The grant_type must be client_credentials.";
            return Err(Problem::invalid_request("unsupported_grant_type", message));
        }
        let scopes: BTreeSet<String> = match scope {
            Some(scope) => scope.split_whitespace().map(str::to_owned).collect(),
            None => self.client_scopes.clone(),
        };
        if scopes.is_empty() || !scopes.is_subset(&self.client_scopes) {
            let message = "The scope is malformed or exceeds the one of the client.";
            return Err(Problem::invalid_request("invalid_scope", message));
        }

        self.issued += 1;
        let token = format!("sim-token-{}", self.issued);
        let scope = scopes.iter().cloned().collect::<Vec<_>>().join(" ");
        let lifetime = SignedDuration::try_from(self.token_lifetime).unwrap_or(SignedDuration::MAX);
        let ends = now.checked_add(lifetime).unwrap_or(Timestamp::MAX);
        self.tokens.insert(token.clone(), Token { ends, scopes });
        let body = json!({
            "access_token": token,
            "expires_in": self.token_lifetime.as_secs(),
            "scope": scope,
            "token_type": "Bearer",
        });
        Ok(answer(StatusCode::OK, body.to_string()))
    }

    fn knows_client(&self, request: &Request<Bytes>) -> bool {
        let given = header_text(request, header::AUTHORIZATION)
            .and_then(|value| value.strip_prefix("Basic "))
            .and_then(|value| BASE64_STANDARD.decode(value).ok());
        given.is_some_and(|given| {
            given == format!("{}:{}", self.client_id, self.client_secret).into_bytes()
        })
    }

    /// Refuses a request whose token is unknown or over, or has none of `scopes` (without the project key).
    pub(super) fn check(
        &self,
        now: Timestamp,
        request: &Request<Bytes>,
        scopes: &[&str],
    ) -> Result<(), Problem> {
        let token = header_text(request, header::AUTHORIZATION)
            .and_then(|value| value.strip_prefix("Bearer "))
            .and_then(|token| self.tokens.get(token))
            .filter(|token| now < token.ends)
            .ok_or_else(Problem::invalid_token)?;
        let accepted = with_project(scopes, &self.project_key);
        let everything = format!("manage_project:{}", self.project_key);
        if token.scopes.contains(&everything) || !token.scopes.is_disjoint(&accepted) {
            Ok(())
        } else {
            let accepted = accepted.into_iter().collect::<Vec<_>>().join(", ");
            Err(Problem::insufficient_scope(&accepted))
        }
    }
}

pub(super) fn with_project(scopes: &[&str], project_key: &str) -> BTreeSet<String> {
    scopes
        .iter()
        .map(|scope| format!("{scope}:{project_key}"))
        .collect()
}

fn header_text(request: &Request<Bytes>, name: header::HeaderName) -> Option<&str> {
    request.headers().get(name)?.to_str().ok()
}
