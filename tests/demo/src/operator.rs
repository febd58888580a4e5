//! The component's API as an operator's script uses it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

/// What can be imported; its name in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Resource {
    Categories,
    Products,
    Customers,
    Orders,
}

impl Resource {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Categories => "categories",
            Self::Products => "products",
            Self::Customers => "customers",
            Self::Orders => "orders",
        }
    }

    /// Whether they become entries of Klaviyo's catalogue.
    pub(crate) fn is_catalogue(self) -> bool {
        matches!(self, Self::Categories | Self::Products)
    }
}

/// How a run stands; `Other` is a status that this client does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Idle,
    Running,
    Completed,
    Stopped,
    Failed,
    #[default]
    #[serde(other)]
    Other,
}

/// The part of the status document that is looked at here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    pub(crate) status: State,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
    /// The number of the window that is worked on, or was the last.
    pub(crate) window: u64,
    /// Records to read.
    pub(crate) total: Option<u64>,
    pub(crate) percent: Option<f64>,
    /// Records a second over the latest windows, while the run goes on.
    pub(crate) rate: Option<f64>,
    pub(crate) counts: Counts,
    /// Products only.
    pub(crate) variants: Option<Counts>,
    pub(crate) waiting_for: Option<String>,
    pub(crate) chain_looks_cut: bool,
    pub(crate) last_error: Option<LastError>,
}

impl Status {
    /// How long the run took, in the world's seconds; none before it has ended.
    pub(crate) fn seconds(&self) -> Option<f64> {
        let span = self.finished_at?.duration_since(self.started_at?);
        Some(span.as_secs_f64())
    }
}

/// How many records.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Counts {
    pub(crate) read: u64,
    pub(crate) sent: u64,
    /// By reason.
    pub(crate) skipped: BTreeMap<String, u64>,
    pub(crate) failed: u64,
    /// Profiles, events or catalogue entries made of the records sent.
    pub(crate) documents: u64,
}

/// The latest error of a run.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct LastError {
    pub(crate) message: String,
    pub(crate) advice: String,
}

/// What is to be done about a kind of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Import all of them.
    Import,
    /// Delete all of them from Klaviyo: catalogue entries only.
    Delete,
}

/// A client with the token.
pub(crate) struct Operator {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    token: String,
}

impl Operator {
    /// A client of the application at `url`, which has no slash at its end.
    pub(crate) fn new(url: String, token: &str) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            url,
            token: format!("Bearer {token}"),
        }
    }

    /// Starts an import or a deletion of everything of a kind.
    pub(crate) async fn start(&self, resource: Resource, errand: Errand) -> Result<()> {
        let name = resource.name();
        let path = format!("/sync/{name}");
        let body = match errand {
            Errand::Import => String::new(),
            Errand::Delete => json!({"deleteAll": true, "confirmDeletion": name}).to_string(),
        };
        match self.call(Method::POST, &path, body).await? {
            (StatusCode::ACCEPTED, _) => Ok(()),
            (status, body) => bail!("POST {path} was answered {status}: {}", text(&body)),
        }
    }

    /// How the import stands.
    pub(crate) async fn status(&self, resource: Resource) -> Result<Status> {
        let path = format!("/sync/{}", resource.name());
        match self.call(Method::GET, &path, String::new()).await? {
            (StatusCode::OK, body) => serde_json::from_slice(&body)
                .with_context(|| format!("reading the status document of {path}")),
            (status, body) => bail!("GET {path} was answered {status}: {}", text(&body)),
        }
    }

    /// Picks up a chain that was cut. Whatever the answer, the next status shows what came of it.
    pub(crate) async fn proceed(&self, resource: Resource) -> Result<()> {
        let path = format!("/sync/{}/continue", resource.name());
        let answer = self.call(Method::POST, &path, String::new()).await;
        answer.map(drop)
    }

    async fn call(&self, method: Method, path: &str, body: String) -> Result<(StatusCode, Bytes)> {
        let request = Request::builder()
            .method(&method)
            .uri(format!("{}{path}", self.url))
            .header(header::AUTHORIZATION, &self.token)
            .body(Full::from(body))?;
        let calling = async {
            let response = self.client.request(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            anyhow::Ok((status, body))
        };
        calling.await.with_context(|| format!("{method} {path}"))
    }
}

fn text(body: &Bytes) -> String {
    String::from_utf8_lossy(body).into_owned()
}
