//! `cargo import check`, which every import begins with.

use serde_json::json;

use super::Session;
use crate::ending::{Code, CouldNotRun, could_not_run};
use crate::operator::{Check, LineState};
use crate::progress::{event, say};

/// Shows every line.
pub(crate) async fn run(session: &Session<'_>) -> Result<Code, CouldNotRun> {
    let check = session.briefly(|| session.operator().check()).await?;
    let code = match check.ok {
        true => Code::Done,
        false => Code::CouldNotRun,
    };
    if session.screen.is_json() {
        event(
            "check",
            json!({"ok": check.ok, "lines": check.lines, "exitCode": code.number()}),
        );
    } else {
        lines(&check, |_| true).iter().for_each(|line| say(line));
    }
    Ok(code)
}

/// Says what does not work, with its fixes; it is an error, as nothing can be imported then.
pub(crate) async fn before_an_import(session: &Session<'_>) -> Result<(), CouldNotRun> {
    session.screen.note("Checking the configuration.");
    let check = session.briefly(|| session.operator().check()).await?;
    if check.ok {
        return Ok(());
    }
    let failed = |state| state == LineState::Failed;
    if session.screen.is_json() {
        event("check", json!({"ok": false, "lines": check.lines}));
    }
    for line in lines(&check, failed) {
        if !session.screen.is_json() {
            session.screen.note(&line);
        }
    }
    let count = check.lines.iter().filter(|line| failed(line.state)).count();
    could_not_run!(
        "the check failed in {count} of {} lines; nothing was started",
        check.lines.len()
    )
}

/// The lines in a wanted state, each with its fix below it.
fn lines(check: &Check, is_wanted: impl Fn(LineState) -> bool) -> Vec<String> {
    let wanted = check.lines.iter().filter(|line| is_wanted(line.state));
    wanted
        .flat_map(|line| {
            let state = match line.state {
                LineState::Ok => "ok",
                LineState::Failed => "failed",
                LineState::Unknown => "unknown",
            };
            let told = format!("{state:<8} {}: {}", line.what, line.detail);
            let fix = line.fix.as_ref().map(|fix| format!("         fix: {fix}"));
            [Some(told), fix].into_iter().flatten()
        })
        .collect()
}
