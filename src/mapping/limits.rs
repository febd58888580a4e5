//! Klaviyo's limits for an event (<https://developers.klaviyo.com/en/reference/events_api_overview#limitations>).

use super::Skip;
use crate::json::{self, Extremes};

/// "Must not exceed 400 properties". Only the names at the top level of `properties` count.
const MAX_PROPERTIES: usize = 400;

/// "Each string cannot be larger than 100 KB", at any depth. Read as 100,000 bytes, the smaller meaning.
const MAX_STRING_BYTES: usize = 100_000;

/// "Maximum of 4,000 items in an array", at any depth.
const MAX_ENTRIES: usize = 4_000;

/// "Up to 10 levels of nesting". Read as objects and arrays within one another, `properties` being the first: the
/// smaller meaning.
const MAX_LEVELS: usize = 10;

/// "`unique_id` has 1 to 255 characters".
const MAX_ID_CHARACTERS: usize = 255;

/// A profile in an event has 95 KB at most, read as 95,000 bytes.
const MAX_PROFILE_BYTES: usize = 95_000;

/// "The size of the event payload must not exceed 5 MB", read as 5,000,000 bytes. [`ENVELOPE_BYTES`] of these are for
/// the request around a single event.
pub(super) const MAX_PAYLOAD_BYTES: usize = 5_000_000;

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

/// Checks the arrays, levels and integers of a property's value: what exceeds these limits is rejected after Klaviyo has
/// accepted the request, and nobody is told. `above` is how many levels are around the value, `properties` included.
pub(super) fn check_value(json: &str, above: usize) -> Result<(), Skip> {
    let found = Extremes::of(json);
    let levels = found.levels + above;
    if levels > MAX_LEVELS {
        return Err(Skip::NestedTooDeep {
            levels,
            most: MAX_LEVELS,
        });
    }
    if found.entries > MAX_ENTRIES {
        return Err(Skip::ArrayTooLong {
            entries: found.entries,
            most: MAX_ENTRIES,
        });
    }
    if found.has_large_integer {
        return Err(Skip::IntegerTooLarge);
    }
    Ok(())
}

/// Checks the length of an event's `unique_id`, which is not empty.
pub(super) fn check_id(id: &str) -> Result<(), Skip> {
    if id.chars().nth(MAX_ID_CHARACTERS).is_some() {
        return Err(Skip::IdTooLong {
            most: MAX_ID_CHARACTERS,
        });
    }
    Ok(())
}

/// Checks the size in bytes of the profile of events.
pub(super) fn check_profile(bytes: usize) -> Result<(), Skip> {
    if bytes > MAX_PROFILE_BYTES {
        return Err(Skip::TooLarge {
            bytes,
            most: MAX_PROFILE_BYTES,
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
