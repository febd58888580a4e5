//! The app's variables, parsed once into typed values. All problems are reported together, by variable name; the value
//! of a secret is never part of a message.

mod mapping;
pub mod sync;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use url::{Host, Url};

pub use self::mapping::MappingOptions;
use self::sync::SyncConfig;

/// The names of all variables that the component reads, as `spin.toml` declares them.
pub const VARIABLES: [&str; 19] = [
    "ct_api_url",
    "ct_auth_url",
    "ct_project_id",
    "ct_scope",
    "ct_api_client",
    "klaviyo_auth_key",
    "klaviyo_api_url",
    "app_type",
    "product_url_template",
    "preferred_locale",
    "preferred_currency",
    "sync_config",
    "api_token",
    "cron_token",
    "container",
    "continuation",
    "window_seconds",
    "id_ranges",
    "memory_mib",
];

/// A secret value. `Debug` prints `***`, so that it appears neither in logs nor in errors.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// Who starts the next window (`docs/HANDBOOK.md`, "Continuation").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuation {
    /// The component calls itself at the end of each window.
    SelfCall,
    /// A scheduler calls `continue`; each call works one window before its response.
    Scheduler,
}

impl Continuation {
    /// The variable's value for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SelfCall => "self",
            Self::Scheduler => "scheduler",
        }
    }
}

/// How to reach a commercetools project.
#[derive(Debug, Clone)]
pub struct CommercetoolsConfig {
    /// `ct_api_url`, without a trailing slash.
    pub api_url: String,
    /// `ct_auth_url`, without a trailing slash.
    pub auth_url: String,
    /// `ct_project_id`: the project's key.
    pub project: String,
    /// `ct_scope`: the scopes that the token is requested with, separated by spaces; empty requests all that the client
    /// has.
    pub scope: String,
    /// The API client's id.
    pub client_id: String,
    /// The API client's secret.
    pub client_secret: Secret,
}

/// How to reach Klaviyo.
#[derive(Debug, Clone)]
pub struct KlaviyoConfig {
    /// `klaviyo_api_url`, without a trailing slash.
    pub api_url: String,
    /// `klaviyo_auth_key`: a private API key.
    pub auth_key: Secret,
}

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// commercetools.
    pub commercetools: CommercetoolsConfig,
    /// Klaviyo.
    pub klaviyo: KlaviyoConfig,
    /// `api_token`: the bearer token that callers of `/sync` must send.
    pub api_token: Secret,
    /// `cron_token`: the token in the path of schedulers that can send nothing but a path; without it there is no such
    /// path.
    pub cron_token: Option<Secret>,
    /// `container`: where the run documents are kept.
    pub container: String,
    /// `continuation`.
    pub continuation: Continuation,
    /// `window_seconds`: how long one window works.
    pub window: Duration,
    /// `id_ranges`: the number of parts that the key space is cut into; each is read on its own.
    pub id_ranges: usize,
    /// `memory_mib`: the memory that the platform allows one instance; buffers are sized by it.
    pub memory_mib: usize,
    /// The part that the mappings read.
    pub mapping: MappingOptions,
}

/// One problem of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct VariableProblem {
    /// The variable's name.
    pub variable: &'static str,
    /// What is expected; never the value of a secret.
    pub expected: String,
}

/// All problems of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.summary())]
pub struct Problems(pub Vec<VariableProblem>);

impl Problems {
    fn summary(&self) -> String {
        let lines: Vec<String> = self
            .0
            .iter()
            .map(|problem| format!("{}: {}", problem.variable, problem.expected))
            .collect();
        format!("the configuration is not usable: {}", lines.join("; "))
    }
}

/// The raw values by variable name. An absent variable counts as empty.
pub type Values = BTreeMap<&'static str, String>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ApiClient {
    client_id: String,
    secret: String,
}

/// Default of `klaviyo_api_url`.
const KLAVIYO_API_URL: &str = "https://a.klaviyo.com";
/// Default of `container`.
pub const DEFAULT_CONTAINER: &str = "klaviyo-bulk-import";
/// "Maximum length: 256" (<https://docs.commercetools.com/api/projects/custom-objects>).
const MAX_CONTAINER_CHARS: usize = 256;
/// Default of `window_seconds`: well within a platform's limit of 30 s ("Quotas and limits" of Akamai Functions).
const WINDOW_SECONDS: u64 = 20;
/// The longest window: 30 s minus the time for saving and for starting the next invocation.
pub const MAX_WINDOW_SECONDS: u64 = 25;
/// Default of `id_ranges`: at 300 ms a page and 500 orders a page, eight ranges read 13,000 orders a second.
const ID_RANGES: usize = 8;
/// The largest number of ranges in the cursor.
const MAX_ID_RANGES: usize = 64;
/// Default of `memory_mib` ("Quotas and limits" of Akamai Functions).
const MEMORY_MIB: usize = 128;
/// The smallest memory that a window can work with.
const MIN_MEMORY_MIB: usize = 48;
/// The most memory that WebAssembly with 32 bits can address, in whole MiB whose bytes can be counted.
const MAX_MEMORY_MIB: usize = 4095;
/// The shortest token: a shorter one is too easy to guess for an API that moves customers' data.
const MIN_TOKEN_CHARS: usize = 16;

