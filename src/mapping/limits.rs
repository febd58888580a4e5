//! Klaviyo's limits for an event (<https://developers.klaviyo.com/en/reference/events_api_overview#limitations>).

use super::Skip;
use crate::json;

/// "Must not exceed 400 properties". Only the names at the top level of `properties` count.
const MAX_PROPERTIES: usize = 400;

/// "Each string cannot be larger than 100 KB", at any depth. Read as 100,000 bytes, the smaller meaning.
const MAX_STRING_BYTES: usize = 100_000;

/// "The size of the event payload must not exceed 5 MB", read as 5,000,000 bytes. [`ENVELOPE_BYTES`] of these are for
/// the request around a single event.
const MAX_PAYLOAD_BYTES: usize = 5_000_000;

/// An upper bound for what a request to `event-bulk-create-jobs` has around one event and its profile.
const ENVELOPE_BYTES: usize = 500;

/// Checks the number of an event's properties.
pub(super) fn check_count(count: usize) -> Result<(), Skip> {
    if count > MAX_PROPERTIES {
        return Err(Skip::TooManyProperties {
            count,
            most: MAX_PROPERTIES,
        });
    }
    Ok(())
}

/// Checks the strings in a JSON text. The text is searched only if it is long enough to hold a string that is too long.
pub(super) fn check_strings(json: &str) -> Result<(), Skip> {
    if json.len() <= MAX_STRING_BYTES {
        return Ok(());
    }
    let bytes = json::longest_string(json, MAX_STRING_BYTES);
    if bytes > MAX_STRING_BYTES {
        return Err(Skip::StringTooLong {
            bytes,
            most: MAX_STRING_BYTES,
        });
    }
    Ok(())
}

/// Checks the size in bytes of an event together with its profile.
pub(super) fn check_size(bytes: usize) -> Result<(), Skip> {
    let most = MAX_PAYLOAD_BYTES - ENVELOPE_BYTES;
    if bytes > most {
        return Err(Skip::EventTooLarge { bytes, most });
    }
    Ok(())
}
