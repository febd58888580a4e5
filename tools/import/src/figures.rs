//! Numbers as people read them.

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds as `8.4 s`, `3 min 20 s` or `2 h 47 min`.
pub fn duration(seconds: f64) -> String {
    // Cut to whole seconds: what is shown is longer than a minute.
    let whole = seconds as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

/// `part` of `whole` in percent; 0 of nothing.
pub fn percent(part: f64, whole: f64) -> String {
    let share = if whole > 0.0 { part / whole } else { 0.0 };
    format!("{:.1} %", share * 100.0)
}

/// Bytes in MB of a million.
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let cases = [
            (8.42, "8.4 s"),
            (200.9, "3 min 20 s"),
            (10_050.0, "2 h 47 min"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn a_share_of_nothing_is_nothing() {
        assert_eq!(percent(1.0, 4.0), "25.0 %");
        assert_eq!(percent(0.0, 0.0), "0.0 %");
    }
}
