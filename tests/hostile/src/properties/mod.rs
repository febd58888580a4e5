//! What must hold, whatever the bytes. Each property panics where it does not.

mod answers;
mod bodies;
mod documents;
mod records;

pub use answers::{commercetools, klaviyo, run_documents};
pub use bodies::bodies;
pub use documents::{numbers_too_large, stored_documents};
pub use records::records;
