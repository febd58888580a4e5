//! What the values of arguments look like: parsers for the commands of `host` and `demo`.

use std::time::Duration;

use crate::build::Wasi;

/// `NAME=VALUE`.
///
/// # Errors
/// What to write instead.
pub fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// `0.2` or `0.3`.
///
/// # Errors
/// What to write instead.
pub fn wasi(text: &str) -> Result<Wasi, String> {
    match text {
        "0.2" => Ok(Wasi::V0_2),
        "0.3" => Ok(Wasi::V0_3),
        _ => Err("write 0.2 or 0.3".to_owned()),
    }
}

/// Seconds, such as `1`, `0.5` or `30s`.
///
/// # Errors
/// What is wrong with the number.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text
        .trim_end_matches('s')
        .parse()
        .map_err(|_| "write a number of seconds")?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

/// The speed of a clock: a finite number above 0.
///
/// # Errors
/// What to write instead.
pub fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed.is_finite() && speed > 0.0 => Ok(speed),
        _ => Err("write a number above 0".to_owned()),
    }
}
