//! What is shown while an import goes on: a bar for each resource on a terminal, plain lines elsewhere. On standard
//! error, so that the report can be redirected by itself.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::figures::grouped;
use crate::operator::{Resource, State, Status};

/// At most one plain line of an import in this time, unless it begins or ends.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// The screen.
pub(crate) enum Progress {
    Bars(MultiProgress),
    Lines,
}

/// The bar, or the lines, of one import.
pub(crate) struct Shown {
    name: &'static str,
    bar: Option<ProgressBar>,
    last_line: Option<Instant>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Bars(MultiProgress::new())
        } else {
            Self::Lines
        }
    }

    /// Begins to show an import.
    pub(crate) fn show(&self, resource: Resource) -> Shown {
        let bar = match self {
            Self::Bars(bars) => {
                let bar = bars.add(ProgressBar::new(0));
                bar.set_style(style());
                bar.set_prefix(resource.name());
                Some(bar)
            }
            Self::Lines => None,
        };
        Shown {
            name: resource.name(),
            bar,
            last_line: None,
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:<10} [{bar:32}] {pos:>7}/{len}  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

impl Shown {
    /// Shows how the import stands now.
    pub(crate) fn update(&mut self, status: &Status) {
        let message = message(status);
        let is_over = status.status != State::Running;
        if let Some(bar) = &self.bar {
            bar.set_length(status.total.unwrap_or_default());
            bar.set_position(status.counts.read);
            bar.set_message(message);
            if is_over {
                bar.abandon();
            }
            return;
        }
        if is_over
            || self
                .last_line
                .is_none_or(|last| last.elapsed() >= LINE_EVERY)
        {
            self.last_line = Some(Instant::now());
            eprintln!(
                "{:<10} {:>7} of {}  {message}",
                self.name,
                grouped(status.counts.read),
                grouped(status.total.unwrap_or_default()),
            );
        }
    }
}

/// Percent, rate, window, and what is waited for.
fn message(status: &Status) -> String {
    let mut parts = Vec::new();
    if let Some(percent) = status.percent {
        parts.push(format!("{percent:.0} %"));
    }
    if let Some(rate) = status.rate {
        parts.push(format!("{rate:.0}/s"));
    }
    parts.push(format!("window {}", status.window));
    match (&status.waiting_for, status.status) {
        (Some(what), State::Running) => parts.push(format!("waiting for {what}")),
        (None, State::Running) => {}
        (_, State::Completed) => parts.push("completed".to_owned()),
        (_, other) => parts.push(format!("{other:?}").to_lowercase()),
    }
    if status.chain_looks_cut {
        parts.push("the chain looks cut".to_owned());
    }
    parts.join(", ")
}
