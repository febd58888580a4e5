//! Integration tests, in one binary: a module for each thing that is tested.

mod mapping_category;
mod mapping_customer;
mod mapping_order;
mod mapping_product;
