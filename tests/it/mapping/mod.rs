//! What becomes of each kind of record.

mod category;
mod completion;
mod customer;
mod event_limits;
mod order;
mod price;
mod product;
