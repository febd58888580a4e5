//! Bad input.

mod answers;
mod drawn;
