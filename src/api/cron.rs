//! `GET /sync/cron/<cron_token>/...`: for schedulers that can send nothing but a path, neither method nor header, such as
//! `spin aka cron` of Akamai Functions.
//!
//! A path ends up in logs, so its token opens two harmless doors only: going on with what has been started, and starting
//! the import of what has changed since the last one. The answers say how it went, and nothing of the runs.

use std::rc::Rc;

use bytes::Bytes;
use http::Response;
use serde_json::json as json_value;
use subtle::ConstantTimeEq;

use super::problem::Problem;
use super::{App, json, plan, proceed};

/// What the body of the start of [`Errand::Changes`] would be.
const CHANGES: &[u8] = br#"{"since":"lastRun"}"#;

/// What a scheduler may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// As `POST /sync/continue`.
    Continue,
    /// As `POST /sync` with [`CHANGES`].
    Changes,
}

impl Errand {
    pub(super) const ALL: [Self; 2] = [Self::Continue, Self::Changes];

    /// Its name in the path.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Changes => "changes",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|errand| errand.name() == name)
    }
}

/// Whether a path has the scheduler's token in it, in a time that does not depend on how much of it is right.
pub(super) fn admits(app: &App, path: &str) -> bool {
    let shown = path
        .strip_prefix("/sync/cron/")
        .and_then(|rest| rest.split('/').next());
    match (shown, &app.config.cron_token) {
        (Some(shown), Some(token)) => shown.as_bytes().ct_eq(token.expose().as_bytes()).into(),
        _ => false,
    }
}

/// Runs the errand. What is refused is logged as well: whoever reads the answer of a cron job does so in the log.
pub(super) async fn run(app: &Rc<App>, errand: Errand) -> Result<Response<Bytes>, Problem> {
    let answered = match errand {
        Errand::Continue => proceed::all(app).await,
        Errand::Changes => plan::start(app, &Bytes::from_static(CHANGES)).await,
    };
    match answered {
        Ok(response) => Ok(json(response.status(), &json_value!({"ok": true}))),
        Err(problem) => {
            app.log(&json_value!({
                "event": "cron_refused",
                "errand": errand.name(),
                "status": problem.member("status"),
                "error": problem.member("detail"),
                "advice": problem.member("advice"),
            }));
            Err(problem.bare())
        }
    }
}
