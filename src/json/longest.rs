//! The longest string of a JSON text.

use super::scan;
use super::text::Text;

/// The length of the longest string in a JSON text, in bytes after decoding, keys included; 0 if none is longer than
/// `most`.
pub(crate) fn longest_string(json: &str, most: usize) -> usize {
    if !may_hold_string(json.as_bytes(), most) {
        return 0;
    }
    let mut longest = 0;
    let mut rest = json;
    while let Some(start) = rest.find('"') {
        rest = &rest[start + 1..];
        let (end, _) = scan::end_of_string(rest.as_bytes(), 0);
        // Decoding never makes a string longer.
        if end > most {
            longest = longest.max(Text(&rest[..end]).decoded().len());
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    if longest > most { longest } else { 0 }
}

/// Whether a JSON text may hold a string of more than `most` bytes. Such a string has no quote inside and is long
/// enough to cover a multiple of `most`, so only the quotes next to these positions are compared.
fn may_hold_string(json: &[u8], most: usize) -> bool {
    let is_quote = |place: &usize| {
        let before = json[..*place].iter().rev();
        json[*place] == b'"' && before.take_while(|byte| **byte == b'\\').count() % 2 == 0
    };
    (most..json.len()).step_by(most).any(|place| {
        let before = (place - most..place).rev().find(is_quote);
        let after = (place..json.len().min(place + most)).find(is_quote);
        match (before, after) {
            (Some(before), Some(after)) => after - before > most + 1,
            _ => true,
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_longest_string_is_found_where_it_is_too_long(
            texts in prop::collection::vec(r#"[a"\\é]{0,12}"#, 0..12), numbers in 0_u64..u64::MAX, most in 1_usize..12
        ) {
            let json = serde_json::json!({ "": texts, "n": [numbers, numbers, numbers] }).to_string();
            let longest = texts.iter().map(String::len).max().unwrap_or(0).max(1);
            prop_assert_eq!(longest_string(&json, most), if longest > most { longest } else { 0 });
        }
    }
}
