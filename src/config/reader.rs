//! Reads the values of the variables and collects the problems.

use serde::Deserialize;
use url::{Host, Url};

use super::continuation::Continuation;
use super::mapping::PhoneNumbers;
use super::problems::{Values, VariableProblem};
use super::secret::Secret;
use super::sync::SyncConfig;

/// Default of `container`.
pub const DEFAULT_CONTAINER: &str = "klaviyo-bulk-import";
/// "Maximum length: 256" (<https://docs.commercetools.com/api/projects/custom-objects>).
const MAX_CONTAINER_CHARS: usize = 256;
/// The shortest token: a shorter one is too easy to guess for an API that moves customers' data.
const MIN_TOKEN_CHARS: usize = 16;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ApiClient {
    pub(super) client_id: String,
    pub(super) secret: String,
}

/// Whether a URL leads to the machine itself, so that what is sent there crosses no network.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Reads values and collects the problems.
pub(super) struct VariableReader<'a> {
    pub(super) values: &'a Values,
    pub(super) problems: Vec<VariableProblem>,
}

impl VariableReader<'_> {
    pub(super) fn text(&self, variable: &'static str) -> &str {
        self.values.get(variable).map_or("", |value| value.trim())
    }

    pub(super) fn optional(&self, variable: &'static str) -> Option<String> {
        Some(self.text(variable))
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    }

    pub(super) fn problem(&mut self, variable: &'static str, expected: impl Into<String>) {
        self.problems.push(VariableProblem {
            variable,
            expected: expected.into(),
        });
    }

    pub(super) fn url(&mut self, variable: &'static str, default: Option<&str>) -> String {
        let text = match (self.text(variable), default) {
            ("", None) => {
                self.problem(
                    variable,
                    "is required: a URL such as https://api.europe-west1.gcp.commercetools.com",
                );
                return String::new();
            }
            ("", Some(default)) => default,
            (text, _) => text,
        }
        .to_owned();
        // the paths of Klaviyo's API begin at its root
        let takes_path = variable != "klaviyo_api_url";
        let usable = Url::parse(&text).is_ok_and(|url| {
            let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
            is_safe
                && url.has_host()
                && (takes_path || matches!(url.path(), "" | "/"))
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none()
        });
        if !usable {
            self.problem(
                variable,
                match takes_path {
                    true => "must be an https URL (http on the local machine only) without credentials, query or fragment",
                    false => "must be an https URL (http on the local machine only) without path, credentials, query or fragment",
                },
            );
        }
        text.trim_end_matches('/').to_owned()
    }

    pub(super) fn project(&mut self) -> String {
        let project = self.text("ct_project_id").to_owned();
        // "A project key is 2 to 36 characters: letters, digits, underscores and hyphens" (commercetools, Project)
        let valid = !project.is_empty()
            && project.len() <= 36
            && project
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if !valid {
            self.problem(
                "ct_project_id",
                "is required: the project's key (letters, digits, - and _)",
            );
        }
        project
    }

    pub(super) fn api_client(&mut self) -> ApiClient {
        match serde_json::from_str::<ApiClient>(self.text("ct_api_client")) {
            Ok(client) if !client.client_id.is_empty() && !client.secret.is_empty() => client,
            // serde's message may quote the value
            _ => {
                self.problem(
                    "ct_api_client",
                    r#"is required: JSON of the form {"clientId":"...","secret":"..."}"#,
                );
                ApiClient {
                    client_id: String::new(),
                    secret: String::new(),
                }
            }
        }
    }

    pub(super) fn klaviyo_auth_key(&mut self) -> Secret {
        let key = self.text("klaviyo_auth_key").to_owned();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.problem(
                "klaviyo_auth_key",
                "is required: a private API key of the Klaviyo account (pk_...)",
            );
        }
        key.into()
    }

    pub(super) fn api_token(&mut self) -> Secret {
        let token = self.text("api_token").to_owned();
        if token.len() < MIN_TOKEN_CHARS || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.problem(
                "api_token",
                format!("is required: a secret of at least {MIN_TOKEN_CHARS} printable characters without spaces"),
            );
        }
        token.into()
    }

    /// The token is part of paths, and paths are written to logs: it must not be the token that allows everything.
    pub(super) fn cron_token(&mut self) -> Option<Secret> {
        let token = self.optional("cron_token")?;
        let is_of_path = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if token.len() < MIN_TOKEN_CHARS || !token.bytes().all(is_of_path) {
            self.problem(
                "cron_token",
                format!("must be a secret of at least {MIN_TOKEN_CHARS} letters, digits and -._~"),
            );
        } else if token == self.text("api_token") {
            self.problem("cron_token", "must not be the same as api_token");
        }
        Some(token.into())
    }

    /// "MatchingPattern: [-_~.a-zA-Z0-9]+" (<https://docs.commercetools.com/api/projects/custom-objects>).
    pub(super) fn container(&mut self) -> String {
        let container = self.optional("container");
        let container = container.unwrap_or_else(|| DEFAULT_CONTAINER.to_owned());
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~.".contains(&byte);
        if container.len() > MAX_CONTAINER_CHARS || !container.bytes().all(is_of_name) {
            self.problem(
                "container",
                format!("must have at most {MAX_CONTAINER_CHARS} letters, digits and -_~."),
            );
        }
        container
    }

    pub(super) fn continuation(&mut self) -> Continuation {
        match self.text("continuation") {
            "" | "self" => Continuation::SelfCall,
            "scheduler" => Continuation::Scheduler,
            _ => {
                self.problem("continuation", "must be self (the default) or scheduler");
                Continuation::SelfCall
            }
        }
    }

    pub(super) fn number(
        &mut self,
        variable: &'static str,
        default: u64,
        least: u64,
        most: u64,
    ) -> u64 {
        let parsed = match self.text(variable) {
            "" => Some(default),
            text => text
                .parse()
                .ok()
                .filter(|number| (least..=most).contains(number)),
        };
        parsed.unwrap_or_else(|| {
            self.problem(
                variable,
                format!("must be a whole number from {least} to {most}"),
            );
            default
        })
    }

    pub(super) fn currency(&mut self) -> Option<String> {
        let currency = self.optional("preferred_currency")?;
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            self.problem("preferred_currency", "must be an ISO 4217 code such as EUR");
        }
        Some(currency)
    }

    pub(super) fn sync_config(&mut self) -> SyncConfig {
        SyncConfig::parse(self.text("sync_config")).unwrap_or_else(|problems| {
            for problem in problems {
                self.problem("sync_config", problem);
            }
            SyncConfig::default()
        })
    }

    pub(super) fn app_type(&mut self) {
        if !matches!(self.text("app_type"), "" | "BULK_IMPORT") {
            self.problem(
                "app_type",
                "must be empty or BULK_IMPORT: the realtime module of the Node plugin is not part of this app",
            );
        }
    }

    pub(super) fn phone_numbers(&mut self) -> PhoneNumbers {
        match self.text("phone_numbers") {
            "" | "send" => PhoneNumbers::Send,
            "omit" => PhoneNumbers::Omit,
            _ => {
                self.problem("phone_numbers", "must be send (the default) or omit");
                PhoneNumbers::default()
            }
        }
    }

    pub(super) fn refunds(&mut self) -> bool {
        match self.text("refunds") {
            "" | "false" => false,
            "true" => true,
            _ => {
                self.problem("refunds", "must be false (the default) or true");
                false
            }
        }
    }
}
