//! `GET /sync/cron/<cron_token>/...`: for schedulers that can set a path, but neither method nor headers, such as
//! `spin aka cron` of Akamai Functions.
//!
//! Paths are written to logs, so this token allows three harmless operations only: to continue what was started, to import
//! what has changed since the last run, and to remove what commercetools no longer has, behind the guard. The responses say
//! whether that worked, and nothing about the runs.

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

/// The body of the start of [`CronTask::Changes`], and of [`CronTask::ChangesOf`].
const CHANGES: &[u8] = br#"{"since":"lastRun"}"#;

/// The body of the start of [`CronTask::PruneOf`].
const PRUNE: &[u8] = br#"{"prune":true}"#;

/// Runs the task. An error is logged as well, because the responses of cron jobs are rarely seen elsewhere.
pub(super) async fn run(engine: &Rc<Engine>, task: CronTask) -> Result<Response<Bytes>, Problem> {
    let answered = match task {
        CronTask::Continue => continue_run::all(engine).await,
        CronTask::Changes => plan::start(engine, &Bytes::from_static(CHANGES)).await,
        CronTask::ChangesOf(resource) => {
            start::start(engine, resource, &Bytes::from_static(CHANGES)).await
        }
        CronTask::PruneOf(resource) => {
            start::start(engine, resource, &Bytes::from_static(PRUNE)).await
        }
    };
    match answered {
        Ok(response) => Ok(json(response.status(), &json_value!({"ok": true}))),
        Err(problem) => {
            engine.log(
                LogEvent::CronRefused,
                &json_value!({
                    "task": task.to_string(),
                    "status": problem.member("status"),
                    "error": problem.member("detail"),
                    "advice": problem.member("advice"),
                }),
            );
            Err(problem.bare())
        }
    }
}
