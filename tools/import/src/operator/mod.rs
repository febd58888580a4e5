//! The app's API as an operator uses it: requests with the token, and what they are answered with.

mod failure;
mod views;

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use failure::{Failure, Problem};
pub use views::{
    Check, Counts, Document, LastError, Line, LineState, Options, Overview, Plan, Removal,
    Resource, Retried, SetAside, State, Status, Step,
};

/// How long a request may take: a stop waits up to 22 s for the last invocation, a `continue` of an app with a scheduler
/// works a window of up to 25 s first.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A client with the token.
#[derive(Clone, Debug)]
pub struct Operator {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: String,
    token: HeaderValue,
}

/// What a stop did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It is over, and nothing more is sent.
    Done,
    /// It is over, but an invocation that does not react may be sending until its lease ends.
    MayBeSending,
    /// Nothing was going on.
    NothingRan,
}

struct Answer {
    status: StatusCode,
    body: Bytes,
}

impl Operator {
    /// A client of the app at `url`, such as `https://my-app.example`.
    ///
    /// # Errors
    /// If `url` is no URL of a server, or the token cannot be part of a header.
    pub fn new(url: &str, token: &str) -> Result<Self> {
        let url = url.trim_end_matches('/');
        let parsed: Uri = url
            .parse()
            .with_context(|| format!("reading the URL {url}"))?;
        if !matches!(parsed.scheme_str(), Some("http" | "https")) {
            anyhow::bail!("{url} is no URL of an app: it has to begin with https:// or http://");
        }
        let mut token = HeaderValue::from_str(&format!("Bearer {token}"))
            .context("the token has characters that no token has")?;
        token.set_sensitive(true);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(host::with_tls(host::tcp())),
            url: url.to_owned(),
            token,
        })
    }

    /// Where the app is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Starts, resumes or retries the import of a resource, or deletes all of it, as `body` says.
    ///
    /// # Errors
    /// If the app does not answer or refuses it.
    pub async fn start(&self, resource: Resource, body: &Value) -> Result<Status, Failure> {
        let path = format!("/sync/{}", resource.name());
        let answer = self.call(Method::POST, &path, body.to_string()).await?;
        read(&path, &answer)
    }

    /// Starts a plan.
    ///
    /// # Errors
    /// If the app does not answer or refuses it.
    pub async fn start_plan(&self, body: &Value) -> Result<Plan, Failure> {
        #[derive(serde::Deserialize)]
        struct Started {
            plan: Plan,
        }
        let answer = self.call(Method::POST, "/sync", body.to_string()).await?;
        read("/sync", &answer).map(|Started { plan }| plan)
    }

    /// Forgets the records of a resource that have failed; how many these were.
    ///
    /// # Errors
    /// If the app does not answer or refuses it.
    pub async fn dismiss_failed(&self, resource: Resource) -> Result<u64, Failure> {
        #[derive(serde::Deserialize)]
        struct Dismissed {
            dismissed: u64,
        }
        let path = format!("/sync/{}", resource.name());
        let body = r#"{"dismissFailed": true}"#.to_owned();
        let answer = self.call(Method::POST, &path, body).await?;
        read(&path, &answer).map(|Dismissed { dismissed }| dismissed)
    }

    /// A run in full.
    ///
    /// # Errors
    /// If the app does not answer or refuses it.
    pub async fn status(&self, resource: Resource) -> Result<Status, Failure> {
        self.get(&format!("/sync/{}", resource.name())).await
    }

    /// All runs and the plan at a glance.
    ///
    /// # Errors
    /// If the app does not answer or refuses it.
    pub async fn overview(&self) -> Result<Overview, Failure> {
        self.get("/sync/status").await
    }

    /// Tries the configuration.
    ///
    /// # Errors
    /// If the app does not answer or refuses it.
    pub async fn check(&self) -> Result<Check, Failure> {
        self.get("/sync/check").await
    }

    /// Continues the run of a resource, or everything: harmless at any time. What came of it is in the next status.
    ///
    /// # Errors
    /// If the app does not answer or refuses it.
    pub async fn proceed(&self, resource: Option<Resource>) -> Result<(), Failure> {
        let path = path_of(resource, "continue");
        self.call(Method::POST, &path, String::new())
            .await
            .map(drop)
    }

    /// Stops the run of a resource, also one that has failed, or everything that runs.
    ///
    /// # Errors
    /// If the app does not answer or refuses it.
    pub async fn stop(&self, resource: Option<Resource>) -> Result<Stopped, Failure> {
        let path = path_of(resource, "stop");
        match self.call(Method::POST, &path, String::new()).await {
            Ok(answer) if answer.status == StatusCode::ACCEPTED => Ok(Stopped::MayBeSending),
            Ok(_) => Ok(Stopped::Done),
            Err(Failure::Refused(problem)) if problem.status == StatusCode::BAD_REQUEST => {
                Ok(Stopped::NothingRan)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let answer = self.call(Method::GET, path, String::new()).await?;
        read(path, &answer)
    }

    async fn call(&self, method: Method, path: &str, body: String) -> Result<Answer, Failure> {
        let request = Request::builder()
            .method(&method)
            .uri(format!("{}{path}", self.url))
            .header(AUTHORIZATION, &self.token)
            .body(Full::from(body));
        let what = format!("{method} {path}");
        let request = request.map_err(|error| Failure::away(format!("{what}: {error}")))?;
        let calling = async {
            let response = self.client.request(request).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            anyhow::Ok((head, body))
        };
        let (head, body) = match tokio::time::timeout(TIMEOUT, calling).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(error)) => return Err(Failure::away(format!("{what}: {error:#}"))),
            Err(_) => {
                let seconds = TIMEOUT.as_secs();
                return Err(Failure::away(format!("{what}: no answer in {seconds} s")));
            }
        };
        if head.status.is_success() {
            return Ok(Answer {
                status: head.status,
                body,
            });
        }
        let retry_after = head.headers.get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|seconds| seconds.to_str().ok()?.parse().ok());
        let retry_after = retry_after.map(Duration::from_secs);
        Err(Failure::of(&what, head.status, &body, retry_after))
    }
}

fn path_of(resource: Option<Resource>, verb: &str) -> String {
    match resource {
        Some(resource) => format!("/sync/{}/{verb}", resource.name()),
        None => format!("/sync/{verb}"),
    }
}

/// Something else answers there if the document cannot be read: a proxy's login page, or another app.
fn read<T: DeserializeOwned>(path: &str, answer: &Answer) -> Result<T, Failure> {
    serde_json::from_slice(&answer.body).map_err(|error| {
        let what = format!("what answers at {path} is not this app: {error}");
        Failure::Refused(Problem::new(answer.status, &what))
    })
}
