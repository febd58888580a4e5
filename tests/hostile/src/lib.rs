//! Bad input: what a caller, commercetools or Klaviyo can send at their worst, and what must hold all the same.
//!
//! - [`script`]: bytes, read as a series of decisions, so that proptest and libFuzzer drive the same properties
//! - [`mutation`]: a valid JSON text, spoiled: wrong types, huge numbers, lone surrogates, deep nesting, half of it
//! - [`time`]: virtual time, in which a run of hours takes milliseconds
//! - [`shop`]: the app with both simulated APIs in one thread; [`tamper`]: somebody who tampers with their answers
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
pub mod time;
