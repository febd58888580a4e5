//! Where the parts of a JSON text stand in it.

use std::ops::Range;

/// Parts that stand deeper than this are not told apart.
const DEEPEST: usize = 60;

/// The parts of a JSON text, by their places in it.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    /// All values, the whole text first.
    pub(crate) values: Vec<Range<usize>>,
    /// All keys, quotes included.
    pub(crate) keys: Vec<Range<usize>>,
    /// All members of objects and elements of arrays, with the comma after them where there is one.
    pub(crate) parts: Vec<Range<usize>>,
}

impl Spans {
    /// The parts of `text`; those before the first mistake, where it is not JSON.
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut scanner = Scanner {
            text,
            at: 0,
            spans: Self::default(),
        };
        // what comes before a mistake is as good to spoil as a whole text
        let _ = scanner.value(0);
        scanner.spans
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    spans: Spans,
}

impl Scanner<'_> {
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        let first = self.peek().filter(|first| !b",:]}".contains(first))?;
        if depth > DEEPEST {
            return None;
        }
        let start = self.at;
        let number = self.spans.values.len();
        self.spans.values.push(start..start);
        match first {
            b'{' => self.parts(b'}', true, depth)?,
            b'[' => self.parts(b']', false, depth)?,
            b'"' => self.string()?,
            _ => {
                let rest = &self.text[start..];
                let is_end =
                    |byte: &u8| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace();
                self.at += rest.iter().position(is_end).unwrap_or(rest.len());
            }
        }
        self.spans.values[number].end = self.at;
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            match self.text.get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(())
    }

    fn parts(&mut self, close: u8, have_keys: bool, depth: usize) -> Option<()> {
        self.at += 1;
        while self.peek()? != close {
            let start = self.at;
            if have_keys {
                self.string()?;
                self.spans.keys.push(start..self.at);
                self.peek().filter(|&colon| colon == b':')?;
                self.at += 1;
            }
            self.value(depth + 1)?;
            if self.peek()? == b',' {
                self.at += 1;
            }
            self.spans.parts.push(start..self.at);
        }
        self.at += 1;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_found_where_it_stands() {
        let text = r#"{"a": [1, {"b\"": null}], "c":"}"}"#;
        let spans = Spans::of(text.as_bytes());
        let texts = |ranges: &[Range<usize>]| {
            ranges
                .iter()
                .map(|range| text[range.clone()].to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            texts(&spans.values),
            [
                text,
                r#"[1, {"b\"": null}]"#,
                "1",
                r#"{"b\"": null}"#,
                "null",
                r#""}""#
            ]
        );
        assert_eq!(texts(&spans.keys), [r#""a""#, r#""b\"""#, r#""c""#]);
        assert_eq!(
            texts(&spans.parts),
            [
                "1,",
                r#""b\"": null"#,
                r#"{"b\"": null}"#,
                r#""a": [1, {"b\"": null}],"#,
                r#""c":"}""#
            ]
        );
    }
}
