//! What becomes of each kind of record.

mod category;
mod customer;
mod order;
mod price;
mod product;
