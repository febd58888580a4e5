//! Integration tests, in one binary: a module for each thing that is tested.

mod api_answers;
mod api_check;
mod api_component;
mod api_cron;
mod api_description;
mod api_errors;
mod api_operating;
mod api_plans;
mod api_status;
mod component;
mod crash_points;
mod documents;
mod e2e_api;
mod e2e_customers;
mod e2e_orders;
mod error_table;
mod mapping_category;
mod mapping_customer;
mod mapping_order;
mod mapping_product;
mod properties_orders;
mod run_catalogue;
mod run_deletion;
mod run_documents;
mod support;
