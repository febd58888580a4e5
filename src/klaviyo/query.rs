//! Filters of queries (<https://developers.klaviyo.com/en/docs/filtering_>).

/// "Maximum of 100 values" of an `any` filter.
pub(super) const MAX_VALUES: usize = 100;
/// The most bytes of a filter, so that a request stays under the 8 KB that servers accept: 100 ids of items have 6,000.
const MAX_FILTER_BYTES: usize = 7_000;

/// `any(<field>,[...])` filters for these values, escaped for a URL, each with as many values as a query takes. Values that
/// cannot be written in a filter are left out.
pub(super) fn filters_of_any<'v>(
    field: &str,
    values: impl Iterator<Item = &'v str>,
) -> Vec<String> {
    let mut filters = Vec::new();
    let mut chunk: Vec<String> = Vec::new();
    let mut bytes = 0;
    let filter = |chunk: &[String]| format!("any({field},%5B{}%5D)", chunk.join(","));
    for value in values.filter_map(quoted) {
        if chunk.len() == MAX_VALUES || bytes + value.len() > MAX_FILTER_BYTES {
            filters.push(filter(&chunk));
            chunk.clear();
            bytes = 0;
        }
        bytes += value.len() + 1;
        chunk.push(value);
    }
    if !chunk.is_empty() {
        filters.push(filter(&chunk));
    }
    filters
}

/// A value of a filter, in the quotes that are not in it; `None` if both are: how they are escaped is not documented. Only
/// what a query needs escaped is escaped, so that 100 ids fit into one.
fn quoted(value: &str) -> Option<String> {
    let quote = match (
        value.contains('\''),
        value.contains('"'),
        value.contains('\\'),
    ) {
        (false, _, false) => "'",
        (true, false, false) => "%22",
        _ => return None,
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"$:-_.~".contains(&byte);
    let mut out = quote.to_owned();
    for byte in value.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out.push_str(quote);
    Some(out)
}
