//! Borrowed JSON: objects, arrays and strings as slices of the record's own text.
//!
//! Strings are compared and joined in their escaped form. Nothing is decoded only to be encoded again, and a string
//! without a decoded form (a lone surrogate, `"\ud800"`) passes through unchanged.
//!
//! - [`Text`]: a string in its escaped form.
//! - [`Json`]: a record.
//! - [`Part`]: a value within a record, and the types that it can be read as.
//! - `walk`: visits the values of a part in one pass.
//! - `scan`: finds the ends of strings, objects and arrays.
//! - `writer`: writes objects.
//! - `extremes`: how deep, how long and how large the values are.
//! - `longest`: the length of the longest string.
//! - [`pieces`]: documents made of several slices, so that what they share is written once.

mod extremes;
mod longest;
mod part;
pub mod pieces;
mod scan;
mod text;
mod walk;
mod writer;

pub(crate) use self::extremes::Extremes;
pub(crate) use self::longest::longest_string;
pub use self::part::{Json, Part};
pub use self::text::Text;
pub(crate) use self::text::escape;
pub(crate) use self::walk::{Object, Walk};
pub(crate) use self::writer::ObjectWriter;
