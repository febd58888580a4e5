//! Finds the ends of values in JSON text, eight bytes at a time.

/// The end of the value that starts at `at`.
pub(crate) fn end_of_value(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'"') => (end_of_string(bytes, at + 1).0 + 1).min(bytes.len()),
        Some(b'{' | b'[') => end_of_nest(bytes, at),
        _ => end_of_scalar(bytes, at + 1),
    }
}

pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The end of a number, `true`, `false` or `null` that begins before `at`.
fn end_of_scalar(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']') || is_space(*byte);
    at.min(bytes.len()) + rest.iter().position(ends).unwrap_or(rest.len())
}

/// The index of the closing quote of the string whose content starts at `at`, and whether the string has escapes.
pub(crate) fn end_of_string(bytes: &[u8], mut at: usize) -> (usize, bool) {
    let mut has_escapes = false;
    while at < bytes.len() {
        let word = word(bytes, at);
        let stops = marks(word, b'"') | marks(word, b'\\');
        if stops == 0 {
            at += 8;
            continue;
        }
        at += stops.trailing_zeros() as usize / 8;
        if bytes[at] == b'"' {
            return (at, has_escapes);
        }
        has_escapes = true;
        at += 2;
    }
    (bytes.len(), has_escapes)
}

/// The end of the object or array that starts at `at`: the index after its last bracket.
fn end_of_nest(bytes: &[u8], mut at: usize) -> usize {
    let mut nest = Nest::default();
    while at < bytes.len() {
        if nest.take(word(bytes, at)) {
            at += 8;
            continue;
        }
        for _ in 0..8 {
            let Some(byte) = bytes.get(at) else { break };
            at += 1;
            match byte {
                b'"' => nest.in_string ^= ONES,
                b'\\' => at += 1,
                b'{' | b'[' if nest.in_string == 0 => nest.depth += 1,
                b'}' | b']' if nest.in_string == 0 => {
                    nest.depth = nest.depth.saturating_sub(1);
                    if nest.depth == 0 {
                        return at;
                    }
                }
                _ => {}
            }
        }
    }
    bytes.len()
}

/// How many brackets are open at a position, and whether it is in a string.
#[derive(Default)]
struct Nest {
    depth: u64,
    /// 1 in every byte if the position is in a string, else 0.
    in_string: u64,
}

impl Nest {
    /// Takes eight bytes at once; `false` if they have to be taken one by one, because they hold an escape or the
    /// object or array may end in them.
    fn take(&mut self, word: u64) -> bool {
        // Brackets and braces differ by one bit, which no other byte shares with them.
        let folded = word | (ONES * 0x20);
        // In each byte, whether it is in a string: the number of quotes up to it is odd.
        let quotes = marks(word, b'"').wrapping_mul(ONES);
        let in_string = (quotes & ONES) ^ self.in_string;
        let opened = count(marks(folded, b'{') & !in_string);
        let closed = count(marks(folded, b'}') & !in_string);
        if marks(word, b'\\') != 0 || (closed > 0 && closed >= self.depth) {
            return false;
        }
        self.depth = self.depth + opened - closed;
        self.in_string = (in_string >> 56) * ONES;
        true
    }
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = ONES << 7;

/// The eight bytes from `at` on, the first of them lowest; zeros after the end of the text.
fn word(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    let word = rest.first_chunk().copied();
    u64::from_le_bytes(word.unwrap_or_else(|| {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        word
    }))
}

/// 1 in each byte of `word` that is `wanted`, else 0.
fn marks(word: u64, wanted: u8) -> u64 {
    let differing = word ^ (ONES * u64::from(wanted));
    let not_zero = ((differing & !HIGHS) + !HIGHS) | differing;
    (!not_zero & HIGHS) >> 7
}

/// How many bytes are marked.
fn count(marks: u64) -> u64 {
    marks.wrapping_mul(ONES) >> 56
}
