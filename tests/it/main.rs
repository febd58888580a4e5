//! Integration tests, in one binary: a module for each thing that is tested.

mod api_component;
mod api_description;
mod api_operating;
mod component;
mod crash_points;
mod e2e_api;
mod e2e_catalogue;
mod e2e_chain;
mod e2e_customers;
mod e2e_orders;
mod error_table;
mod mapping_category;
mod mapping_customer;
mod mapping_order;
mod mapping_product;
mod platform;
mod properties_orders;
mod run_catalogue;
mod run_deletion;
mod support;
