//! What is shown while an import goes on: a bar for each resource on a terminal, plain lines elsewhere, both on standard
//! error, so that the report can be redirected by itself; or JSON on standard output, one object a line.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::figures::{duration, grouped};
use crate::operator::{Document, Resource, State, Status};

/// At most one line of an import in this time, unless it begins or ends.
const LINE_EVERY: Duration = Duration::from_secs(3);

/// The screen.
#[derive(Clone)]
pub enum Progress {
    /// A bar for each import.
    Bars(MultiProgress),
    /// Lines for people.
    Lines,
    /// Objects for machines.
    Json,
}

/// The bar, or the lines, of one import.
pub struct Shown {
    resource: Resource,
    screen: Progress,
    bar: Option<ProgressBar>,
    last_line: Option<Instant>,
    is_over: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Bars where there is a terminal, otherwise lines.
    pub fn new() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Bars(MultiProgress::new())
        } else {
            Self::Lines
        }
    }

    /// Whether it is for machines.
    pub fn is_json(&self) -> bool {
        matches!(self, Self::Json)
    }

    /// Says something beside the progress.
    pub fn note(&self, text: &str) {
        match self {
            Self::Bars(bars) => {
                // a screen that cannot be written to is nothing to stop for
                let _ = bars.println(text);
            }
            Self::Lines => eprintln!("{text}"),
            Self::Json => event("note", json!({ "text": text })),
        }
    }

    /// Begins to show an import.
    pub fn show(&self, resource: Resource) -> Shown {
        let bar = match self {
            Self::Bars(bars) => {
                let bar = bars.add(ProgressBar::new(100));
                bar.set_style(style());
                bar.set_prefix(resource.name());
                Some(bar)
            }
            Self::Lines | Self::Json => None,
        };
        Shown {
            resource,
            screen: self.clone(),
            bar,
            last_line: None,
            is_over: false,
        }
    }
}

/// Writes one object to standard output: `event` first, and when it was written.
pub fn event(name: &str, members: Value) {
    let mut line = json!({"event": name, "at": Timestamp::now()});
    if let (Value::Object(line), Value::Object(members)) = (&mut line, members) {
        line.extend(members);
    }
    say(&line.to_string());
}

/// Writes a line to standard output. Whoever has closed it does not want to read it.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:<10} [{bar:24}] {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

impl Shown {
    /// Shows how the import stands now.
    pub fn update(&mut self, status: &Status) {
        let is_over = status.status != State::Running;
        if is_over && self.is_over {
            return;
        }
        self.is_over = is_over;
        if let Some(bar) = &self.bar {
            bar.set_position(position(status));
            bar.set_message(message(status, Timestamp::now()));
            if is_over {
                bar.abandon();
            }
            return;
        }
        let is_due = self
            .last_line
            .is_none_or(|last| last.elapsed() >= LINE_EVERY);
        if !is_over && !is_due {
            return;
        }
        self.last_line = Some(Instant::now());
        match self.screen {
            Progress::Json => {
                let members = json!({"resource": self.resource.name(), "run": status.raw});
                event("progress", members);
            }
            _ => eprintln!(
                "{:<10} {}",
                self.resource.name(),
                message(status, Timestamp::now())
            ),
        }
    }
}

/// Percent of the whole run: of its phases where these are known, otherwise of its records.
fn position(status: &Document) -> u64 {
    let by_records = || match status.total {
        Some(total) if total > 0 => 100.0 * status.counts.read as f64 / total as f64,
        _ => 0.0,
    };
    let percent = match status.status {
        State::Completed => 100.0,
        _ => status.percent.unwrap_or_else(by_records),
    };
    percent.clamp(0.0, 100.0) as u64
}

/// Percent, records, rate, time left, and what is waited for.
pub fn message(status: &Document, now: Timestamp) -> String {
    let mut parts = Vec::new();
    if let Some(percent) = status.percent {
        parts.push(format!("{percent:.0} %"));
    }
    let read = grouped(status.counts.read);
    parts.push(match status.total {
        Some(total) => format!("{read} of {}", grouped(total)),
        None => read,
    });
    if let Some(failed) = Some(status.failed()).filter(|failed| *failed > 0) {
        parts.push(format!("{} failed", grouped(failed)));
    }
    let is_running = status.status == State::Running;
    if let Some(rate) = status.rate.filter(|_| is_running) {
        parts.push(format!("{rate:.0}/s"));
    }
    if let Some(phase) = status.phase.as_ref().filter(|_| is_running) {
        parts.push(phase.clone());
    }
    parts.push(format!("window {}", status.window));
    if is_running && status.jobs_under_way > 0 {
        let jobs = status.jobs_under_way;
        let plural = if jobs == 1 { "" } else { "s" };
        parts.push(format!("{jobs} job{plural} of Klaviyo under way"));
    }
    let until = |moment: Option<Timestamp>| {
        let seconds = moment?.duration_since(now).as_secs_f64();
        (seconds >= 1.0).then(|| duration(seconds.round()))
    };
    if let Some(left) = until(status.estimated_end).filter(|_| is_running) {
        parts.push(format!("about {left} left"));
    }
    if is_running && let Some(what) = &status.waiting_for {
        let pause = until(status.not_before);
        let pause = pause.map_or_else(String::new, |pause| format!(", for {pause}"));
        parts.push(format!("waiting for {what}{pause}"));
    }
    if !is_running {
        parts.push(status.status.name().to_owned());
    }
    if status.chain_looks_cut {
        parts.push("nobody works on it".to_owned());
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(members: Value) -> Status {
        serde_json::from_value(members).expect("a status")
    }

    #[test]
    fn a_line_says_how_far_it_is_and_what_is_waited_for() {
        let now = "2026-08-01T10:00:00Z".parse().expect("a moment");
        let running = status(json!({
            "status": "running", "window": 3, "percent": 41, "total": 12_000, "rate": 812.4, "phase": "products",
            "counts": {"read": 5_000, "failed": 2}, "estimatedEnd": "2026-08-01T10:02:05Z",
            "jobsUnderWay": 2, "waitingFor": "a rate limit of Klaviyo's", "notBefore": "2026-08-01T10:00:12Z",
        }));
        assert_eq!(
            message(&running, now),
            "41 %, 5,000 of 12,000, 2 failed, 812/s, products, window 3, 2 jobs of Klaviyo under way, about 2 min 5 s left, \
             waiting for a rate limit of Klaviyo's, for 12.0 s"
        );
        assert_eq!(position(&running), 41);
        let over = status(
            json!({"status": "completed", "window": 4, "counts": {"read": 7}, "waitingFor": "a job"}),
        );
        assert_eq!(message(&over, now), "7, window 4, completed");
        assert_eq!(position(&over), 100);
    }

    #[test]
    fn a_bar_has_a_place_without_percents() {
        let of = |members| position(&status(members));
        assert_eq!(
            of(json!({"status": "running", "total": 8, "counts": {"read": 2}})),
            25
        );
        assert_eq!(
            of(json!({"status": "running", "total": 8, "counts": {"read": 20}})),
            100
        );
        assert_eq!(of(json!({"status": "running", "counts": {"read": 2}})), 0);
    }
}
