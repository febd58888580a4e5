//! `GET /sync/cron/<cron_token>/...`: for schedulers that can send nothing but a path, neither method nor header, such as
//! `spin aka cron` of Akamai Functions.
//!
//! A path ends up in logs, so its token opens two harmless doors only: going on with what has been started, and starting
//! the import of what has changed since the last one. The answers say how it went, and nothing of the runs.

use std::rc::Rc;

use bytes::Bytes;
use http::Response;
use serde_json::json as json_value;

use super::answer::json;
use super::cron_task::CronTask;
use super::problem::Problem;
use super::{continue_run, plan, start};
use crate::run::engine::Engine;
use crate::run::log::LogEvent;

/// What the body of the start of [`CronTask::Changes`] would be, and of [`CronTask::ChangesOf`].
const CHANGES: &[u8] = br#"{"since":"lastRun"}"#;

/// Runs the task. What is refused is logged as well: whoever reads the answer of a cron job does so in the log.
pub(super) async fn run(engine: &Rc<Engine>, task: CronTask) -> Result<Response<Bytes>, Problem> {
    let answered = match task {
        CronTask::Continue => continue_run::all(engine).await,
        CronTask::Changes => plan::start(engine, &Bytes::from_static(CHANGES)).await,
        CronTask::ChangesOf(resource) => {
            start::start(engine, resource, &Bytes::from_static(CHANGES)).await
        }
    };
    match answered {
        Ok(response) => Ok(json(response.status(), &json_value!({"ok": true}))),
        Err(problem) => {
            engine.log(
                LogEvent::CronRefused,
                &json_value!({
                    "errand": task.to_string(),
                    "status": problem.member("status"),
                    "error": problem.member("detail"),
                    "advice": problem.member("advice"),
                }),
            );
            Err(problem.bare())
        }
    }
}
