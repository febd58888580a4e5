//! Bad input: what a caller, commercetools or Klaviyo can send at their worst, and what must hold all the same.
//!
//! - [`script`]: bytes, read as a series of decisions, so that proptest and libFuzzer drive the same properties
//! - [`mutation`]: a valid JSON text, spoiled: wrong types, huge numbers, lone surrogates, deep nesting, half of it
//! - [`shop`]: a shop in this process whose every call and answer is checked; [`tamper`]: somebody who tampers with answers
//! - [`operator`]: somebody who starts imports, watches them, and gets over what went wrong
//! - [`properties`]: what must hold: no panic, an answer that names the problem, no secret and nothing personal in it,
//!   no call to anyone else, and a way out for the operator

pub mod mutation;
pub mod operator;
pub mod properties;
pub mod script;
pub mod shop;
mod spans;
pub mod tamper;