impl Config {
    /// Parses the variables.
    ///
    /// # Errors
    /// All problems, not only the first.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use klaviyo_bulk_import::config::{Config, Continuation, Values};
    ///
    /// let mut values = Values::from([
    ///     ("ct_api_url", "https://api.europe-west1.gcp.commercetools.com".to_owned()),
    ///     ("ct_auth_url", "https://auth.europe-west1.gcp.commercetools.com".to_owned()),
    ///     ("ct_project_id", "my-shop".to_owned()),
    ///     ("ct_api_client", r#"{"clientId":"client","secret":"secret"}"#.to_owned()),
    ///     ("klaviyo_auth_key", "pk_0123456789".to_owned()),
    ///     ("api_token", "a-long-random-text".to_owned()),
    /// ]);
    /// let config = Config::parse(&values)?;
    /// assert_eq!(config.commercetools.project, "my-shop");
    /// assert_eq!(config.window, Duration::from_secs(20));
    /// assert_eq!(config.continuation, Continuation::SelfCall);
    /// assert_eq!(format!("{:?}", config.api_token), "***");
    ///
    /// values.insert("window_seconds", "60".to_owned());
    /// values.insert("api_token", "short".to_owned());
    /// let problems = Config::parse(&values).unwrap_err();
    /// let variables: Vec<&str> = problems.0.iter().map(|problem| problem.variable).collect();
    /// assert_eq!(variables, ["api_token", "window_seconds"]);
    /// # Ok::<(), klaviyo_bulk_import::config::Problems>(())
    /// ```
    pub fn parse(values: &Values) -> Result<Self, Problems> {
        let mut reader = VariableReader {
            values,
            problems: Vec::new(),
        };
        let client = reader.api_client();
        let config = Self {
            commercetools: CommercetoolsConfig {
                api_url: reader.url("ct_api_url", None),
                auth_url: reader.url("ct_auth_url", None),
                project: reader.project(),
                scope: reader
                    .text("ct_scope")
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" "),
                client_id: client.client_id,
                client_secret: client.secret.into(),
            },
            klaviyo: KlaviyoConfig {
                api_url: reader.url("klaviyo_api_url", Some(KLAVIYO_API_URL)),
                auth_key: reader.klaviyo_auth_key(),
            },
            api_token: reader.api_token(),
            cron_token: reader.cron_token(),
            container: reader.container(),
            continuation: reader.continuation(),
            window: Duration::from_secs(reader.number(
                "window_seconds",
                WINDOW_SECONDS,
                1,
                MAX_WINDOW_SECONDS,
            )),
            id_ranges: reader.number("id_ranges", ID_RANGES as u64, 1, MAX_ID_RANGES as u64)
                as usize,
            memory_mib: reader.number(
                "memory_mib",
                MEMORY_MIB as u64,
                MIN_MEMORY_MIB as u64,
                MAX_MEMORY_MIB as u64,
            ) as usize,
            mapping: MappingOptions {
                preferred_locale: reader.optional("preferred_locale"),
                preferred_currency: reader.currency(),
                product_url_template: reader.optional("product_url_template"),
                sync: reader.sync_config(),
            },
        };
        reader.app_type();
        if reader.problems.is_empty() {
            Ok(config)
        } else {
            Err(Problems(reader.problems))
        }
    }
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
struct VariableReader<'a> {
    values: &'a Values,
    problems: Vec<VariableProblem>,
}

impl VariableReader<'_> {
    fn text(&self, variable: &'static str) -> &str {
        self.values.get(variable).map_or("", |value| value.trim())
    }

    fn optional(&self, variable: &'static str) -> Option<String> {
        Some(self.text(variable))
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    }

    fn problem(&mut self, variable: &'static str, expected: impl Into<String>) {
        self.problems.push(VariableProblem {
            variable,
            expected: expected.into(),
        });
    }

    fn url(&mut self, variable: &'static str, default: Option<&str>) -> String {
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

    fn project(&mut self) -> String {
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

    fn api_client(&mut self) -> ApiClient {
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

    fn klaviyo_auth_key(&mut self) -> Secret {
        let key = self.text("klaviyo_auth_key").to_owned();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.problem(
                "klaviyo_auth_key",
                "is required: a private API key of the Klaviyo account (pk_...)",
            );
        }
        key.into()
    }

    fn api_token(&mut self) -> Secret {
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
    fn cron_token(&mut self) -> Option<Secret> {
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
    fn container(&mut self) -> String {
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

    fn continuation(&mut self) -> Continuation {
        match self.text("continuation") {
            "" | "self" => Continuation::SelfCall,
            "scheduler" => Continuation::Scheduler,
            _ => {
                self.problem("continuation", "must be self (the default) or scheduler");
                Continuation::SelfCall
            }
        }
    }

    fn number(&mut self, variable: &'static str, default: u64, least: u64, most: u64) -> u64 {
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

    fn currency(&mut self) -> Option<String> {
        let currency = self.optional("preferred_currency")?;
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            self.problem("preferred_currency", "must be an ISO 4217 code such as EUR");
        }
        Some(currency)
    }

    fn sync_config(&mut self) -> SyncConfig {
        SyncConfig::parse(self.text("sync_config")).unwrap_or_else(|problems| {
            for problem in problems {
                self.problem("sync_config", problem);
            }
            SyncConfig::default()
        })
    }

    fn app_type(&mut self) {
        if !matches!(self.text("app_type"), "" | "BULK_IMPORT") {
            self.problem(
                "app_type",
                "must be empty or BULK_IMPORT: the realtime module of the Node plugin is not part of this app",
            );
        }
    }
}
