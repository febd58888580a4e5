//! Bad input.

mod answers;
mod drawn;
mod numbers;
