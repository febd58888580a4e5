//! The properties over random bytes, without a fuzzer: `storm <property or all> <seconds> [seed]`, and again over the
//! bytes of a failure: `storm <property> <bytes in hexadecimal>`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

type Property = fn(&[u8]);

const PROPERTIES: [(&str, Property); 6] = [
    ("bodies", hostile::properties::bodies),
    ("records", hostile::properties::records),
    ("stored_documents", hostile::properties::stored_documents),
    ("run_documents", hostile::properties::run_documents),
    ("commercetools", hostile::properties::commercetools),
    ("klaviyo", hostile::properties::klaviyo),
];
/// Failures that are kept for each place where they happen.
const EXAMPLES: usize = 2;

thread_local! {
    static FAILURE: RefCell<(String, String)> = RefCell::default();
}

fn random(seed: u64, most: usize) -> Vec<u8> {
    // SplitMix64
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let length = next() as usize % most;
    (0..length).map(|_| next() as u8).collect()
}

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        FAILURE.set((place, info.to_string()));
    }));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, what, seed @ ..] = &arguments[..] else {
        eprintln!("storm <property or all> <seconds> [seed] | storm <property> <hexadecimal>");
        return ExitCode::FAILURE;
    };
    let chosen = PROPERTIES
        .into_iter()
        .filter(|(property, _)| name == "all" || name == property);
    let chosen: Vec<(&str, Property)> = chosen.collect();
    let seconds = what.parse().ok().filter(|_| what.len() < 7);
    let Some(seconds) = seconds.map(Duration::from_secs) else {
        return replay(&chosen, what);
    };
    let first = seed.first().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut failures = 0;
    for (property, act) in chosen {
        failures += storm(property, act, seconds, first);
    }
    if failures == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn replay(chosen: &[(&str, Property)], hexadecimal: &str) -> ExitCode {
    let digits = hexadecimal.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    for (property, act) in chosen {
        let bytes = bytes.clone().unwrap_or_default();
        if catch_unwind(AssertUnwindSafe(|| act(&bytes))).is_err() {
            println!("{property}: {}", FAILURE.take().1);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn storm(property: &str, act: Property, duration: Duration, first: u64) -> usize {
    let begun = Instant::now();
    let mut cases = 0;
    let mut failures: BTreeMap<String, Vec<(String, Vec<u8>)>> = BTreeMap::new();
    while begun.elapsed() < duration {
        let bytes = random(first + cases, 200);
        cases += 1;
        let one = Instant::now();
        let failed = catch_unwind(AssertUnwindSafe(|| act(&bytes))).is_err();
        if failed {
            let (place, message) = FAILURE.take();
            failures.entry(place).or_default().push((message, bytes));
        } else if one.elapsed() > Duration::from_secs(5) {
            let message = format!("took {:?}", one.elapsed());
            failures
                .entry("slow".to_owned())
                .or_default()
                .push((message, bytes));
        }
    }
    println!(
        "{property}: {cases} cases in {:?}, {} kinds of failures",
        begun.elapsed(),
        failures.len()
    );
    for (place, found) in &failures {
        println!("  {place}: {} times", found.len());
        // the shortest are the easiest to read
        let mut found: Vec<_> = found.iter().collect();
        found.sort_by_key(|(_, bytes)| bytes.len());
        for (message, bytes) in found.into_iter().take(EXAMPLES) {
            let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            println!("    {message:.1500}\n    {hexadecimal}");
        }
    }
    failures.len()
}
