//! The table of runs that have ended.

use crate::figures::{duration, grouped};
use crate::operator::{Counts, Document};

/// The most records that were set aside that a report for people names; machines get all.
const NAMED: usize = 20;

/// The table's head.
pub fn head() -> String {
    format!(
        "{:<11} {:>9} {:>9} {:>8} {:>7} {:>10} {:>8} {:>12} {:>10}  status",
        "", "read", "sent", "skipped", "failed", "documents", "windows", "duration", "records/s"
    )
}

/// The lines about one run, which is called so.
pub fn lines(name: &str, run: &Document) -> Vec<String> {
    let seconds = run.seconds();
    let mut lines = vec![format!(
        "{} {:>8} {:>12} {:>10}  {}",
        counts(name, &run.counts),
        grouped(run.window),
        seconds.map_or_else(|| "-".to_owned(), duration),
        rate(run.counts.read, seconds).map_or_else(|| "-".to_owned(), grouped),
        run.status.name(),
    )];
    if let Some(variants) = &run.variants {
        lines.push(counts("  variants", variants));
    }
    let all = [
        ("", Some(&run.counts)),
        ("variants ", run.variants.as_ref()),
    ];
    for (of, counts) in all
        .into_iter()
        .filter_map(|(of, counts)| Some((of, counts?)))
    {
        for (reason, count) in &counts.skipped {
            lines.push(format!(
                "              {of}skipped {}: {reason}",
                grouped(*count)
            ));
        }
        for (note, count) in &counts.notes {
            lines.push(format!("              {of}{note}: {}", grouped(*count)));
        }
    }
    if let Some(error) = &run.last_error {
        lines.push(format!(
            "              last error: {} {}",
            error.message, error.advice
        ));
    }
    lines
}

/// The records of a run that were not sent, one a line, the first of them.
pub fn set_aside(name: &str, run: &Document) -> Vec<String> {
    let mut lines: Vec<String> = run
        .set_aside
        .iter()
        .take(NAMED)
        .map(|record| {
            let id = record.id.as_deref().unwrap_or("(not named)");
            // what an API said may have anything in it
            let reason: String = record
                .reason
                .chars()
                .map(|letter| if letter.is_control() { ' ' } else { letter })
                .collect();
            format!("{name:<11} {id} {}: {reason}", record.outcome)
        })
        .collect();
    let more = run.set_aside.len().saturating_sub(NAMED) as u64 + run.set_aside_omitted;
    if more > 0 {
        lines.push(format!("{name:<11} and {} more", grouped(more)));
    }
    lines
}

fn counts(name: &str, counts: &Counts) -> String {
    format!(
        "{name:<11} {:>9} {:>9} {:>8} {:>7} {:>10}",
        grouped(counts.read),
        grouped(counts.sent),
        grouped(counts.skipped.values().sum()),
        grouped(counts.failed),
        grouped(counts.documents),
    )
}

/// Records a second.
fn rate(records: u64, seconds: Option<f64>) -> Option<u64> {
    let seconds = seconds.filter(|seconds| *seconds > 0.0)?;
    Some((records as f64 / seconds).round() as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::operator::Status;

    fn run(members: Value) -> Status {
        serde_json::from_value(members).expect("a status")
    }

    #[test]
    fn no_rate_without_time() {
        assert_eq!(rate(10, Some(4.0)), Some(3));
        assert_eq!(rate(10, Some(0.0)), None);
        assert_eq!(rate(10, None), None);
    }

    #[test]
    fn a_run_has_its_reasons_below_it() {
        let told = lines(
            "products",
            &run(json!({
                "status": "failed", "counts": {"read": 3, "skipped": {"no-slug": 1}}, "variants": {"notes": {"variants-moved": 2}},
                "lastError": {"message": "It broke.", "advice": "Mend it."},
            })),
        );
        let told: Vec<&str> = told.iter().map(|line| line.trim()).collect();
        assert!(
            told[0].starts_with("products") && told[0].ends_with("failed"),
            "{told:?}"
        );
        assert!(told[1].starts_with("variants"), "{told:?}");
        assert_eq!(
            told[2..],
            [
                "skipped 1: no-slug",
                "variants variants-moved: 2",
                "last error: It broke. Mend it."
            ]
        );
    }

    #[test]
    fn records_that_were_set_aside_are_named_without_control_characters() {
        let record = |id: usize| json!({"id": id.to_string(), "outcome": "failed", "reason": "bad\u{1b}[2J\nemail"});
        let many: Vec<Value> = (0..NAMED + 2).map(record).collect();
        let told = set_aside(
            "orders",
            &run(json!({"setAside": many, "setAsideOmitted": 5})),
        );
        assert_eq!(told.len(), NAMED + 1);
        assert_eq!(told[0], "orders      0 failed: bad [2J email");
        assert_eq!(told[NAMED], "orders      and 7 more");
    }
}
