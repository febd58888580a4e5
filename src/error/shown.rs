//! What may be shown of the texts of an error response.

/// The most characters that are shown of a code or of a pointer's field.
const MAX_SHOWN: usize = 200;

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.:~$".contains(&byte)
}

/// The code of an error response, if it looks like a code; any other text is not shown.
#[must_use]
pub fn plain_code(code: String) -> Option<String> {
    let is_code = (1..=MAX_SHOWN).contains(&code.len()) && code.bytes().all(is_plain);
    is_code.then_some(code)
}

/// The field that a JSON pointer names, up to the first name that is not plain: a pointer into the merchant's own
/// properties can contain anything.
#[must_use]
pub fn plain_field(pointer: &str) -> &str {
    let shown = pointer.bytes().take(MAX_SHOWN);
    let length = shown
        .take_while(|&byte| byte == b'/' || is_plain(byte))
        .count();
    match &pointer[..length] {
        whole if length == pointer.len() => whole,
        // a name that is cut off is left out
        part => &part[..part.rfind('/').unwrap_or(0)],
    }
}
