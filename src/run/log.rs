//! Log lines: one JSON object each, the time first, the event second.

use serde_json::{Map, Value};

use crate::ports::Ports;

/// The event of a log line. Operators filter and alarm by its key, so the key does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogEvent {
    /// A run has begun.
    RunStarted,
    /// A run that had failed goes on.
    RunResumed,
    /// A run was stopped.
    RunStopped,
    /// A run is over.
    RunCompleted,
    /// A run gave up.
    RunFailed,
    /// A window is over, and there is more to do.
    WindowDone,
    /// A window is over, and there is nothing to do before a timestamp.
    Waiting,
    /// A window ended because a request failed; the next one retries.
    WindowFailed,
    /// A window ended because another invocation has changed the document.
    WindowEndedByOthers,
    /// A window's end could not be saved.
    WindowNotSaved,
    /// The next window could not be started.
    ChainCut,
    /// A plan has begun.
    PlanStarted,
    /// A plan was stopped.
    PlanStopped,
    /// A plan is over.
    PlanFinished,
    /// A plan could not be advanced.
    PlanNotAdvanced,
    /// A document names another Klaviyo account, and is left unchanged.
    OtherDestination,
    /// A scheduler's request by path got an error.
    CronRefused,
    /// The variables are not valid.
    Misconfigured,
    /// The platform could not read a variable.
    VariablesUnread,
}

impl LogEvent {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::RunStarted,
        Self::RunResumed,
        Self::RunStopped,
        Self::RunCompleted,
        Self::RunFailed,
        Self::WindowDone,
        Self::Waiting,
        Self::WindowFailed,
        Self::WindowEndedByOthers,
        Self::WindowNotSaved,
        Self::ChainCut,
        Self::PlanStarted,
        Self::PlanStopped,
        Self::PlanFinished,
        Self::PlanNotAdvanced,
        Self::OtherDestination,
        Self::CronRefused,
        Self::Misconfigured,
        Self::VariablesUnread,
    ];

    /// What stands in the line as `event`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::RunStarted => "run_started",
            Self::RunResumed => "run_resumed",
            Self::RunStopped => "run_stopped",
            Self::RunCompleted => "run_completed",
            Self::RunFailed => "run_failed",
            Self::WindowDone => "window_done",
            Self::Waiting => "waiting",
            Self::WindowFailed => "window_failed",
            Self::WindowEndedByOthers => "window_ended_by_others",
            Self::WindowNotSaved => "window_not_saved",
            Self::ChainCut => "chain_cut",
            Self::PlanStarted => "plan_started",
            Self::PlanStopped => "plan_stopped",
            Self::PlanFinished => "plan_finished",
            Self::PlanNotAdvanced => "plan_not_advanced",
            Self::OtherDestination => "other_destination",
            Self::CronRefused => "cron_refused",
            Self::Misconfigured => "misconfigured",
            Self::VariablesUnread => "variables_unread",
        }
    }
}

/// Writes a log line; members that are null are left out.
pub fn write(ports: &Ports, event: LogEvent, members: &Value) {
    let mut line = Map::new();
    line.insert("time".to_owned(), ports.clock.now().to_string().into());
    line.insert("event".to_owned(), event.key().into());
    if let Value::Object(members) = members {
        let present = members.iter().filter(|(_, value)| !value.is_null());
        line.extend(present.map(|(name, value)| (name.clone(), value.clone())));
    }
    ports.log.line(&Value::Object(line).to_string());
}
