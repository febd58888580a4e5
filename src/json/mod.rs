//! JSON as it stands: objects, arrays and strings as borrowed slices of the record's own text.
//!
//! Strings are compared and put together in their escaped form, so that nothing is decoded only to be encoded again, and
//! what has no decoded form (a lone surrogate, `"\ud800"`) passes through unharmed.
//!
//! - [`Text`]: a string, escapes and all.
//! - [`Json`]: a record.
//! - [`Part`]: a part of a record, and what it is read as.
//! - `walk`: goes through a part once, whatever is looked at on the way.
//! - `scan`: where strings, objects and arrays end.
//! - `writer`: puts objects together.
//! - `longest`: the longest string there is.
//! - [`pieces`]: documents in pieces, with what several have in common written once.

mod longest;
mod part;
pub mod pieces;
mod scan;
mod text;
mod walk;
mod writer;

pub(crate) use self::longest::longest_string;
pub use self::part::{Json, Part};
pub use self::text::Text;
pub(crate) use self::text::escape;
pub(crate) use self::walk::{Object, Walk};
pub(crate) use self::writer::ObjectWriter;
