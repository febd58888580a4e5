//! The app's variables, parsed once into typed values. All problems are reported together, by variable name; the value
//! of a secret is never part of a message.

mod continuation;
mod mapping;
mod problems;
mod reader;
mod secret;
pub mod sync;

use std::time::Duration;

pub use self::continuation::Continuation;
pub use self::mapping::{MappingOptions, PhoneNumbers};
pub use self::problems::{Problems, Values, VariableProblem};
pub use self::reader::DEFAULT_CONTAINER;
use self::reader::VariableReader;
pub use self::secret::Secret;

/// The names of all variables that the component reads, as `spin.toml` declares them.
pub const VARIABLES: [&str; 21] = [
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
    "phone_numbers",
    "refunds",
    "sync_config",
    "api_token",
    "cron_token",
    "container",
    "continuation",
    "window_seconds",
    "id_ranges",
    "memory_mib",
];

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

/// Default of `klaviyo_api_url`.
const KLAVIYO_API_URL: &str = "https://a.klaviyo.com";
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
        let project = reader.project();
        let config = Self {
            commercetools: CommercetoolsConfig {
                api_url: reader.url("ct_api_url", None),
                auth_url: reader.url("ct_auth_url", None),
                project: project.clone(),
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
                project,
                preferred_locale: reader.optional("preferred_locale"),
                preferred_currency: reader.currency(),
                product_url_template: reader.optional("product_url_template"),
                phone_numbers: reader.phone_numbers(),
                refunds: reader.refunds(),
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
