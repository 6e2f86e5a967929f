//! `dbmux dbt` with real dbt, on the test project.

mod build;
mod merging;
mod order;
mod plans;
mod shop;
