//! `dbmux dbt` with real dbt, on the test project.

mod build;
mod members;
mod merging;
mod order;
mod plans;
mod runner;
pub(crate) mod shop;
