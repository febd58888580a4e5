//! Integration tests, in one binary: a module for each thing that is tested.

mod component;
mod e2e_api;
mod e2e_customers;
mod e2e_orders;
mod mapping_category;
mod mapping_customer;
mod mapping_order;
mod mapping_product;
mod properties_orders;
mod support;
