//! A valid JSON text, spoiled. Mutated answers go further than random bytes: all but a part of them is as it should be.

use std::ops::Range;

use crate::script::Script;
use crate::spans::Spans;

/// What must never be shown to anybody: it stands for what an API says about a person.
pub const CANARY: &str = "canary@person.example";

/// Values that are not what anyone expects, JSON or not.
const VALUES: [&str; 58] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-1",
    "0.5",
    "1e5",
    "1e400",
    "-1e400",
    "1e-400",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551614",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890123456789012345678901234567890",
    "00",
    "+1",
    "NaN",
    "Infinity",
    r#""""#,
    r#""x""#,
    r#"" ""#,
    r#""\u0000""#,
    r#""\ud800""#,
    r#""\udfff\ud800""#,
    r#""\ud83d\ude00""#,
    r#""\r\nX-Injected: yes""#,
    r#""a/b""#,
    r#""..""#,
    r#""../../x?y=z#""#,
    r#""@elsewhere.example/""#,
    r#""//elsewhere.example/x""#,
    r#""https://elsewhere.example/x?page=2""#,
    r#""data:@elsewhere.example/""#,
    r#""\") or (id != \"""#,
    r#""canary@person.example""#,
    r#""00000000-0000-4000-8000-000000000000""#,
    r#""ffffffff-ffff-4fff-bfff-ffffffffffff""#,
    r#""9999-12-31T23:59:59.999Z""#,
    r#""-009999-01-02T01:59:59Z""#,
    r#""1970-01-01T00:00:00Z""#,
    r#""processing""#,
    r#""cancelled""#,
    r#""complete""#,
    "[]",
    "{}",
    "[null]",
    "[{}]",
    r#"{"":""}"#,
    "",
];

/// Keys that nobody expects, quotes included.
const KEYS: [&str; 8] = [
    r#""""#,
    r#""id""#,
    r#""\u0069d""#,
    r#""\ud800""#,
    r#""\u0000""#,
    r#""__proto__""#,
    r#""x""#,
    r#""$type""#,
];

/// Members whose value names a record.
const NAMES: [&[u8]; 6] = [
    b"\"id\":",
    b"\"sku\":",
    b"\"external_id\":",
    b"\"key\":",
    b"\"runId\":",
    b"\"planId\":",
];

/// The most bytes that a mutation adds.
const MOST_ADDED: usize = 300_000;

/// Spoils a text in a few places, as the script decides.
#[must_use]
pub fn mutate(text: &[u8], script: &mut Script) -> Vec<u8> {
    let mut text = text.to_vec();
    for _ in 0..=script.below(3) {
        text = mutate_once(&text, script);
    }
    text
}

fn mutate_once(text: &[u8], script: &mut Script) -> Vec<u8> {
    let Spans {
        values,
        keys,
        parts,
    } = Spans::of(text);
    let at = |spans: &[Range<usize>], script: &mut Script| {
        spans
            .get(script.below(spans.len()))
            .cloned()
            .unwrap_or(0..0)
    };
    match script.below(12) {
        0..=2 => {
            let place = at(&values, script);
            let value = script.pick(&VALUES);
            let value = match is_name(text, &place) && value.contains(CANARY) {
                true => "null",
                false => value,
            };
            with(text, place, value.as_bytes())
        }
        3 => with(text, at(&values, script), &script.bytes(12)),
        4 => {
            let place = at(&keys, script);
            let key = script.pick(&KEYS);
            let value = text[place.end..]
                .iter()
                .take(100)
                .take_while(|&&byte| byte != b',');
            // an address may not be made a name
            let key = match value.into_iter().any(|&byte| byte == b'@') {
                true => KEYS[0],
                false => key,
            };
            with(text, place, key.as_bytes())
        }
        5 => with(text, at(&parts, script), b""),
        6 => {
            // twice, the second time with another value
            let part = at(&parts, script);
            let one = text[part.clone()].trim_ascii_end();
            let one = one.strip_suffix(b",").unwrap_or(one);
            let is_member = keys.iter().any(|key| key.start == part.start);
            let (open, close) = if is_member { ("{", "}") } else { ("[", "]") };
            let framed = [open.as_bytes(), one, close.as_bytes()].concat();
            let place = Spans::of(&framed).values.get(1).cloned();
            let spoiled = with(
                &framed,
                place.unwrap_or(0..0),
                script.pick(&VALUES).as_bytes(),
            );
            let spoiled = &spoiled[1..spoiled.len() - 1];
            with(text, part.start..part.start, &[spoiled, b","].concat())
        }
        7 => {
            let part = at(&parts, script);
            let mut one = text[part.clone()].trim_ascii_end().to_vec();
            if !one.ends_with(b",") {
                one.push(b',');
            }
            let most = MOST_ADDED / one.len().max(1);
            let times = script.pick(&[2, 101, 501, 20_000]).min(most);
            with(text, part.start..part.start, &one.repeat(times))
        }
        8 => {
            let place = at(&values, script);
            let depth = script.pick(&[1, 127, 128, 129, 20_000]);
            let (open, close) = script.pick(&[("[", "]"), (r#"{"x":"#, "}")]);
            let (open, close) = (open.repeat(depth), close.repeat(depth));
            let nested = [open.as_bytes(), &text[place.clone()], close.as_bytes()].concat();
            with(text, place, &nested)
        }
        9 => {
            let (from, to) = (at(&values, script), at(&values, script));
            match is_name(text, &to) {
                true => with(text, to, b"\"\""),
                false => with(text, to, &text[from]),
            }
        }
        10 => {
            let length = script.pick(&[300, 8_192, 100_001, 262_144]);
            let letter = script.pick(&["a", "ü", "\\u0000", " "]);
            let long = format!("\"{}\"", letter.repeat(length / letter.len()));
            with(text, at(&values, script), long.as_bytes())
        }
        _ => {
            let place = script.below(text.len() + 1);
            match script.byte() {
                byte if byte % 2 == 0 => text[..place].to_vec(),
                byte => with(text, place..place, &[byte]),
            }
        }
    }
}

/// Whether a value names a record, and may therefore be shown.
fn is_name(text: &[u8], value: &Range<usize>) -> bool {
    let before = text[..value.start].trim_ascii_end();
    NAMES.iter().any(|name| before.ends_with(name))
}

fn with(text: &[u8], place: Range<usize>, instead: &[u8]) -> Vec<u8> {
    [&text[..place.start], instead, &text[place.end..]].concat()
}
