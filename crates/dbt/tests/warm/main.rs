//! A warm dbt, with real dbt.

mod invoke;
mod support;
